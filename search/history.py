"""What a strategy has seen: rewarded and proposed configurations, by value. Not what is concluded from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .candidate import CANCELLED, Candidate, Reward
from .pareto import FloatArray, targets
from .space import Config

if TYPE_CHECKING:
    from .objective import Objective
    from .space import SearchSpace


@dataclass(frozen=True)
class Observation:
    """One reward.

    Args:
        config: What was evaluated.
        key: The hash of the configuration.
        metrics: The finite measurements.
        state: ``succeeded``, ``failed`` or ``timeout``.
        fidelity: What was spent, or None.
        duration_s: How long it took in seconds, or None.
    """

    config: Config
    key: str
    metrics: Mapping[str, float]
    state: str
    fidelity: Mapping[str, float] | None = None
    duration_s: float | None = None


class History:
    """The observations of one search in order of arrival, and what was proposed and not yet observed."""

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        self.space = space
        self.objectives = tuple(objectives)
        self.observations: list[Observation] = []
        self._seen: set[str] = set()
        self._proposed: dict[str, Config] = {}

    def __len__(self) -> int:
        return len(self.observations)

    def observe(self, rewards: Sequence[Reward]) -> None:
        """Add rewards. A cancelled one says nothing, so that its configuration is free to be proposed again.

        Raises:
            SpaceError: A configuration does not belong to the space; nothing is added then.
        """
        for reward in rewards:
            self.space.validate(reward.candidate.config)
        for reward in rewards:
            config = dict(reward.candidate.config)
            key = self.space.config_hash(config)
            self._proposed.pop(key, None)
            if reward.state == CANCELLED:
                continue
            metrics = {name: float(value) for name, value in reward.metrics.items() if math.isfinite(value)}
            fidelity = None if reward.candidate.fidelity is None else dict(reward.candidate.fidelity)
            self._append(Observation(config, key, metrics, reward.state, fidelity, reward.duration_s))

    def _append(self, observation: Observation) -> None:
        self.observations.append(observation)
        self._seen.add(observation.key)

    def propose(self, key: str, config: Config) -> None:
        """Note that a configuration was handed out."""
        self._proposed[key] = config

    def taken(self, pending: Iterable[Candidate]) -> set[str]:
        """Return the keys that are not to be proposed again."""
        return self._seen | self._proposed.keys() | {self.space.config_hash(candidate.config) for candidate in pending}

    @property
    def configs(self) -> list[Config]:
        """The observed configurations."""
        return [observation.config for observation in self.observations]

    def targets(self) -> FloatArray:
        """Return the values to maximize; a `n x m` array, NaN rows for what failed or is incomplete."""
        rewards = [Reward(Candidate(o.config), o.metrics, state=o.state) for o in self.observations]
        return targets(rewards, self.objectives)

    def succeeded(self) -> int:
        """Count the different configurations that succeeded with all metrics."""
        complete = np.flatnonzero(np.isfinite(self.targets()).all(axis=1))
        return len({self.observations[i].key for i in complete})

    def dump(self) -> dict[str, Any]:
        """Return the history as JSON values."""
        return {
            "observations": [
                {
                    "config": o.config,
                    "metrics": dict(o.metrics),
                    "state": o.state,
                    "fidelity": None if o.fidelity is None else dict(o.fidelity),
                    "duration_s": o.duration_s,
                }
                for o in self.observations
            ],
            "proposed": list(self._proposed.values()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Replace the history by a dumped one."""
        self.observations, self._seen, self._proposed = [], set(), {}
        for row in state["observations"]:
            key = self.space.config_hash(row["config"])
            self._append(
                Observation(row["config"], key, row["metrics"], row["state"], row["fidelity"], row["duration_s"])
            )
        for config in state["proposed"]:
            self._proposed[self.space.config_hash(config)] = config
