"""What a search optimizes: a metric, its direction, where it is measured and what it must satisfy. Not how it is measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from ..errors import SpecError, UnknownNameError

Goal = Literal["max", "min"]

FORM = "METRIC[:max|min][@DEVICE][<=BOUND|>=BOUND][*WEIGHT]"
_NAME = r"[A-Za-z_][A-Za-z0-9_.\-]*"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PATTERN = re.compile(
    rf"(?P<metric>{_NAME})"
    r"(?:\s*:\s*(?P<goal>[A-Za-z]*))?"
    rf"(?:\s*@\s*(?P<device>{_NAME}))?"
    rf"(?:\s*(?P<relation>[<>]=?|=+)\s*(?P<bound>{_NUMBER}))?"
    rf"(?:\s*\*\s*(?P<weight>{_NUMBER}))?"
)
_LOCAL = (None, "local", "cpu")


@dataclass(frozen=True)
class Objective:
    """A metric to maximize or to minimize.

    Args:
        metric: The metric's name.
        goal: ``"max"`` or ``"min"``.
        device: Where it is measured; None, ``"local"`` and its alias ``"cpu"`` are this machine.
        bound: The worst acceptable value, a constraint: at least this for ``max``, at most this for ``min``.
        weight: How much it counts when one solution is picked from several trade-offs, at least 0. With weight 0 only its
            bound counts.

    Raises:
        SpecError: The goal, the bound or the weight is not one of those, or weight 0 has no bound.
    """

    metric: str
    goal: Goal
    device: str | None = None
    bound: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.goal not in ("max", "min"):
            raise SpecError(f"Objective {self.metric!r}: the goal is {self.goal!r}, expected 'max' or 'min'.")
        if not re.fullmatch(_NAME, self.metric):
            raise SpecError(
                f"Objective {self.metric!r}: a metric's name begins with a letter or '_' and has letters, digits, '_', '-' "
                "and '.'.",
                hint="Report it under such a name, 'val_acc' for 'val/acc' say.",
            )
        if self.device is not None and not re.fullmatch(_NAME, self.device):
            raise SpecError(f"Objective {self.metric!r}: {self.device!r} is no device's name.")
        if self.bound is not None and not math.isfinite(self.bound):
            raise SpecError(f"Objective {self.metric!r}: the bound is {self.bound}, expected a finite number.")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise SpecError(f"Objective {self.metric!r}: the weight is {self.weight}, expected a number of at least 0.")
        if self.weight == 0 and self.bound is None:
            hint = "Give it a bound, or a weight above 0."
            raise SpecError(f"Objective {self.metric!r} has weight 0 and no bound, so that it says nothing.", hint=hint)

    @property
    def key(self) -> str:
        """The key of its value in `Reward.metrics`: ``metric``, or ``metric@device`` when measured elsewhere."""
        return self.metric if self.device in _LOCAL else f"{self.metric}@{self.device}"

    @property
    def sign(self) -> int:
        """The factor that turns a value into one to maximize: 1 or -1."""
        return 1 if self.goal == "max" else -1

    @property
    def optimized(self) -> bool:
        """Whether it is an objective and not only a constraint."""
        return self.weight > 0

    def satisfied(self, value: float) -> bool:
        """Say whether ``value`` is finite and within the bound."""
        return math.isfinite(value) and (self.bound is None or self.sign * value >= self.sign * self.bound)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "metric": self.metric,
            "goal": self.goal,
            "device": self.device,
            "bound": self.bound,
            "weight": self.weight,
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Objective:
        """Invert `to_dict`; ``metric`` and ``goal`` are needed.

        Raises:
            SpecError: A field is missing, unknown or has another type.
        """
        known = ("metric", "goal", "device", "bound", "weight")
        for name in mapping:
            if name not in known:
                raise SpecError(f"An objective has no field {name!r}; expected {', '.join(known)}.")
        for name in ("metric", "goal"):
            if not isinstance(mapping.get(name), str):
                raise SpecError(f"An objective needs the field {name!r} as a string, not {mapping.get(name)!r}.")
        try:
            bound = None if mapping.get("bound") is None else float(mapping["bound"])
            weight = float(mapping.get("weight", 1.0))
        except (TypeError, ValueError) as e:
            raise SpecError(f"Objective {mapping['metric']!r}: bound and weight are numbers.") from e
        device = mapping.get("device")
        return cls(mapping["metric"], mapping["goal"], device=device, bound=bound, weight=weight)

    @classmethod
    def parse(cls, text: str, *, goals: Mapping[str, str] | None = None) -> Objective:
        """Read ``METRIC[:max|min][@DEVICE][<=BOUND|>=BOUND][*WEIGHT]``, such as ``latency_ms:min@local<=5``.

        Args:
            text: The objective as written; blanks between its parts do not matter.
            goals: The goal of each known metric. It fills in a goal that is not written; without it any metric is taken
                and the goal has to be written or to follow from the bound.

        Raises:
            SpecError: ``text`` has another form, or its parts contradict each other.
            UnknownNameError: ``goals`` is given and does not have the metric.
        """
        match = _PATTERN.fullmatch(text.strip())
        if match is None:
            hint = f"Write {FORM}, such as 'accuracy:max' or 'latency_ms:min@local<=5'."
            raise SpecError(f"The objective {text!r} cannot be read.", hint=hint)
        metric, relation, bound = match["metric"], match["relation"], match["bound"]
        if goals is not None and metric not in goals:
            raise UnknownNameError("metric", metric, goals)
        if relation not in (None, "<=", ">="):
            raise SpecError(f"The objective {text!r} has the relation {relation!r}; expected '<=' or '>='.")
        implied = {None: None, "<=": "min", ">=": "max"}[relation]
        goal = _goal(text, match["goal"], known=goals.get(metric) if goals else implied)
        if implied is not None and implied != goal:
            fix = f"{'>=' if goal == 'max' else '<='}{bound}"
            problem = (
                f"The objective {text!r} bounds a metric to {goal}imize with {relation!r}, which its best values break."
            )
            raise SpecError(problem, hint=f"Write {metric}:{goal}{fix}, or the other goal.")
        weight = 1.0 if match["weight"] is None else float(match["weight"])
        device = "local" if match["device"] == "cpu" else match["device"]
        return cls(metric, goal, device=device, bound=None if bound is None else float(bound), weight=weight)

    def __str__(self) -> str:
        device = "" if self.device is None else f"@{'local' if self.device == 'cpu' else self.device}"
        bound = "" if self.bound is None else f"{'>=' if self.goal == 'max' else '<='}{self.bound!r}"
        weight = "" if self.weight == 1.0 else f"*{self.weight!r}"
        return f"{self.metric}:{self.goal}{device}{bound}{weight}"


def _goal(text: str, written: str | None, *, known: str | None) -> Goal:
    goal = written.lower() if written else known
    if goal is None:
        raise SpecError(f"The objective {text!r} does not say its goal.", hint=f"Write {text}:max or {text}:min.")
    if goal not in ("max", "min"):
        raise SpecError(f"The objective {text!r} has the goal {goal!r}; expected 'max' or 'min'.")
    return cast("Goal", goal)


def check_objectives(objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """Return the objectives of one search.

    Raises:
        SpecError: There is none, something else is among them, one is there twice, or none is to be optimized.
    """
    objectives = _listed(objectives)
    others = [other for other in objectives if not isinstance(other, Objective)]
    if others:
        hint = "Give a list of Objective('accuracy', 'max'), or Objective.parse('accuracy:max')."
        raise SpecError(f"The objective {others[0]!r} is no Objective.", hint=hint)
    if not objectives:
        raise SpecError(
            "A search needs at least one objective.", hint="Give one, such as Objective('accuracy', 'max')."
        )
    twice = _first_repeated(objective.key for objective in objectives)
    if twice is not None:
        raise SpecError(f"The objective {twice!r} is given twice.", hint="Merge the two into one.")
    if not any(objective.optimized for objective in objectives):
        raise SpecError(
            "All objectives have weight 0: there is nothing to optimize.", hint="Give one a weight above 0."
        )
    return tuple(objectives)


def _listed(objectives: Any) -> list[Any]:
    """Return what was given as a list; one thing that is no list is the only item of one."""
    return list(objectives) if isinstance(objectives, list | tuple) else [objectives]


def _first_repeated(keys: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None
