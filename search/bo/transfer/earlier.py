"""Observations of earlier tasks as a new search sees them: read from options, in its space. No model of them; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import OmniForgeError, SpecError
from ...candidate import STATES, SUCCEEDED, Candidate, Reward
from ...pareto import FloatArray, fitness_order, targets
from ...space import Config, SearchSpace

if TYPE_CHECKING:
    from ...objective import Objective

_FEWEST = 2
_HINT = "Write {observations: [{config: {...}, metrics: {accuracy: 0.93}}, ...], space: {...}}; space may be left out."


@dataclass(frozen=True)
class EarlierTask:
    """What an earlier search evaluated.

    Args:
        rewards: Its observations in order.
        space: Where it searched; None for the space of the new search.
        name: What to call it.
    """

    rewards: tuple[Reward, ...]
    space: SearchSpace | None = None
    name: str = ""

    @classmethod
    def from_dict(cls, document: Any, position: int) -> EarlierTask:
        """Read ``{"observations": [{"config", "metrics", "state"}], "space", "name"}``; all but the first may be left out.

        Args:
            document: JSON values.
            position: Its place in the list, for messages.

        Raises:
            SpecError: It has another form.
        """
        what = f"tasks[{position}]"
        if not isinstance(document, Mapping) or not isinstance(document.get("observations"), list | tuple):
            raise SpecError(f"{what} is no mapping with a list of observations.", hint=_HINT)
        unknown = sorted(set(document) - {"observations", "space", "name"})
        if unknown:
            raise SpecError(f"{what} has the unknown field {unknown[0]!r}.", hint=_HINT)
        rewards = tuple(_reward(row, f"{what}.observations[{i}]") for i, row in enumerate(document["observations"]))
        space = document.get("space")
        try:
            found = None if space is None else SearchSpace.from_dict(space)
        except (OmniForgeError, TypeError, AttributeError) as e:
            raise SpecError(f"{what}.space is no search space: {e}", hint=_HINT) from e
        return cls(rewards, found, str(document.get("name") or f"task {position}"))


def _reward(row: Any, what: str) -> Reward:
    if not isinstance(row, Mapping) or not isinstance(row.get("config"), Mapping):
        raise SpecError(f"{what} is {row!r}, expected a mapping with a config.", hint=_HINT)
    metrics, state = row.get("metrics") or {}, row.get("state", SUCCEEDED)
    if state not in STATES:
        raise SpecError(f"{what}.state is {state!r}, expected one of {', '.join(STATES)}.")
    if not isinstance(metrics, Mapping) or not all(isinstance(v, int | float) for v in metrics.values()):
        raise SpecError(f"{what}.metrics is {metrics!r}, expected numbers by metric.", hint=_HINT)
    return Reward(Candidate(dict(row["config"])), {key: float(value) for key, value in metrics.items()}, state=state)


@dataclass(frozen=True)
class Known:
    """One earlier task in the new space: `n` configurations and their `n x m` values to maximize, NaN rows for failures."""

    name: str
    configs: tuple[Config, ...]
    Y: FloatArray


def known(tasks: Sequence[EarlierTask], space: SearchSpace, objectives: Sequence[Objective]) -> tuple[Known, ...]:
    """Return what the new search can learn from.

    Configurations are projected (`space.versions.project`), those that the new space cannot express are left out, and so is
    a task of which fewer than two different values are left in any objective: it ranks nothing.
    """
    out = []
    for task in tasks:
        projected = [space.project(reward.candidate.config, task.space or space).config for reward in task.rewards]
        kept = [(config, reward) for config, reward in zip(projected, task.rewards, strict=True) if config is not None]
        Y = targets([reward for _, reward in kept], objectives)
        complete = Y[np.isfinite(Y).all(axis=1)]
        if len(complete) >= _FEWEST and bool((complete.max(axis=0) > complete.min(axis=0)).all()):
            out.append(Known(task.name, tuple(config for config, _ in kept), Y))
    return tuple(out)


def winners(tasks: Sequence[Known], space: SearchSpace, objectives: Sequence[Objective], *, count: int) -> list[Config]:
    """Return up to ``count`` different configurations that did well before: the best of each task in turn.

    The best of a task comes first. After that a configuration is preferred that differs in many parameters from those
    chosen, among the best tenth of its task (at least five), so that a few evaluations say which of the earlier tasks the
    new one is like.
    """
    queues = []
    for task in tasks:
        order = fitness_order(task.Y, objectives)
        best = order[: max(5, math.ceil(len(order) / 10))]
        queues.append([task.configs[i] for i in best if bool(np.isfinite(task.Y[i]).all())])
    chosen: list[Config] = []
    taken: set[str] = set()
    while len(chosen) < count and any(queues):
        for queue in queues:
            fresh = [config for config in queue if space.config_hash(config) not in taken]
            queue[:] = fresh
            if fresh and len(chosen) < count:
                config = fresh[0] if len(chosen) < len(queues) else max(fresh, key=lambda c: _distance(c, chosen))
                chosen.append(config)
                taken.add(space.config_hash(config))
    return chosen


def _distance(config: Config, others: Sequence[Config]) -> float:
    """Return the least share of parameters (of edges in a cell, of places in an order) in which ``config`` is unlike another."""
    return min(_differing(_flat(config), _flat(other)) for other in others)


def _flat(config: Config) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for path, value in config.items():
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        out |= {f"{path}/{key}": part for key, part in parts} or {path: value}
    return out


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    paths = a.keys() | b.keys()
    return sum(path not in a or path not in b or bool(a[path] != b[path]) for path in paths) / max(1, len(paths))
