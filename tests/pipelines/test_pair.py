"""The pair of a search, in a pipeline of its own."""

# No postponed annotations here: kfp reads the types of the arguments.

from collections.abc import Callable
from pathlib import Path
from typing import Any, List, NamedTuple  # noqa: UP035  # the names that kfp's generated module imports

from kfp import dsl

from omniforge.pipelines import compile_pipeline
from omniforge.pipelines.pair import RETRIES, search_pair, settled


@dsl.component
def begin() -> NamedTuple("Begun", [("job", str), ("workers", List[int])]):  # type: ignore[valid-type]  # noqa: UP006
    return ("job", [0, 1])


@dsl.component
def finish(job: str) -> str:
    return job


@dsl.pipeline(name="one-pair")
def one_pair() -> str:
    begun = begin()
    searched = search_pair(begun, phase="a-phase")
    return finish(job=begun.outputs["job"]).after(searched).output  # type: ignore[no-any-return]


@dsl.pipeline(name="two-pairs")
def two_pairs() -> None:
    begun = settled(begin())
    search_pair(begun, phase="second", after=search_pair(begun, phase="first"))


def test_both_start_together_and_what_follows_waits_for_the_job_estimator_alone(
    steps_of: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    steps = steps_of(compile_pipeline(one_pair, tmp_path / "p.yaml"))
    assert steps["job estimator: a-phase"].waits_for == steps["worker: a-phase"].waits_for == {"begin"}
    assert steps["finish"].waits_for == {"begin", "job estimator: a-phase"}
    assert steps["worker: a-phase"].each == "begin.workers"
    assert steps["worker: a-phase"].constants == steps["job estimator: a-phase"].constants == {"phase": "a-phase"}


def test_both_of_the_next_pair_wait_for_the_one_before(
    steps_of: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    steps = steps_of(compile_pipeline(two_pairs, tmp_path / "p.yaml"))
    for part in ("job estimator", "worker"):
        assert steps[f"{part}: second"].waits_for == {"begin", "job estimator: first"}


def test_what_is_settled_is_not_cached_and_the_pair_is_retried(
    steps_of: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    assert steps_of(compile_pipeline(two_pairs, tmp_path / "two.yaml"))["begin"].cached is False
    steps = steps_of(compile_pipeline(one_pair, tmp_path / "one.yaml"))
    assert {name for name, step in steps.items() if step.cached} == {"begin", "finish"}
    pair = {name: step.retries for name, step in steps.items() if step.retries}
    assert pair == dict.fromkeys(("job estimator: a-phase", "worker: a-phase"), RETRIES)
