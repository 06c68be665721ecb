from __future__ import annotations

from collections.abc import Callable

import pytest

from omniforge.components.live_space import apply, in_newest, preview, space_versions
from omniforge.components.spec import JobPlan
from omniforge.errors import SpaceError, SpecError, StoreError
from omniforge.search import SearchSpace
from omniforge.store import JobRecord, Store, TaskRecord

AddTask = Callable[..., TaskRecord]


@pytest.fixture
def job(store: Store, make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord]) -> JobRecord:
    return make_job(make_plan())


def test_an_edit_is_previewed_and_applied(store: Store, job: JobRecord, add_task: AddTask) -> None:
    for strength in (0.5, 1.0, 50.0):
        add_task(strength=strength, rewards={"accuracy": strength})
    edit = preview(store, job, changes={"strength": {"range": [0.1, 10]}})
    assert edit.to_dict() == {
        "job": "job", "version": 2, "hash": edit.after.hash, "changed": True,
        "changes": ["~ strength.range: [0.01, 100] -> [0.1, 10]"], "kept": 2, "outside": 1,
    }  # fmt: skip
    assert store.jobs.get("job") == job
    plan = JobPlan.from_dict(apply(store, edit).plan or {})
    assert (plan.space_version, plan.space_hash) == (2, edit.after.hash)
    versions = space_versions(plan)
    assert [versions.current, *versions.earlier] == [edit.after, edit.before]
    assert [task.config["strength"] for task in in_newest(store.broker.tasks("job"), versions)] == [0.5, 1.0]


def test_what_a_given_space_lacks_keeps_its_default(store: Store, job: JobRecord) -> None:
    given = SearchSpace.from_yaml("strength: {type: float, range: [0.5, 2.0]}")
    edit = preview(store, job, space=given)
    assert edit.after.default() == {"strength": 1.25, "act": "fit"}
    assert preview(store, job, removed=["act"]).after.parameters["act"].kind == "constant"


def test_nothing_changes_by_an_edit_of_nothing(store: Store, job: JobRecord) -> None:
    edit = preview(store, job, space=SearchSpace.from_dict((job.plan or {})["space"]))
    assert (edit.version, edit.to_dict()["changed"]) == (1, False)
    assert apply(store, edit) == job


def test_what_cannot_be_is_refused_and_changes_nothing(
    store: Store, job: JobRecord, make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord]
) -> None:
    with pytest.raises(SpaceError, match="strenght"):
        preview(store, job, changes={"strenght": {"range": [0.1, 10]}})
    with pytest.raises(SpaceError, match="does not take"):
        preview(store, job, space=SearchSpace.from_yaml("speed: {type: float, range: [0.5, 2.0]}"))
    with pytest.raises(SpecError, match="no plan yet"):
        preview(store, make_job(None, "bare"), changes={"strength": {"range": [0.1, 10]}})
    first = preview(store, job, changes={"strength": {"range": [0.1, 10]}})
    apply(store, preview(store, job, changes={"strength": {"range": [1, 10]}}))
    with pytest.raises(StoreError, match="meanwhile"):
        apply(store, first)
    store.broker.close_phase("job", "search")
    with pytest.raises(SpecError, match="has ended"):
        preview(store, store.jobs.get("job"), changes={"strength": {"range": [0.1, 10]}})
