"""What a strategy has seen: rewarded and proposed configurations, by value. Not what is concluded from them.

The space may change meanwhile. Everything is kept as it was evaluated, and `History.observations` is what of it the newest
version of the space can express; see `space.versions`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .candidate import CANCELLED, Candidate, Reward
from .pareto import FloatArray, targets
from .space import Config
from .space.versions import SpaceVersions

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
    """The observations of one search in order of arrival, and what was proposed and not yet observed.

    Args:
        space: The first version of the space.
        objectives: What is optimized.

    Attributes:
        observations: What was observed, as the newest version of the space has it; what it cannot express is left out.
    """

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        self.objectives = tuple(objectives)
        self.observations: list[Observation] = []
        self._versions = SpaceVersions(space)
        self._evaluated: list[Observation] = []
        self._seen: set[str] = set()
        self._proposed: dict[str, Config] = {}

    def __len__(self) -> int:
        return len(self.observations)

    @property
    def space(self) -> SearchSpace:
        """The newest version of the space."""
        return self._versions.current

    @property
    def evaluated(self) -> Sequence[Observation]:
        """All that was ever observed, as it was evaluated, whatever version of the space it belongs to."""
        return tuple(self._evaluated)

    def change_space(self, space: SearchSpace) -> None:
        """Go on in another version of the space; see `SearchStrategy.change_space`."""
        self._versions.change(space)
        self._project()

    def observe(self, rewards: Sequence[Reward]) -> None:
        """Add rewards. A cancelled one says nothing, so that its configuration is free to be proposed again.

        Raises:
            SpaceError: A configuration belongs to no version of the space; nothing is added then.
        """
        for reward in rewards:
            self._versions.validate(reward.candidate.config)
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
        self._evaluated.append(observation)
        self._seen.add(observation.key)
        found = self._versions.project(observation.config)
        if found.config is None:
            return
        key = observation.key if found.config == observation.config else self.space.config_hash(found.config)
        self.observations.append(replace(observation, config=found.config, key=key))
        if found.exact:
            self._seen.add(key)

    def _project(self) -> None:
        """See everything from the newest version of the space."""
        evaluated, self._evaluated, self.observations, self._seen = self._evaluated, [], [], set()
        for observation in evaluated:
            self._append(replace(observation, key=self.space.config_hash(observation.config)))
        self._proposed = {self.space.config_hash(config): config for config in self._proposed.values()}

    def propose(self, key: str, config: Config) -> None:
        """Note that a configuration was handed out."""
        self._proposed[key] = config

    def waiting(self, pending: Iterable[Candidate]) -> tuple[Config, ...]:
        """Return the pending configurations as the newest version of the space has them, without those that it has not."""
        found = (self._versions.project(candidate.config).config for candidate in pending)
        return tuple(config for config in found if config is not None)

    def taken(self, pending: Iterable[Candidate]) -> set[str]:
        """Return the keys that are not to be proposed again."""
        keys = set(self._seen)
        for config in (*self._proposed.values(), *(candidate.config for candidate in pending)):
            keys.add(self.space.config_hash(config))
            found = self._versions.project(config) if self._versions.earlier else None
            if found is not None and found.config is not None and found.exact:
                keys.add(self.space.config_hash(found.config))
        return keys

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
            "spaces": self._versions.dump(),
            "observations": [
                {
                    "config": o.config,
                    "metrics": dict(o.metrics),
                    "state": o.state,
                    "fidelity": None if o.fidelity is None else dict(o.fidelity),
                    "duration_s": o.duration_s,
                }
                for o in self._evaluated
            ],
            "proposed": list(self._proposed.values()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Replace the history by a dumped one."""
        self._versions.load(state.get("spaces", ()))
        self._evaluated, self.observations, self._seen, self._proposed = [], [], set(), {}
        for row in state["observations"]:
            key = self.space.config_hash(row["config"])
            self._append(
                Observation(row["config"], key, row["metrics"], row["state"], row["fidelity"], row["duration_s"])
            )
        for config in state["proposed"]:
            self._proposed[self.space.config_hash(config)] = config
