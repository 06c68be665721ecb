"""What a strategy has seen: rewarded and proposed configurations, by value. Not what is concluded from them.

The space may change meanwhile. Everything is kept as it was evaluated, and `History.observations` is what of it the newest
version of the space can express; see `space.versions`.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SpecError
from .candidate import CANCELLED, SUCCEEDED, Candidate, Reward
from .pareto import FloatArray, targets
from .space import Config
from .space.values import plain, plain_number
from .space.versions import SpaceVersions

if TYPE_CHECKING:
    from .objective import Objective
    from .space import SearchSpace

log = logging.getLogger(__name__)


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
        self._warned = False

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

        A success without any of the objectives is logged once: it counts as a failure.

        Raises:
            SpaceError: A configuration belongs to no version of the space; nothing is added then.
            SpecError: A metric or a fidelity is no number, or a duration is negative; nothing is added then.
        """
        found = [self._read(reward) for reward in rewards]
        for reward, observation in zip(rewards, found, strict=True):
            self._proposed.pop(observation.key, None)
            if reward.state != CANCELLED:
                self._warn(reward)
                self._append(observation)

    def _read(self, reward: Reward) -> Observation:
        candidate = reward.candidate
        self._versions.validate(candidate.config)
        config = {path: plain(value) for path, value in candidate.config.items()}
        metrics = {name: _number(value, f"metric {name!r}") for name, value in reward.metrics.items()}
        fidelity = {name: _number(value, f"fidelity {name!r}") for name, value in (candidate.fidelity or {}).items()}
        for name, value in fidelity.items():
            if not math.isfinite(value):
                raise SpecError(f"The fidelity {name!r} is {value}, expected a finite number.")
        duration_s = None if reward.duration_s is None else _number(reward.duration_s, "duration")
        if duration_s is not None and duration_s < 0:
            raise SpecError(f"The duration is {duration_s} s, expected at least 0, or None where it is unknown.")
        return Observation(
            config,
            self.space.config_hash(config),
            {name: value for name, value in metrics.items() if math.isfinite(value)},
            reward.state,
            fidelity or None,
            duration_s if duration_s is not None and math.isfinite(duration_s) else None,
        )

    def _warn(self, reward: Reward) -> None:
        keys = [objective.key for objective in self.objectives]
        if self._warned or reward.state != SUCCEEDED or any(key in reward.metrics for key in keys):
            return
        self._warned = True
        given = ", ".join(repr(name) for name in reward.metrics) or "no metric"
        log.warning("a success came with %s and counts as a failure: the objectives are %s", given, ", ".join(keys))

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
        self._proposed[key] = copy.deepcopy(config)

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


def _number(value: Any, what: str) -> float:
    number = plain_number(value)
    if number is None:
        raise SpecError(f"The {what} is {value!r}, expected a number.", hint="Give a float; NaN where it is unknown.")
    return float(number)
