from __future__ import annotations

import math

import pytest

from omniforge.components.job_estimator.waiting import (
    POLICIES,
    Adaptive,
    Asynchronous,
    CostQuantile,
    OpenTask,
    Synchronous,
)
from omniforge.errors import UnknownNameError


def running(*ages_s: float) -> list[OpenTask]:
    return [OpenTask(i, age) for i, age in enumerate(ages_s)]


def test_sync_waits_for_every_task_however_long_it_takes() -> None:
    decision = Synchronous().decide(running(1e6), durations_s=[1.0] * 10, overlap=5)
    assert not decision.advance
    assert decision.stragglers == ()
    assert Synchronous().decide([], durations_s=[], overlap=0).advance


def test_async_asks_as_soon_as_a_worker_would_run_dry() -> None:
    assert Asynchronous().decide(running(1, 2), durations_s=[], overlap=2).advance
    assert not Asynchronous().decide(running(1, 2, 3), durations_s=[], overlap=2).advance


def test_adaptive_gives_up_on_what_exceeds_mean_and_spread() -> None:
    policy = Adaptive(spreads=2.0, minimum_s=0.0)
    durations = [9.0, 10.0, 11.0, 10.0]
    decision = policy.decide(running(19.0, 21.0, 3.0), durations_s=durations, overlap=1)
    assert decision.stragglers == (1,)
    assert not decision.advance
    assert decision.check_again_s == pytest.approx(1.0)


def test_adaptive_widens_with_the_spread() -> None:
    policy = Adaptive(spreads=4.0, minimum_s=0.0)
    assert policy.limit_s(OpenTask(0, 1.0), [1.0, 1.0, 20.0, 20.0]) > policy.limit_s(OpenTask(0, 1.0), [10.5] * 4)


def test_adaptive_never_gives_up_early_or_without_evidence() -> None:
    assert Adaptive(minimum_s=15).decide(running(14.0), durations_s=[0.1] * 50, overlap=0).stragglers == ()
    assert Adaptive(minimum_s=0).decide(running(1e6), durations_s=[1.0] * 3, overlap=0).stragglers == ()


def test_a_task_that_no_worker_has_started_is_no_straggler() -> None:
    decision = Adaptive(minimum_s=0).decide([OpenTask(0, None)], durations_s=[1.0] * 9, overlap=0)
    assert decision.stragglers == ()
    assert decision.check_again_s == math.inf


def test_stragglers_do_not_hold_up_the_next_round() -> None:
    decision = Adaptive(minimum_s=0).decide(running(100.0, 100.0), durations_s=[1.0] * 9, overlap=0)
    assert decision.advance
    assert decision.stragglers == (0, 1)


def test_cost_quantile_judges_each_task_by_its_own_expectation() -> None:
    policy = CostQuantile(slack=1.5, minimum_s=0.0)
    tasks = [OpenTask(0, 20.0, expected_s=30.0), OpenTask(1, 20.0, expected_s=10.0)]
    assert policy.decide(tasks, durations_s=[1.0] * 20, overlap=0).stragglers == (1,)


def test_cost_quantile_without_a_model_is_adaptive() -> None:
    assert CostQuantile(minimum_s=0.0).decide(running(100.0), durations_s=[1.0] * 9, overlap=0).stragglers == (0,)


def test_policies_are_found_by_name() -> None:
    assert set(POLICIES) == {"sync", "adaptive", "quantile", "async"}
    with pytest.raises(UnknownNameError, match="wait policy"):
        POLICIES.get("adaptve")
