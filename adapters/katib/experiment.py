"""One Katib experiment: its trials in, suggestions out. What it remembers, the trials give again. Not the network service."""

from __future__ import annotations

import datetime
import logging
import math
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

import numpy as np

from ...search.candidate import SUCCEEDED, Candidate, Reward
from ...search.space import Config
from ..following import Follower, derived_seed, stopped_early
from .algorithm import Algorithm, read_algorithm
from .messages import word
from .parameters import Parameters

log = logging.getLogger(__name__)

_PENDING = ("CREATED", "RUNNING", "UNKNOWN")
_FAILED = ("FAILED", "METRICSUNAVAILABLE")

Assignments = list[tuple[str, str]]


class ExperimentSearch:
    """The search of one experiment.

    The strategy works in a thread of its own: where it takes longer than Katib waits, random candidates are returned in time,
    and what it finds later is returned next time.

    Args:
        experiment: An ``Experiment`` message.

    Raises:
        SpecError: The parameters, the algorithm, its settings or the objective cannot be used.
    """

    def __init__(self, experiment: Any) -> None:
        self._algorithm: Algorithm = read_algorithm(experiment)
        self._parameters = Parameters(experiment.spec.parameter_specs.parameters)
        self._follower = Follower(self._algorithm.choice, seed=self._algorithm.seed)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="omniforge-katib")
        self._late: list[Future[list[Config]]] = []
        self._handed: list[Config] = []
        self._last_total = 0

    def suggest(self, count: int, *, trials: Sequence[Any], total: int, timeout_s: float) -> list[Assignments]:
        """Return ``count`` suggestions, always as many: Katib takes nothing else.

        Once all configurations of a finite space are known they repeat. A request that is repeated, because its answer was
        lost, is answered as before. Not to be called from two threads at once.

        Args:
            count: How many.
            trials: All ``Trial`` messages of the experiment.
            total: How many suggestions were ever asked for, these included; 0 when unknown.
            timeout_s: When random candidates take the place of what is not there, in seconds.
        """
        configs = {trial.name: self._config(trial) for trial in trials}
        seen = {self._key(config) for config in configs.values() if config is not None}
        handed = [config for config in self._handed if self._key(config) not in seen]
        if total and total == self._last_total and len(handed) == len(self._handed) == count:
            return [self._parameters.assignments(config) for config in handed]
        rewards = self._rewards(trials, configs)
        pending = [config for trial in trials if (config := configs[trial.name]) and _condition(trial) in _PENDING]
        found = self._harvest(seen)[:count]
        future = self._thread.submit(self._ask, count - len(found), rewards, [*pending, *handed, *found], len(trials))
        try:
            found += future.result(timeout=timeout_s)
        except FutureTimeoutError:
            log.warning("no suggestion within %.0f s: random ones are returned, the search goes on", timeout_s)
            self._late.append(future)
            rng = np.random.default_rng(derived_seed(self._algorithm.seed, len(trials), total, 1))
            found += self._parameters.space.sample_many(count - len(found), rng)
        self._handed, self._last_total = found, total
        return [self._parameters.assignments(config) for config in found]

    def close(self) -> None:
        """End the thread once it has nothing to do."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(
        self, count: int, rewards: Mapping[Hashable, Reward | None], pending: list[Config], turn: int
    ) -> list[Config]:
        """Learn and ask, in the thread of the strategy; a restarted service begins at another turn, and repeats nothing."""
        self._follower.bind(self._parameters.space, self._algorithm.objectives, turn=turn)
        self._follower.learn(rewards)
        return self._follower.ask(count, pending=pending, turn=turn)

    def _harvest(self, seen: set[str]) -> list[Config]:
        """Return what came too late for earlier requests and is still new."""
        done = [future for future in self._late if future.done()]
        self._late = [future for future in self._late if not future.done()]
        found = [
            config
            for future in done
            if not future.cancelled() and future.exception() is None
            for config in future.result()
        ]
        return [config for config in found if self._key(config) not in seen]

    # ------------------------------------------------------------------------------------------------------- trials

    def _key(self, config: Config) -> str:
        return self._parameters.space.config_hash(config)

    def _config(self, trial: Any) -> Config | None:
        return self._parameters.config({a.name: a.value for a in trial.spec.parameter_assignments.assignments})

    def _rewards(self, trials: Sequence[Any], configs: Mapping[str, Config | None]) -> dict[Hashable, Reward | None]:
        """Return what came of the trials that ended; a killed one, and one of another space, say nothing."""
        (main, *_) = self._algorithm.objectives
        finished = [
            value
            for trial in trials
            if _condition(trial) == "SUCCEEDED" and math.isfinite(value := self._metrics(trial).get(main.key, math.nan))
        ]
        found: dict[Hashable, Reward | None] = {}
        for trial in trials:
            condition, config = _condition(trial), configs[trial.name]
            if condition in _PENDING:
                continue
            if condition == "KILLED" or config is None:
                found[trial.name] = None
                continue
            metrics = {} if condition in _FAILED else self._metrics(trial)
            if condition == "EARLYSTOPPED" and main.key in metrics:
                metrics[main.key] = stopped_early(metrics[main.key], finished, sign=main.sign)
            state = SUCCEEDED if metrics else "failed"
            found[trial.name] = Reward(Candidate(config), metrics, state=state, duration_s=_duration_s(trial.status))
        return found

    def _metrics(self, trial: Any) -> dict[str, float]:
        given = {metric.name: metric.value for metric in trial.status.observation.metrics}
        found = {}
        for key, katib in self._algorithm.metrics.items():
            try:
                found[key] = float(given[katib])
            except (KeyError, ValueError):  # not collected, or "unavailable"
                continue
        return found


def _condition(trial: Any) -> str:
    return word("TrialStatus.TrialConditionType", trial.status.condition)


def _duration_s(status: Any) -> float | None:
    try:
        begun = datetime.datetime.fromisoformat(status.start_time)
        return (datetime.datetime.fromisoformat(status.completion_time) - begun).total_seconds()
    except (ValueError, TypeError):
        return None
