"""Which candidates a device measures: all of them, or only those that could still matter. It measures nothing itself."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...registry import Registry
from ..document import SEARCH
from ..leaderboard import spent
from ..live_space import space_versions
from .predictor import MetricPredictor

if TYPE_CHECKING:
    from ...search import Objective
    from ...store import Store, TaskRecord
    from ..spec import JobPlan

log = logging.getLogger(__name__)

CONFIDENCE = 0.95
ENOUGH_CHECKED = 5
CHECK_EVERY = 10
"""Of so many hopeless candidates one is measured all the same: it shows whether the predictions still hold."""


@dataclass(frozen=True)
class Skip:
    """A candidate that is not measured.

    Attributes:
        why: A sentence for the person.
        predicted: The median that the model expects, by the key of the objective.
    """

    why: str
    predicted: Mapping[str, float] = field(default_factory=dict)


class MeasuringPolicy(ABC):
    """Decide for each candidate, after its training, whether it is measured.

    Args:
        plan: The job's plan.
        store: The record of work.
        job_id: The job.
    """

    def __init__(self, plan: JobPlan, store: Store, job_id: str) -> None:
        self.plan = plan
        self.store = store
        self.job_id = job_id

    @abstractmethod
    def decide(self, task: TaskRecord, scores: Mapping[str, float]) -> Skip | None:
        """Return why a candidate is not measured; None when it is.

        Args:
            task: The candidate.
            scores: What its training scored, by metric.
        """


class MeasureAll(MeasuringPolicy):
    """Measure every candidate: right where measuring takes little beside training."""

    def decide(self, task: TaskRecord, scores: Mapping[str, float]) -> Skip | None:
        """Return None."""
        del task, scores
        return None


class MeasurePromising(MeasuringPolicy):
    """Leave out what is hopeless whatever the device would say, within what a model of earlier measurements believes.

    A candidate is hopeless when its score breaks a bound that others keep, when even the most that is to be hoped for of a
    predicted metric breaks its bound, or when a measured candidate has scores at least as good and better metrics than that. The
    most to be hoped for is the 5 % quantile of the model, or, where that was wrong, as far from the prediction as any
    measurement has been: a search goes where its models know least. Until eight candidates are measured and five predictions
    are checked, and for one in ten of the hopeless ones, a candidate is measured all the same.
    """

    def __init__(self, plan: JobPlan, store: Store, job_id: str) -> None:
        from ...deploy import DEPLOYMENT_METRICS
        from ...search import Objective

        super().__init__(plan, store, job_id)
        objectives = [Objective.from_dict(values) for values in plan.objectives]
        self.measured = [objective for objective in objectives if objective.metric in DEPLOYMENT_METRICS]
        self.scored = [objective for objective in objectives if objective.metric not in DEPLOYMENT_METRICS]
        self._versions = space_versions(plan)
        self._predictor = MetricPredictor(self._versions.current)
        self._hopeless = 0
        self._expected: dict[int, dict[str, float]] = {}  # what was predicted of a task before it was measured

    def decide(self, task: TaskRecord, scores: Mapping[str, float]) -> Skip | None:
        """Return why a candidate is hopeless, with what is expected of it."""
        config = self._versions.project(task.config).config
        if config is None or any(objective.key not in scores for objective in self.scored):
            return None
        known = self._known()
        self._fit(known)
        if not self._predictor.ready:
            return None
        median = {o.key: self._quantile(config, o, 0.5) for o in self.measured}
        surprises = self._surprises(known)
        self._expected[task.id] = median
        if len(surprises) < ENOUGH_CHECKED:
            return None
        hopeful = {o.key: self._hopeful(config, o, median[o.key], surprises) for o in self.measured}
        rivals = [other for other in known if spent(other) == spent(task)]
        why = self._broken(hopeful) or self._beaten(scores, hopeful, rivals)
        if why is None:
            return None
        self._hopeless += 1
        if self._hopeless % CHECK_EVERY == 0:
            return None
        log.info("task %d is not measured: %s", task.number, why)
        return Skip(why, {name: value for name, value in median.items() if math.isfinite(value)})

    def _known(self) -> list[TaskRecord]:
        keys = [objective.key for objective in (*self.measured, *self.scored)]
        tasks = self.store.broker.tasks(self.job_id, states=("succeeded",), phase=SEARCH)
        return [task for task in tasks if all(key in task.rewards for key in keys)]

    def _fit(self, known: Sequence[TaskRecord]) -> None:
        placed = [(self._versions.project(task.config).config, task) for task in known]
        usable = [(config, task) for config, task in placed if config is not None]
        values = {o.key: [task.rewards[o.key] for _, task in usable] for o in self.measured}
        self._predictor.fit([config for config, _ in usable], values)

    def _surprises(self, known: Sequence[TaskRecord]) -> list[dict[str, float]]:
        """Return by which factor each measurement was better than predicted (above 1) or worse, by metric."""
        found = []
        for task in known:
            expected = self._expected.get(task.id, {})
            pairs = {o.key: (o, task.rewards[o.key], expected.get(o.key, math.inf)) for o in self.measured}
            if all(value > 0 and 0 < guess < math.inf for _, value, guess in pairs.values()):
                found.append({key: (value / guess) ** o.sign for key, (o, value, guess) in pairs.items()})
        return found

    def _hopeful(
        self,
        config: Mapping[str, object],
        objective: Objective,
        median: float,
        surprises: Sequence[Mapping[str, float]],
    ) -> float:
        """Return the best value of a metric that is still to be reckoned with."""
        believed = self._quantile(config, objective, CONFIDENCE if objective.goal == "max" else 1.0 - CONFIDENCE)
        surprised = median * max(surprise[objective.key] for surprise in surprises) ** objective.sign
        return max(believed, surprised) if objective.goal == "max" else min(believed, surprised)

    def _quantile(self, config: Mapping[str, object], objective: Objective, share: float) -> float:
        """Return a quantile of a metric; where there is no model, a value that nothing beats."""
        value = self._predictor.quantile(config, objective.key, share)
        return objective.sign * math.inf if value is None else value

    def _broken(self, hopeful: Mapping[str, float]) -> str | None:
        for objective in self.measured:
            if not objective.satisfied(hopeful[objective.key]):
                return f"{objective.key} is expected to be {hopeful[objective.key]:.4g} at best; its bound is {objective.bound:g}"
        return None

    def _beaten(
        self, scores: Mapping[str, float], hopeful: Mapping[str, float], rivals: Sequence[TaskRecord]
    ) -> str | None:
        for rival in rivals:
            if not all(o.satisfied(rival.rewards[o.key]) for o in (*self.measured, *self.scored)):
                continue
            if any(not o.satisfied(scores[o.key]) for o in self.scored):
                return f"its score breaks a bound that task {rival.number} keeps"
            no_worse = all(o.sign * rival.rewards[o.key] >= o.sign * scores[o.key] for o in self.scored)
            better = all(o.sign * rival.rewards[o.key] > o.sign * hopeful[o.key] for o in self.measured)
            if no_worse and better:
                expected = ", ".join(f"{name} {value:.4g}" for name, value in hopeful.items())
                return f"task {rival.number} scores as well and is better than all that is expected of it ({expected} at best)"
        return None


POLICIES: Registry[type[MeasuringPolicy]] = Registry(
    "measuring policy", {"all": f"{__name__}:MeasureAll", "promising": f"{__name__}:MeasurePromising"}
)


def policy_of(plan: JobPlan, store: Store, job_id: str, *, phase: str) -> MeasuringPolicy:
    """Return the policy that a plan names; outside of the search everything is measured.

    Args:
        plan: The job's plan.
        store: The record of work.
        job_id: The job.
        phase: Whose tasks are measured.
    """
    return POLICIES.get(plan.measure if phase == SEARCH else "all")(plan, store, job_id)
