"""Which changes made the winner better than the default: an ablation path from one configuration to another.

Fawcett and Hoos (Journal of Heuristics 2016): from the source, change one parameter at a time to its value in the target,
always the one that helps most, until the target is reached. What each change adds where it stands on the path is its worth.
Not the importance over the space (``importance.py``): that says what matters anywhere, this what mattered here.

Measuring all configurations on the way would cost many evaluations, so that they are predicted by a random forest on what
was observed (Biedenkapp et al., AAAI 2017), or by any function that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .space.configure import violated, walk
from .space.values import ABSENT

if TYPE_CHECKING:
    from .objective import Goal
    from .space import Config, Parameter, SearchSpace

MIN_OBSERVATIONS = 8
WEAK_R2 = 0.3

Predict = Callable[[Sequence["Config"]], Sequence[float]]
"""Maps configurations to values of the metric."""


@dataclass(frozen=True)
class Step:
    """One change on the path.

    Args:
        path: The parameter that was changed.
        before: Its value before, None where it was not active.
        after: Its value after, None where it is no longer active.
        along: What was activated, deactivated or moved by a rule along with it, by path: the value before and after.
        value: The metric after the change.
        gain: By how much the change made the metric better; below 0 where it made it worse.
    """

    path: str
    before: Any
    after: Any
    along: Mapping[str, tuple[Any, Any]]
    value: float
    gain: float


@dataclass(frozen=True)
class Ablation:
    """The path.

    Args:
        source: Where it starts.
        target: Where it ends.
        start: The metric at the source.
        steps: The changes in their order; empty if source and target are the same, or ``note`` says why.
        r2: How well the forest predicts what it has not seen (out of bag); None where a function was given.
        note: What to be careful about, in a sentence; None if nothing is.
    """

    source: Config
    target: Config
    start: float
    steps: tuple[Step, ...] = ()
    r2: float | None = None
    note: str | None = None

    @property
    def end(self) -> float:
        """The metric at the target."""
        return self.steps[-1].value if self.steps else self.start

    @property
    def gains(self) -> dict[str, float]:
        """What each change on the path added, by parameter, the largest first."""
        return {step.path: step.gain for step in sorted(self.steps, key=lambda step: -step.gain)}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        steps = [
            {**vars(step), "along": {path: list(change) for path, change in step.along.items()}} for step in self.steps
        ]
        return {
            "source": self.source,
            "target": self.target,
            "start": self.start,
            "end": self.end,
            "steps": steps,
            "r2": self.r2,
            "note": self.note,
        }


def ablation(
    space: SearchSpace,
    configs: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    *,
    goal: Goal = "max",
    source: Mapping[str, Any] | None = None,
    target: Mapping[str, Any] | None = None,
    seed: int = 0,
    n_trees: int = 64,
) -> Ablation:
    """Say which changes made one configuration better than another, as far as observations tell.

    Args:
        space: The space.
        configs: `n` configurations of it that were observed.
        values: The metric of each; what is not finite is left out.
        goal: Whether the metric is to be maximized or minimized.
        source: Where the path starts; the space's default configuration.
        target: Where it ends; the best that was observed.
        seed: Of the forest.
        n_trees: Trees in the forest.

    Returns:
        The path, without steps and with a ``note`` where there are fewer than 8 observations.

    Raises:
        ValueError: ``configs`` and ``values`` differ in length.
        SpaceError: A configuration does not belong to the space.
    """
    from .encoding import Encoding
    from .leaf_anova import Forest

    if len(configs) != len(values):
        raise ValueError(f"{len(configs)} configurations have {len(values)} values; expected one each")
    sign = 1.0 if goal == "max" else -1.0
    y = np.asarray(values, dtype=np.float64)
    seen = [int(i) for i in np.flatnonzero(np.isfinite(y))]
    y = y[seen]
    begin: Config = space.default() if source is None else dict(source)
    if len(seen) < MIN_OBSERVATIONS:
        end = begin if target is None else dict(target)
        note = f"Not enough observations: an ablation needs {MIN_OBSERVATIONS}, there are {len(seen)}."
        return Ablation(begin, end, start=float("nan"), note=note)
    end = dict(configs[seen[int(np.argmax(sign * y))]]) if target is None else dict(target)
    encoding = Encoding(space)
    forest = Forest(encoding.encode([configs[i] for i in seen]).numpy(), y, seed=seed, n_trees=n_trees)

    def predict(wanted: Sequence[Config]) -> Sequence[float]:
        found: list[float] = forest.model.predict(encoding.encode(wanted).numpy()).tolist()
        return found

    found = ablation_path(space, begin, end, predict=predict, goal=goal)
    weak = forest.r2 is None or not forest.r2 >= WEAK_R2
    shown = "unknown" if forest.r2 is None else f"{forest.r2:.2f}"
    note = f"The forest predicts unseen observations poorly (R2 {shown}): more observations are needed."
    return Ablation(begin, end, start=found.start, steps=found.steps, r2=forest.r2, note=note if weak else None)


def ablation_path(
    space: SearchSpace,
    source: Mapping[str, Any],
    target: Mapping[str, Any],
    *,
    predict: Predict,
    goal: Goal = "max",
) -> Ablation:
    """Return the greedy path from ``source`` to ``target`` with the values of ``predict``.

    A change that (de)activates other parameters takes these along: what becomes active takes the target's value, or its
    default where the target has none. So a branch is changed in one step with all that is in it. A change that breaks a rule
    waits until it does not; when all that are left do, they are made together. Cells are changed as a whole, and cells that
    compute the same are the same.

    Args:
        space: The space.
        source: A valid configuration.
        target: A valid configuration.
        predict: The metric of configurations; called once per step with all that the step chooses from.
        goal: Whether the metric is to be maximized or minimized.

    Raises:
        SpaceError: ``source`` or ``target`` does not belong to the space.
    """
    space.validate(source)
    space.validate(target)
    sign = 1.0 if goal == "max" else -1.0
    here, end = dict(source), dict(target)
    start = value = float(predict([here])[0])
    steps: list[Step] = []
    while left := _differing(space, here, end):
        moved = {path: _moved(space, here, end, path) for path in left}
        allowed = {path: config for path, config in moved.items() if violated(space, config) is None} or {left[0]: end}
        values = [float(v) for v in predict(list(allowed.values()))]
        best = max(range(len(values)), key=lambda i: sign * values[i])
        path, config = list(allowed.items())[best]
        along = {
            p: _change(here, config, p) for p in {**here, **config} if p != path and _differ(space, here, config, p)
        }
        steps.append(
            Step(
                path, *_change(here, config, path), along=along, value=values[best], gain=sign * (values[best] - value)
            )
        )
        here, value = config, values[best]
    return Ablation(dict(source), end, start=start, steps=tuple(steps))


def _differing(space: SearchSpace, here: Config, end: Config) -> list[str]:
    """Return the parameters that can be changed to the target's values now: active here and there, and different."""
    return [path for path in space.parameters if path in here and path in end and _differ(space, here, end, path)]


def _differ(space: SearchSpace, one: Config, other: Config, path: str) -> bool:
    first, second = one.get(path, ABSENT), other.get(path, ABSENT)
    if first is ABSENT or second is ABSENT:
        return first is not second
    domain = space.parameters[path].domain
    return bool(domain.canonical(first) != domain.canonical(second))


def _moved(space: SearchSpace, here: Config, end: Config, changed: str) -> Config:
    """Return ``here`` with one parameter as in ``end``, and what that activates as in ``end``."""

    def choose(parameter: Parameter) -> Any:
        path = parameter.path
        if path == changed:
            return end[path]
        if path in here:
            return here[path]
        return end.get(path, parameter.default)

    return walk(space, choose)


def _change(before: Config, after: Config, path: str) -> tuple[Any, Any]:
    return before.get(path), after.get(path)
