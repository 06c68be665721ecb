"""The worker's loop: reserve, train, report, until the phase is closed. It keeps nothing that the store does not have.

What is trained is measured in a lane beside the loop, so that a device's time costs no time of training.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import StaleAttemptError
from ...settings import Settings
from ..deployment_estimator.policy import policy_of
from ..live_space import space_versions
from ..spec import JobPlan
from ..task_estimator.tte import REQUIRED
from .early_stopping import EarlyStopping
from .heartbeat import Heartbeat
from .lane import Lane, Work
from .trial import LOST, Outcome, Trial, TrialRequest

if TYPE_CHECKING:
    from ...launch import Launcher
    from ...search import Objective
    from ...sidecar import Sidecar
    from ...store import Store, TaskRecord

log = logging.getLogger(__name__)

WAIT_FOR_WORK_S = 2.0

End = Callable[["TaskRecord", Outcome], None]


class Worker:
    """Evaluate the tasks of one phase of a job.

    Args:
        store: The record of work.
        job_id: The job; it must have a plan.
        phase: Whose tasks are evaluated.
        worker_id: Unique among all workers of all time.
        settings: Where things live.
        sidecar: Started, and stopped, by the caller.
        launcher: Has what the estimator needs preloaded.
    """

    def __init__(
        self,
        store: Store,
        job_id: str,
        *,
        phase: str,
        worker_id: str,
        settings: Settings,
        sidecar: Sidecar,
        launcher: Launcher,
    ) -> None:
        from ...deploy.devices import read_devices
        from ...estimators import load_bundle
        from ...search import Objective

        self.store = store
        self.job_id = job_id
        self.phase = phase
        self.worker_id = worker_id
        self.settings = settings
        self.sidecar = sidecar
        self.launcher = launcher
        self.plan = JobPlan.from_dict(store.jobs.get(job_id).plan or {})
        self.objectives: list[Objective] = [Objective.from_dict(o) for o in self.plan.objectives]
        self._own_hash = load_bundle(self.plan.estimator).space.hash
        self._versions = space_versions(self.plan)
        known = read_devices(settings.home_path) if self.plan.devices else {}
        self._request = TrialRequest(
            self.plan,
            folder=settings.job_path(job_id),
            locks=settings.home_path / "locks",
            devices=tuple(self.plan.devices),
            remote=frozenset(name for name in self.plan.devices if name in known and known[name].url is not None),
            export=REQUIRED if self.plan.devices else None,
        )
        self._away: set[str] = set()  # touched by the lane only
        self._policy = policy_of(self.plan, store, job_id, phase=phase)

    def request(self, task: TaskRecord) -> TrialRequest:
        """How a task of this phase is evaluated: checked against the version of the space that it is of."""
        source = self._versions.source(task.config)
        if source is None:  # the space was changed since this worker looked
            self._versions = space_versions(JobPlan.from_dict(self.store.jobs.get(self.job_id).plan or {}))
            source = self._versions.source(task.config) or self._versions.current
        return replace(self._request, space=None if source.hash == self._own_hash else source.to_dict())

    def run(self, on_outcome: Callable[[TaskRecord, Outcome], None] | None = None) -> int:
        """Work until the phase is closed and nothing is left; return how many tasks were evaluated.

        Args:
            on_outcome: Called with every task and how it ended, from this thread or the lane's, one at a time.
        """
        self.store.workers.register(self.worker_id, job_id=self.job_id, pid=os.getpid(), host=socket.gethostname())
        counted: list[bool] = []
        ending = threading.Lock()

        def end(task: TaskRecord, outcome: Outcome) -> None:
            with ending:
                counted.append(self._report(task, outcome))
                if on_outcome is not None:
                    on_outcome(task, outcome)

        with Heartbeat(self.store, self.worker_id, lease_s=self.plan.lease_s) as heartbeat, Lane() as lane:
            try:
                self._loop(heartbeat, lane, end)
            except BaseException:
                heartbeat.lose_all()
                raise
        return sum(counted)

    def _loop(self, heartbeat: Heartbeat, lane: Lane, end: End) -> None:
        while True:
            lane.check()
            task = self.store.broker.reserve(self.job_id, self.worker_id, lease_s=self.plan.lease_s, phase=self.phase)
            if task is not None:
                self._evaluate(task, heartbeat, lane, end)
            elif self.closed():
                return
            else:
                self.store.broker.wait_for_work(self.job_id, WAIT_FOR_WORK_S, phase=self.phase)

    def _evaluate(self, task: TaskRecord, heartbeat: Heartbeat, lane: Lane, end: End) -> None:
        """Train a task here and now, and hand it to the lane where a device is to measure it."""
        lost = heartbeat.hold(task)
        trial = Trial(task, self.request(task), sidecar=self.sidecar, launcher=self.launcher)

        def let_go() -> None:
            trial.close()
            heartbeat.let_go(task)

        def measure() -> None:
            try:
                outcome = self._measured(task, trial, lost)
            finally:
                let_go()
            end(task, outcome)

        try:
            outcome = self._train(task, trial, lost)
        except BaseException:
            let_go()
            raise
        if outcome is None:
            heartbeat.trained(task)
            lane.submit(Work(measure, let_go))
        else:
            let_go()
            end(task, outcome)

    def _train(self, task: TaskRecord, trial: Trial, lost: threading.Event) -> Outcome | None:
        def on_launched() -> None:
            try:
                self.store.broker.start(task)
            except StaleAttemptError:
                lost.set()

        stopping = EarlyStopping(
            self.store,
            task,
            objective=self.objectives[0],
            enabled=self.plan.early_stopping and task.phase == "search",
            rule=self.plan.stopping,
        )
        return trial.train(stopping=stopping, lost=lost, on_launched=on_launched)

    def _measured(self, task: TaskRecord, trial: Trial, lost: threading.Event) -> Outcome:
        """Measure what was trained, unless the policy says that it is hopeless."""
        skip = self._policy.decide(task, trial.scores)
        return trial.measure(lost, away=self._away) if skip is None else trial.skip(skip.predicted, skip.why)

    def _report(self, task: TaskRecord, outcome: Outcome) -> bool:
        if outcome.state == LOST:
            log.info("task %d is not ours any more", task.number)
            return False
        try:
            if outcome.retry:
                self.store.broker.release(task, cause=outcome.cause or "killed", message=outcome.message)
                return False
            return self.store.broker.report(
                task,
                outcome.state,
                outcome.rewards,
                cause=outcome.cause,
                message=outcome.message,
                device=outcome.device,
                duration_s=outcome.duration_s,
            )
        except StaleAttemptError as e:
            log.info("task %d was given to someone else: %s", task.number, e.message)
            return False

    def closed(self) -> bool:
        """Whether no more tasks will come."""
        if self.store.jobs.get(self.job_id).state == "cancelled":
            return True
        return self.store.broker.is_closed(self.job_id, self.phase)
