"""The job estimator's loop over one phase: generate, wait, learn. All state is in the store, so it can be killed.

It never talks to a worker. What it knows of a task comes from the broker, and a restart goes on from the saved
strategy and from the tasks that are there: the count of tasks decides what is left to do, not a counter in memory.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...errors import JobFailedError, StoreError
from ..live_space import space_versions
from ..measured import told
from ..spec import JobPlan, Phase
from .waiting import POLICIES, OpenTask

if TYPE_CHECKING:
    from ...search import Objective, SearchSpace, SearchStrategy
    from ...search.space.versions import SpaceVersions
    from ...store import Store, TaskRecord

log = logging.getLogger(__name__)

OPEN = ("pending", "reserved", "running")
FINISHED = ("succeeded", "failed", "timeout", "cancelled")
ALL_FAIL = 12
SPARE, NEGLIGIBLE, MOST_AHEAD = 1.5, 0.25, 8  # of the candidates that are proposed ahead of the workers
SLOW_ASK_S = 0.5
STATE_VERSION = 1


@dataclass(frozen=True)
class PhaseSummary:
    """How a phase ended: tasks by final state, and how long it took from the first to the last task."""

    phase: str
    counts: dict[str, int]
    duration_s: float


class JobEstimator:
    """Drive one phase of a job to its end.

    Args:
        store: The record of work.
        job_id: The job; it must have a plan.
        phase: The phase's name in the plan.
    """

    def __init__(self, store: Store, job_id: str, *, phase: str) -> None:
        from ...search import Objective

        self.store = store
        self.job_id = job_id
        self.plan = JobPlan.from_dict(store.jobs.get(job_id).plan or {})
        self.phase: Phase = self.plan.phase(phase)
        self._versions: SpaceVersions = space_versions(self.plan)
        self.objectives: list[Objective] = [Objective.from_dict(o) for o in self.plan.objectives]
        self.policy = POLICIES.get(self.plan.wait)()
        self._told: set[int] = set()
        self._durations_s: list[float] = []
        self._finished: list[TaskRecord] = []
        self._known: dict[int, TaskRecord] = {}
        self._position: int | None = None
        self._ask_s = 0.0
        self._staged = False
        self._cost: Any = None
        self._started = time.monotonic()
        self._spent_before_s = 0.0

    @property
    def space(self) -> SearchSpace:
        """The newest version of the job's space that is known here."""
        return self._versions.current

    def run(self) -> PhaseSummary:
        """Evaluate the phase's tasks and close it.

        Raises:
            JobFailedError: Not one task succeeded; names the causes.
        """
        started = self._started = time.monotonic()
        state = self.store.strategies.load(self.job_id, self.phase.name) or {}
        if not self.store.broker.is_closed(self.job_id, self.phase.name):
            strategy = self._strategy(state)
            self._search(strategy, deadline=self._deadline())
            if not self._cancelled():
                self._close(strategy)
        counts = self.store.broker.counts(self.job_id, phase=self.phase.name)
        self._check_some_succeeded(counts)
        return PhaseSummary(self.phase.name, counts, time.monotonic() - started)

    def warm_up(self) -> None:
        """Import what the strategy will need, ahead of time; safe to call from another thread."""
        from ...search import strategy

        strategy(self.phase.strategy).warm_up()

    # -- the loop

    def _search(self, strategy: SearchStrategy, *, deadline: float) -> None:
        while not self._cancelled():
            self.store.broker.expire(self.job_id)
            self._follow_space(strategy)
            tasks = self._tasks()
            self._learn(strategy, tasks)
            open_tasks = [task for task in tasks if task.state in OPEN]
            remaining = self.phase.trials - sum(task.state != "cancelled" for task in tasks)
            if time.monotonic() >= deadline:
                self._give_up(open_tasks)
                return
            if self._hopeless(tasks) or (remaining <= 0 and not open_tasks):
                return
            decision = self.policy.decide(
                self._with_ages(open_tasks),
                durations_s=self._durations_s,
                overlap=self.plan.workers - 1 + self._lookahead() + self._measured_aside(),
            )
            for task_id in decision.stragglers:
                self.store.broker.timeout(task_id, message=self._too_long(open_tasks, task_id))
            if decision.stragglers:
                continue
            if remaining > 0 and decision.advance and self._generate(strategy, open_tasks, remaining):
                continue
            if remaining > 0 and decision.advance and not open_tasks:
                log.info("the space is exhausted after %d tasks", len(tasks))
                return
            finished = len(tasks) - len(open_tasks)
            patience = min(decision.check_again_s, deadline - time.monotonic(), self.plan.lease_s / 2)
            self.store.broker.wait(
                self.job_id,
                lambda counts, known=finished: sum(counts[s] for s in FINISHED) > known,  # type: ignore[misc]
                max(0.01, patience),
                phase=self.phase.name,
            )

    def _follow_space(self, strategy: SearchStrategy) -> None:
        """Go on in the newest version of the space; what nobody has begun and it does not hold is cancelled."""
        document = self.store.jobs.get(self.job_id).plan or {}
        if document.get("space_hash") == self.plan.space_hash:
            return
        self.plan = JobPlan.from_dict(document)
        self._versions, self._cost = space_versions(self.plan), None
        strategy.change_space(self.space)
        log.info("the space is now version %d", self.plan.space_version)
        for task in self.store.broker.tasks(self.job_id, states=("pending",), phase=self.phase.name):
            if self._versions.project(task.config).config is None:
                self.store.broker.cancel(task.id)
        self._save(strategy)

    def _learn(self, strategy: SearchStrategy, tasks: Sequence[TaskRecord]) -> None:
        fresh = [task for task in tasks if task.state in FINISHED and task.id not in self._told]
        if not fresh:
            return
        strategy.handle_rewards([self._reward(task) for task in fresh])
        self._told.update(task.id for task in fresh)
        self._note(fresh)
        self._save(strategy)

    def _note(self, tasks: Sequence[TaskRecord]) -> None:
        succeeded = [task for task in tasks if task.state == "succeeded" and task.duration_s is not None]
        self._finished.extend(succeeded)
        self._durations_s.extend(task.duration_s or 0.0 for task in succeeded)

    def _generate(self, strategy: SearchStrategy, open_tasks: Sequence[TaskRecord], remaining: int) -> bool:
        from ...search import Candidate

        ahead = 2 * self._lookahead() + self._measured_aside()
        count = min(remaining, max(1, self.plan.workers + ahead - len(open_tasks)))
        pending = [Candidate(task.config, task.fidelity, task.id) for task in open_tasks]
        begun = time.monotonic()
        found = strategy.generate_tasks(count, pending=pending)
        spent = time.monotonic() - begun
        self._ask_s = spent if self._ask_s == 0 else 0.5 * (self._ask_s + spent)
        if not found:
            return False
        self._staged = self._staged or any(c.fidelity is not None for c in found)
        candidates = [Candidate(c.config, c.fidelity or self.phase.fidelity) for c in found]
        try:
            self.store.broker.put(self.job_id, candidates, phase=self.phase.name)
        except StoreError:
            if self._cancelled():  # while the strategy was thinking
                return True
            raise
        self._save(strategy)
        return True

    def _lookahead(self) -> int:
        """How many candidates the workers use up while the strategy thinks, with half as much again to spare.

        None for a strategy that chooses fidelities: what is asked for before results are there cannot be continued from them.
        """
        if self._staged or not self._durations_s:
            return 0
        recent = self._durations_s[-20:]
        think_s = max(self._ask_s, SLOW_ASK_S)  # the next one may be the first that fits a model
        used_up = SPARE * self.plan.workers * think_s / max(1e-3, sum(recent) / len(recent))
        return 0 if used_up < NEGLIGIBLE else min(MOST_AHEAD * self.plan.workers, math.ceil(used_up))

    def _measured_aside(self) -> int:
        """How many tasks are open only because a device measures them, while their workers have time for the next.

        None for a strategy that chooses fidelities, as above. A model on this machine is measured in a fraction of its training.
        """
        if not self.plan.devices or self._staged:
            return 0
        return 1 if set(self.plan.devices) == {"local"} else self.plan.workers

    # -- what is known

    def _tasks(self) -> list[TaskRecord]:
        """Return the phase's tasks as they are now; only those that changed are read again."""
        position = self.store.broker.position(self.job_id)
        changed = self.store.broker.tasks(self.job_id, phase=self.phase.name, changed_after=self._position)
        self._known.update({task.id: task for task in changed})
        self._position = position
        return list(self._known.values())

    def _too_long(self, tasks: Sequence[TaskRecord], task_id: int) -> str:
        started = next((t.started_at for t in tasks if t.id == task_id), None)
        age_s = 0.0 if started is None else (datetime.now(UTC) - started).total_seconds()
        usual_s = sum(self._durations_s) / max(1, len(self._durations_s))
        return (
            f"given up after {age_s:.0f} s: the others took {usual_s:.1f} s on average (--wait says how long is waited)"
        )

    def _with_ages(self, tasks: Sequence[TaskRecord]) -> list[OpenTask]:
        """Return the tasks with their ages; those that are only being measured have none: a device's time is no training."""
        now = datetime.now(UTC)
        in_training = self._in_training(tasks)
        ages = [
            (now - t.started_at).total_seconds() if t.started_at is not None and t.id in in_training else None
            for t in tasks
        ]
        expected = self._expected_s([t.config for t in tasks])
        return [OpenTask(t.id, age, cost) for t, age, cost in zip(tasks, ages, expected, strict=True)]

    def _in_training(self, tasks: Sequence[TaskRecord]) -> set[int]:
        if not self.plan.devices:
            return {task.id for task in tasks}
        return {worker.task_id for worker in self.store.workers.list(self.job_id) if worker.task_id is not None}

    def _expected_s(self, configs: list[dict[str, Any]]) -> list[float | None]:
        if self.plan.wait != "quantile":
            return [None] * len(configs)
        if self._cost is None:
            from .cost import CostModel

            self._cost = CostModel(self.space)
        known = [(self._versions.project(task.config).config, task.duration_s or 0.0) for task in self._finished]
        fitting = [(config, duration_s) for config, duration_s in known if config is not None]
        self._cost.fit([config for config, _ in fitting], [duration_s for _, duration_s in fitting])
        projected = [self._versions.project(config).config for config in configs]
        costs: list[float | None] = self._cost.upper_s([config for config in projected if config is not None])
        found = iter(costs)
        return [None if config is None else next(found) for config in projected]

    def _reward(self, task: TaskRecord) -> Any:
        from ...search import Candidate, Reward

        metrics, state = told(task, [objective.key for objective in self.objectives])
        candidate = Candidate(task.config, task.fidelity, task.id)
        return Reward(candidate, metrics, state=state, cause=task.cause, duration_s=task.duration_s)

    def _hopeless(self, tasks: Sequence[TaskRecord]) -> bool:
        states = Counter(task.state for task in tasks)
        return states["succeeded"] == 0 and states["failed"] >= ALL_FAIL

    def _cancelled(self) -> bool:
        return self.store.jobs.get(self.job_id).state == "cancelled"

    # -- state

    def _strategy(self, state: dict[str, Any]) -> SearchStrategy:
        from ...search import strategy as make_strategy

        strategy = make_strategy(self.phase.strategy)
        strategy.bind_space(self._space_of(state), self.objectives, seed=self.plan.seed)
        if "strategy" in state:
            strategy.load(state["strategy"])
            self._told = set(state["told"])
            self._spent_before_s = float(state.get("spent_s", 0.0))
            known = self.store.broker.tasks(self.job_id, phase=self.phase.name)
            self._note([task for task in known if task.id in self._told])
            if self._version_of(state) < self.plan.space_version:  # it was changed while nobody drove the job
                strategy.change_space(self.space)
        return strategy

    def _version_of(self, state: dict[str, Any]) -> int:
        return int(state.get("space_version", 1 if "strategy" in state else self.plan.space_version))

    def _space_of(self, state: dict[str, Any]) -> SearchSpace:
        """Return the version of the space that a saved state is of; the newest without one."""
        from ...search import SearchSpace

        version = self._version_of(state)
        if version >= self.plan.space_version:
            return self.space
        return SearchSpace.from_dict(self.plan.space_versions[version - 1]["space"])

    def _save(self, strategy: SearchStrategy) -> None:
        state = {
            "version": STATE_VERSION,
            "strategy": strategy.dump(),
            "space_version": self.plan.space_version,
            "told": sorted(self._told),
            "spent_s": self._spent_before_s + time.monotonic() - self._started,
        }
        self.store.strategies.save(self.job_id, self.phase.name, state)

    def _deadline(self) -> float:
        """Return when the time budget ends; what the search did not run, being interrupted, does not count."""
        budget_s = self.plan.time_budget_s
        if budget_s is None or self.phase.name != "search":
            return math.inf
        return self._started + max(0.0, budget_s - self._spent_before_s)

    def _give_up(self, tasks: Sequence[TaskRecord]) -> None:
        for task in tasks:
            if task.state == "pending":
                self.store.broker.cancel(task.id)
            else:
                self.store.broker.timeout(task.id)

    def _close(self, strategy: SearchStrategy) -> None:
        self._learn(strategy, self.store.broker.tasks(self.job_id, phase=self.phase.name))
        self.store.broker.close_phase(self.job_id, self.phase.name)

    def _check_some_succeeded(self, counts: dict[str, int]) -> None:
        if counts["succeeded"] or self._cancelled():
            return
        tasks = self.store.broker.tasks(self.job_id, phase=self.phase.name)
        causes = Counter(f"{task.cause or task.state}: {task.message or 'no message'}" for task in tasks)
        listed = "; ".join(f"{count} x {cause}" for cause, count in causes.most_common(3)) or "no task was evaluated"
        raise JobFailedError(
            f"None of the {len(tasks)} tasks of the {self.phase.name} phase succeeded: {listed}.",
            hint=f"See the tasks' logs below the job's folder, or: omniforge jobs show {self.job_id}",
        )
