from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.formatter.knowledge import NEIGHBOURS, Recalled, recall, remember
from omniforge.estimators import load_bundle
from omniforge.store import Store

SHAPE = {"rows": 150.0, "columns": 4.0}


@pytest.fixture
def teach(store: Store) -> Callable[..., None]:
    def add(
        job_id: str, strength: float, *, act: str = "fit", rows: float = 150.0, bundle: str = "probe", **more: Any
    ) -> None:
        remember(
            store, job_id, task_type=more.get("task_type", "classification"), meta_features={**SHAPE, "rows": rows},
            bundle_name=bundle, config={"act": act, "strength": strength}, rewards={"accuracy": 0.9}, duration_s=1.0,
        )  # fmt: skip

    return add


@pytest.fixture
def recalled(store: Store, probe: Path) -> Callable[[], Recalled]:
    bundle = load_bundle(probe)
    return lambda: recall(store, "classification", SHAPE, space=bundle.space, bundle=bundle)


def test_nothing_is_known_at_first(recalled: Callable[[], Recalled]) -> None:
    assert recalled() == Recalled()


def test_winners_of_similar_jobs_come_nearest_first(
    teach: Callable[..., None], recalled: Callable[[], Recalled]
) -> None:
    for rows, strength in ((9000.0, 9.0), (150.0, 1.0), (5000.0, 5.0), (300.0, 3.0)):
        teach(f"job-{rows:g}", strength, rows=rows)
    found = recalled()
    assert [config["strength"] for config in found.configs] == [1.0, 3.0, 5.0]
    assert len(found.configs) == NEIGHBOURS
    assert found.reasons == ["The search begins with 3 winners of similar jobs: job-150, job-300, job-5000."]


def test_what_does_not_fit_is_passed_over(teach: Callable[..., None], recalled: Callable[[], Recalled]) -> None:
    teach("other-estimator", 1.0, bundle="tabular")
    teach("other-task", 2.0, task_type="regression")
    teach("outside-of-the-space", 1e6)
    teach("first", 3.0)
    teach("same", 3.0)
    found = recalled()
    assert found.configs == [{"act": "fit", "strength": 3.0}]
    assert found.reasons == ["The search begins with 1 winners of similar jobs: same."]


def test_an_outcome_is_kept_whole(store: Store, teach: Callable[..., None]) -> None:
    teach("job", 3.0)
    (row,) = store.knowledge.similar("classification", SHAPE, k=5)
    assert row.outcome == {
        "estimator": "probe", "config": {"act": "fit", "strength": 3.0}, "rewards": {"accuracy": 0.9},
        "duration_s": 1.0, "peak_memory_bytes": None,
    }  # fmt: skip
