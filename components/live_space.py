"""The search space of a job that may change while it lives: who may change it to what, and tasks as its versions have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from .document import SEARCH
from .formatter.given_space import complete_space
from .spec import JobPlan

if TYPE_CHECKING:
    from ..search import SearchSpace
    from ..search.space.diff import SpaceDiff
    from ..search.space.versions import SpaceVersions
    from ..store import JobRecord, Store, TaskRecord


@dataclass(frozen=True)
class SpaceEdit:
    """A change of a job's space.

    Attributes:
        job_id: The job.
        before: The version that is edited.
        after: What it becomes.
        version: The number of the new version, from 2; that of the one before when nothing changes.
        kept: How many of the search's finished tasks the new version can express.
        outside: How many it cannot; they are kept, and come back when a later version has room for them.
    """

    job_id: str
    before: SearchSpace
    after: SearchSpace
    version: int
    kept: int
    outside: int

    @property
    def diff(self) -> SpaceDiff:
        """What changes."""
        return self.before.diff(self.after)

    def to_dict(self) -> dict[str, Any]:
        """Return the edit as JSON values."""
        return {
            "job": self.job_id,
            "version": self.version,
            "hash": self.after.hash,
            "changed": bool(self.diff),
            "changes": [str(change) for change in self.diff.changes],
            "kept": self.kept,
            "outside": self.outside,
        }


def space_versions(plan: JobPlan) -> SpaceVersions:
    """Return the versions of a plan's space."""
    from ..search import SearchSpace
    from ..search.space.versions import SpaceVersions

    documents = [*(version["space"] for version in plan.space_versions), plan.space]
    versions = SpaceVersions(SearchSpace.from_dict(documents[0]))
    for document in documents[1:]:
        versions.change(SearchSpace.from_dict(document))
    return versions


def in_newest(tasks: Sequence[TaskRecord], versions: SpaceVersions) -> list[TaskRecord]:
    """Return the tasks with their configurations as the newest version has them; without those that it cannot express."""
    found = ((task, versions.project(task.config).config) for task in tasks)
    return [replace(task, config=config) for task, config in found if config is not None]


def preview(
    store: Store,
    job: JobRecord,
    *,
    space: SearchSpace | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    removed: Sequence[str] = (),
) -> SpaceEdit:
    """Return what an edit of a job's space would do, without doing it.

    Args:
        store: The record of work.
        job: A job with a plan that has not succeeded.
        space: The new version; parameters of the estimator that it lacks are kept at their defaults.
        changes: Keys to change, by the path of the parameter: ``{"rate": {"range": [0.1, 0.9]}}``.
        removed: Parameters that are taken away, and so kept at their defaults.

    Raises:
        SpecError: The job has no plan, its search has ended, or its strategy cannot go on when the space changes to that.
        SpaceError: The result is no space, or has a parameter that the estimator does not take.
    """
    from ..estimators.bundle import load_bundle

    if not job.plan:
        raise SpecError(
            f"Job {job.id} has no plan yet.", hint="Wait until it runs, or give the space when it is started."
        )
    if job.state == "running" and store.broker.is_closed(job.id, SEARCH):
        raise SpecError(f"The search of job {job.id} has ended.", hint="Start a new job with the space: --space FILE")
    plan = JobPlan.from_dict(job.plan)
    versions = space_versions(plan)
    before = versions.current
    after = before if space is None else space
    for path, keys in (changes or {}).items():
        after = after.edit(path, **keys)
    for path in removed:
        after = after.remove(path)
    if space is not None or removed:
        bundle = load_bundle(plan.estimator)
        after, _ = complete_space(after, bundle.space, estimator=bundle.name)
    _check_strategies(plan, before, after)
    versions.change(after)
    finished = store.broker.tasks(job.id, states=("succeeded", "failed", "timeout"), phase=SEARCH)
    kept = len(in_newest(finished, versions))
    version = plan.space_version + (1 if before.diff(after) else 0)
    return SpaceEdit(job.id, before, after, version, kept=kept, outside=len(finished) - kept)


def _check_strategies(plan: JobPlan, before: SearchSpace, after: SearchSpace) -> None:
    from ..search import Objective, strategy

    for phase in plan.phases:
        probe = strategy(phase.strategy)
        probe.bind_space(before, [Objective.from_dict(o) for o in plan.objectives], seed=plan.seed)
        probe.change_space(after)


def apply(store: Store, edit: SpaceEdit) -> JobRecord:
    """Make an edit the job's newest version; nothing when it changes nothing.

    Raises:
        StoreError: The job has succeeded, or someone else changed its space since `preview`.
    """
    if not edit.diff:
        return store.jobs.get(edit.job_id)
    changes = [str(change) for change in edit.diff.changes]
    document = edit.after.to_dict()
    return store.jobs.change_space(
        edit.job_id, document, space_hash=edit.after.hash, before=edit.before.hash, changes=changes
    )
