"""What the search learned, gathered for the page: values only, no HTML and no plots."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import leaderboard
from ..document import SEARCH, objectives_of
from ..live_space import in_newest, space_versions
from ..measured import unmeasured
from ..spec import JobPlan
from ..tradeoff import Explained, explain_knee
from .suggestions import Suggestion, suggest

if TYPE_CHECKING:
    from ...data import DataProfile, PreparedData
    from ...models import ModelVersion
    from ...search import Objective, SearchSpace
    from ...search.ablation import Ablation
    from ...search.importance import Importance
    from ...store import JobRecord, Store, TaskRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassScore:
    """How well the final model finds one class among the test rows."""

    label: Any
    recall: float
    precision: float
    test_rows: int
    train_rows: int


@dataclass(frozen=True)
class Insight:
    """Everything that the page shows.

    Attributes:
        board: The scored tasks, best first; the first is the recommended one.
        front: The Pareto front.
        importance: Of every parameter on every objective, by the objective's key.
        classes: Per class, for a classification.
        baseline: The default configuration's task, where the pipeline scored it.
        path: Which changes lead from the default configuration to the recommended one, in the first objective.
        knee: Which task of the front is recommended, and why; None for one objective.
        unmeasured: The tasks that have a score and lack measurements.
    """

    job: JobRecord
    tasks: list[TaskRecord]
    objectives: list[Objective]
    space: SearchSpace
    profile: DataProfile
    board: list[TaskRecord]
    front: list[TaskRecord]
    importance: Mapping[str, Importance]
    classes: list[ClassScore]
    model: ModelVersion | None
    baseline: TaskRecord | None
    suggestions: list[Suggestion] = field(default_factory=list)
    path: Ablation | None = None
    knee: Explained | None = None
    unmeasured: list[TaskRecord] = field(default_factory=list)

    @property
    def deployments(self) -> list[Mapping[str, Any]]:
        """The reports of the registered model, one for each device and runtime."""
        return list(self.model.lineage.get("deployments", [])) if self.model is not None else []


def gather(store: Store, job: JobRecord, *, data: PreparedData, model: ModelVersion | None) -> Insight:
    """Gather what the page shows."""
    plan = JobPlan.from_dict(job.plan or {})
    objectives = objectives_of(job)
    versions = space_versions(plan)
    space = versions.current
    tasks = store.broker.tasks(job.id, phase=SEARCH)
    placed = in_newest(tasks, versions)
    defaults = store.broker.tasks(job.id, phase="default")
    classes = [] if model is None or data.task != "classification" else class_scores(data, model)
    baseline = next((task for task in defaults if task.state == "succeeded"), None)
    return Insight(
        job=job,
        tasks=tasks,
        objectives=objectives,
        space=space,
        profile=data.profile,
        board=leaderboard.ranked(tasks, objectives),
        front=leaderboard.pareto(tasks, objectives),
        importance=importances(placed, objectives, space, seed=plan.seed),
        classes=classes,
        model=model,
        baseline=baseline,
        suggestions=suggest(placed, objectives, space, profile=data.profile, classes=classes),
        path=winning_path(placed, objectives, space, baseline=baseline, seed=plan.seed),
        knee=explain_knee(tasks, objectives) if len(objectives) > 1 else None,
        unmeasured=unmeasured(tasks),
    )


def importances(
    tasks: Sequence[TaskRecord], objectives: Sequence[Objective], space: SearchSpace, *, seed: int
) -> dict[str, Importance]:
    """Return the importance of every parameter on every objective."""
    from ...search.importance import importance

    scored = leaderboard.scored(tasks, objectives)
    configs = [task.config for task in scored]
    return {
        objective.key: importance(space, configs, [task.rewards[objective.key] for task in scored], seed=seed)
        for objective in objectives
    }


def winning_path(
    tasks: Sequence[TaskRecord],
    objectives: Sequence[Objective],
    space: SearchSpace,
    *,
    baseline: TaskRecord | None,
    seed: int,
) -> Ablation | None:
    """Return which changes made the recommended task better than the default configuration; None without a task."""
    from ...search import ablation

    primary = objectives[0]
    ranked = leaderboard.ranked(tasks, objectives)
    if not ranked:
        return None
    known = [*ranked, *([baseline] if baseline is not None and space.is_valid(baseline.config) else [])]
    known = [task for task in known if primary.key in task.rewards]
    values = [task.rewards[primary.key] for task in known]
    configs = [task.config for task in known]
    return ablation(space, configs, values, goal=primary.goal, target=ranked[0].config, seed=seed)


def class_scores(data: PreparedData, model: ModelVersion) -> list[ClassScore]:
    """Score the final model on the test rows, class by class."""
    from ...models import predict

    classes = list(data.classes or ())
    index_of = {str(label): index for index, label in enumerate(classes)}
    predicted = [index_of.get(str(value)) for value in predict(model.path, data.rows("test"))["prediction"]]
    # Indices, not the raw values of the target: the same class may be 1 here and 1.0 there.
    actual, trained = (data.labels(split).tolist() for split in ("test", "train"))
    found = []
    for index, label in enumerate(classes):
        hits = sum(a == index == p for a, p in zip(actual, predicted, strict=True))
        present, claimed = actual.count(index), predicted.count(index)
        recall, precision = hits / present if present else 0.0, hits / claimed if claimed else 0.0
        found.append(ClassScore(label, recall, precision, present, trained.count(index)))
    return found
