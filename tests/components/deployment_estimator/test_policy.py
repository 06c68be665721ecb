from __future__ import annotations

from collections.abc import Callable

import pytest

from omniforge.components.deployment_estimator.policy import CHECK_EVERY, MeasureAll, MeasurePromising, policy_of
from omniforge.components.spec import JobPlan
from omniforge.store import JobRecord, Store, TaskRecord

AddTask = Callable[..., TaskRecord]
OBJECTIVES = [{"metric": "accuracy", "goal": "max"}, {"metric": "latency_ms", "goal": "min", "bound": 20.0}]
STRENGTHS = [0.02, 0.05, 0.1, 0.5, 1.0, 3.0, 6.0, 12.0, 25.0, 50.0, 100.0]


@pytest.fixture
def plan(make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord]) -> JobPlan:
    plan = make_plan(objectives=OBJECTIVES, devices=["local"], measure="promising")
    make_job(plan)
    return plan


@pytest.fixture
def policy(plan: JobPlan, store: Store, add_task: AddTask) -> MeasurePromising:
    """A job in which latency is the strength, and the first task has a good score and the least latency."""
    for strength in STRENGTHS:
        add_task(strength=strength, rewards={"accuracy": 0.9 if strength < 0.1 else 0.6, "latency_ms": strength})
    made = policy_of(plan, store, "job", phase="search")
    assert isinstance(made, MeasurePromising)
    check(made, store, add_task, accuracy=0.95)
    return made


def check(policy: MeasurePromising, store: Store, add_task: AddTask, *, accuracy: float, factor: float = 1.0) -> None:
    """Have five predictions checked: what is measured is ``factor`` times the strength."""
    for strength in (0.03, 0.2, 0.7, 2.0, 8.0):
        task = add_task(strength=strength, reserve=True)
        assert policy.decide(task, {"accuracy": accuracy}) is None
        rewards = {"accuracy": accuracy if strength < 0.1 else 0.6, "latency_ms": factor * strength}
        assert store.broker.report(store.broker.start(task), "succeeded", rewards)


def test_a_candidate_that_another_one_beats_for_sure_is_left_out(policy: MeasurePromising, add_task: AddTask) -> None:
    skip = policy.decide(add_task(strength=10.0, reserve=True), {"accuracy": 0.7})
    assert skip is not None
    assert "scores as well" in skip.why
    assert 5 < skip.predicted["latency_ms"] < 20


def test_a_candidate_that_will_break_its_bound_is_left_out(policy: MeasurePromising, add_task: AddTask) -> None:
    skip = policy.decide(add_task(strength=90.0, reserve=True), {"accuracy": 0.99})
    assert skip is not None
    assert "its bound is 20" in skip.why


def test_a_model_that_was_far_off_is_not_believed(plan: JobPlan, store: Store, add_task: AddTask) -> None:
    for strength in STRENGTHS:
        add_task(strength=strength, rewards={"accuracy": 0.9 if strength < 0.1 else 0.6, "latency_ms": strength})
    surprised = policy_of(plan, store, "job", phase="search")
    assert isinstance(surprised, MeasurePromising)
    check(surprised, store, add_task, accuracy=0.95, factor=0.01)  # a hundred times better than was predicted
    assert surprised.decide(add_task(strength=90.0, reserve=True), {"accuracy": 0.99}) is None


def test_a_better_score_and_a_quick_candidate_are_measured(policy: MeasurePromising, add_task: AddTask) -> None:
    assert policy.decide(add_task(strength=10.0, reserve=True), {"accuracy": 0.96}) is None


def test_now_and_then_a_hopeless_one_is_measured_all_the_same(policy: MeasurePromising, add_task: AddTask) -> None:
    task = add_task(strength=90.0, reserve=True)
    decisions = [policy.decide(task, {"accuracy": 0.1}) for _ in range(CHECK_EVERY)]
    assert [decision is None for decision in decisions] == [False] * (CHECK_EVERY - 1) + [True]


def test_before_enough_is_known_everything_is_measured(plan: JobPlan, store: Store, add_task: AddTask) -> None:
    made = policy_of(plan, store, "job", phase="search")
    assert made.decide(add_task(strength=90.0, reserve=True), {"accuracy": 0.1}) is None


def test_outside_of_the_search_everything_is_measured(plan: JobPlan, store: Store) -> None:
    assert isinstance(policy_of(plan, store, "job", phase="final"), MeasureAll)
