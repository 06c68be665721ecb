"""A cluster in simulated time: workers, stragglers and deaths around a strategy and a waiting policy. It measures nothing real.

The policies are those of `omniforge.components.job_estimator.waiting`, asked as the job estimator asks them: with the ages of
the open tasks, the durations of the finished ones, and one free worker as the sign that candidates are needed.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omniforge.components.job_estimator.waiting import OpenTask, WaitPolicy
from omniforge.search import Candidate, Reward, SearchStrategy

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Cluster:
    """What candidates run on.

    Args:
        workers: At least 1.
        killed: The share of candidates that die, at a uniformly drawn part of their time.
        stragglers: The share of candidates that take ``slowdown`` times as long.
        slowdown: At least 1.
        spread: The standard deviation of the log of a candidate's time, for nodes that are not alike.
    """

    workers: int
    killed: float = 0.0
    stragglers: float = 0.05
    slowdown: float = 8.0
    spread: float = 0.2


@dataclass(frozen=True)
class Finished:
    """One candidate's end: when in seconds, its value (None when it died or was given up on) and its state."""

    at_s: float
    value: float | None
    state: str


@dataclass
class _Running:
    candidate: Candidate
    started_s: float
    ends_s: float
    dies: bool
    id: int


@dataclass
class _Queue:
    """What is open: running on workers, and waiting for one."""

    running: dict[int, _Running] = field(default_factory=dict)
    waiting: list[Candidate] = field(default_factory=list)


class Simulation:
    """One search on one cluster.

    Args:
        strategy: Bound to a space with one objective.
        cluster: The workers.
        policy: When to ask and what to give up on.
        measure: A configuration's metrics.
        seconds: A configuration's time on a node of average speed.
        seed: Of stragglers, deaths and spread; a candidate's luck depends on its number alone, so that policies share it.
    """

    def __init__(
        self,
        strategy: SearchStrategy,
        cluster: Cluster,
        policy: WaitPolicy,
        *,
        measure: Callable[[Config], dict[str, float]],
        seconds: Callable[[Config], float],
        seed: int,
    ) -> None:
        self._strategy, self._cluster, self._policy = strategy, cluster, policy
        self._measure, self._seconds, self._seed = measure, seconds, seed
        self._now, self._begun = 0.0, 0
        self._queue = _Queue()
        self._ends: list[tuple[float, int]] = []
        self._durations: list[float] = []
        self._log: list[Finished] = []

    def run(self, evaluations: int) -> list[Finished]:
        """Evaluate that many candidates and return their ends in order; no task is begun after the last one is given out."""
        while len(self._log) < evaluations:
            queue = self._queue
            self._start()
            decision = self._policy.decide(self._open(), durations_s=self._durations, overlap=self._cluster.workers - 1)
            if decision.stragglers:
                for task_id in decision.stragglers:
                    self._end(queue.running.pop(task_id), "timeout")
                continue
            given = self._begun + len(queue.waiting)
            count = min(evaluations - given, self._cluster.workers - len(queue.running) - len(queue.waiting))
            if decision.advance and count > 0:
                pending = [task.candidate for task in queue.running.values()] + queue.waiting
                found = self._strategy.generate_tasks(count, pending=pending)
                queue.waiting += found
                if found:
                    continue
            if not queue.running:
                break
            self._advance(decision.check_again_s)
        return self._log

    def _open(self) -> list[OpenTask]:
        running = [OpenTask(task.id, self._now - task.started_s) for task in self._queue.running.values()]
        return [*running, *(OpenTask(-1 - i, None) for i in range(len(self._queue.waiting)))]

    def _start(self) -> None:
        """Give waiting candidates to free workers."""
        queue = self._queue
        while queue.waiting and len(queue.running) < self._cluster.workers:
            candidate = queue.waiting.pop(0)
            rng = np.random.default_rng([self._seed, self._begun])
            late, dies, part, noise = rng.random(), rng.random(), rng.random(), rng.standard_normal()
            duration = self._seconds(candidate.config) * math.exp(self._cluster.spread * noise)
            if late < self._cluster.stragglers:
                duration *= self._cluster.slowdown
            killed = dies < self._cluster.killed
            duration *= part if killed else 1.0
            task = _Running(candidate, self._now, self._now + duration, killed, id=self._begun)
            queue.running[task.id] = task
            heapq.heappush(self._ends, (task.ends_s, task.id))
            self._begun += 1

    def _advance(self, check_again_s: float) -> None:
        """Go to the next end of a task, or to when the policy wants to look again."""
        while self._ends and self._ends[0][1] not in self._queue.running:
            heapq.heappop(self._ends)
        if self._now + check_again_s < self._ends[0][0]:
            self._now += check_again_s + 1e-6
            return
        self._now, task_id = heapq.heappop(self._ends)
        task = self._queue.running.pop(task_id)
        if not task.dies:
            self._durations.append(self._now - task.started_s)
        self._end(task, "failed" if task.dies else "succeeded")

    def _end(self, task: _Running, state: str) -> None:
        metrics = self._measure(task.candidate.config) if state == "succeeded" else {}
        duration = self._now - task.started_s
        self._strategy.handle_rewards([Reward(task.candidate, metrics, state=state, duration_s=duration)])
        value = next(iter(metrics.values())) if metrics else None
        self._log.append(Finished(self._now, value, state))
