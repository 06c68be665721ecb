"""The HPO pipeline: a smoke pair, a pair for the default configuration, the search pair, then as NoCode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.pipelines.run import COMPILED

GOLDEN = COMPILED / "hpo.yaml"
PHASES = ("smoke", "default", "search")


def test_the_file_that_ships_is_what_the_definition_compiles_to(compiled_anew: Path) -> None:
    """``python -m omniforge.pipelines.compiled`` writes it anew."""
    assert (compiled_anew / "hpo.yaml").read_bytes() == GOLDEN.read_bytes()


def test_three_pairs_one_after_the_other(steps_of: Callable[[Path], dict[str, Any]]) -> None:
    steps = steps_of(GOLDEN)
    assert {name: (step.component, step.waits_for) for name, step in steps.items()} == {
        "start": ("start", frozenset()),
        "job estimator: smoke": ("job_estimator", {"start"}),
        "worker: smoke": ("worker", {"start"}),
        "job estimator: default": ("job_estimator", {"start", "job estimator: smoke"}),
        "worker: default": ("worker", {"start", "job estimator: smoke"}),
        "job estimator: search": ("job_estimator", {"start", "job estimator: default"}),
        "worker: search": ("worker", {"start", "job estimator: default"}),
        "task-estimator": ("task_estimator", {"start", "job estimator: search"}),
        "advisor": ("advisor", {"start", "task-estimator"}),
        "end": ("end", {"start", "advisor"}),
    }
    assert steps["start"].constants == {"kind": "hpo"}


@pytest.mark.parametrize("phase", PHASES)
def test_each_pair_works_on_its_phase(phase: str, steps_of: Callable[[Path], dict[str, Any]]) -> None:
    steps = steps_of(GOLDEN)
    assert steps[f"job estimator: {phase}"].constants == {"phase": phase}
    assert steps[f"worker: {phase}"].constants == {"phase": phase}
    assert steps[f"worker: {phase}"].each == "start.workers"


def test_nothing_is_taken_from_a_cache_and_the_pairs_are_retried(steps_of: Callable[[Path], dict[str, Any]]) -> None:
    steps = steps_of(GOLDEN)
    assert not any(step.cached for step in steps.values())
    pairs = {f"{part}: {phase}" for part in ("job estimator", "worker") for phase in PHASES}
    assert {name: step.retries for name, step in steps.items() if step.retries} == dict.fromkeys(pairs, 3)
