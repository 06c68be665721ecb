"""The parameters of a Katib experiment as a search space, and its assignments as configurations. Not the experiment's trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import SpecError
from ...search.space import Config, SearchSpace
from ..foreign_names import names_for
from .messages import word

_DEVIATIONS = 6
"""Standard deviations of a normal distribution between ``min`` and ``max``, as Katib's own algorithms take them."""


class Parameters:
    """The parameters of one experiment.

    ``double`` and ``int`` are ranges with their step; ``logUniform`` is a log scale, ``normal`` and ``logNormal`` are priors
    around the middle, on that scale. ``discrete`` is an ordinal in the order of its numbers, ``categorical`` a choice.

    Args:
        specs: ``ParameterSpec`` messages.

    Raises:
        SpecError: There is none, or one of them cannot be read; with its name, the field, the value and the fix.
    """

    def __init__(self, specs: Sequence[Any]) -> None:
        if not specs:
            raise SpecError("The experiment has no parameters.", hint="Declare them under spec.parameters.")
        if len({spec.name for spec in specs}) < len(specs):
            raise SpecError("Two parameters of the experiment have one name.", hint="Rename one of them.")
        self._names = names_for(spec.name for spec in specs)
        self._texts: dict[str, dict[Any, str]] = {}
        declared = {}
        for spec in specs:
            kind = word("ParameterType", spec.parameter_type)
            if kind not in _DECLARE:
                hint = "Katib has double, int, discrete and categorical."
                raise SpecError(f"Parameter {spec.name!r}: the type is {kind}.", hint=hint)
            declared[self._names[spec.name]], texts = _DECLARE[kind](spec)
            if texts:
                self._texts[self._names[spec.name]] = texts
        self.space = SearchSpace.from_dict(declared)

    def assignments(self, config: Config) -> list[tuple[str, str]]:
        """Return a configuration as names and texts, in the order of the experiment."""
        found = []
        for name, path in self._names.items():
            value = config[path]
            texts = self._texts.get(path)
            found.append((name, repr(value) if texts is None else texts[value]))
        return found

    def config(self, assignments: Mapping[str, str]) -> Config | None:
        """Return the configuration of a trial, or None when it is not one of this experiment's."""
        config: Config = {}
        for name, path in self._names.items():
            value = self._read(path, assignments.get(name, ""))
            domain = self.space.parameters[path].domain
            if value is None or not domain.contains(value):
                return None
            config[path] = domain.normalize(value)
        return config

    def _read(self, path: str, text: str) -> Any:
        texts = self._texts.get(path)
        if (
            texts is not None
            and (found := next((value for value, known in texts.items() if known == text), None)) is not None
        ):
            return found
        kind = self.space.parameters[path].kind
        if kind == "choice":
            return None
        try:
            number = float(text)
        except ValueError:
            return None
        return int(number) if kind == "int" and number.is_integer() else number


Declared = tuple[dict[str, Any], dict[Any, str]]


def _double(spec: Any) -> Declared:
    low, high, step = _ends(spec)
    declared: dict[str, Any] = {"type": "float", "range": [low, high]}
    if step is not None:
        declared["step"] = step
    return declared | _scale(spec, low=low, high=high), {}


def _int(spec: Any) -> Declared:
    low, high, step = _ends(spec)
    for field, value in (("min", low), ("max", high), ("step", step)):
        if value is not None and not value.is_integer():
            raise SpecError(f"Parameter {spec.name!r}: {field} is {value}, expected an integer.")
    declared: dict[str, Any] = {"type": "int", "range": [int(low), int(high)], "step": int(step or 1)}
    return declared | _scale(spec, low=low, high=high), {}


def _discrete(spec: Any) -> Declared:
    texts = {_number(spec, "list", text): text for text in _listed(spec)}
    if len(texts) < len(spec.feasible_space.list):
        raise SpecError(f"Parameter {spec.name!r}: a number stands twice in its list.", hint="Remove one of them.")
    return {"type": "ordinal", "range": sorted(texts)}, texts


def _categorical(spec: Any) -> Declared:
    texts = {text: text for text in _listed(spec)}
    if len(texts) < len(spec.feasible_space.list):
        raise SpecError(f"Parameter {spec.name!r}: a value stands twice in its list.", hint="Remove one of them.")
    return {"type": "choice", "range": list(texts)}, texts


_DECLARE: Mapping[str, Callable[[Any], Declared]] = {
    "DOUBLE": _double,
    "INT": _int,
    "DISCRETE": _discrete,
    "CATEGORICAL": _categorical,
}


def _listed(spec: Any) -> list[str]:
    if not spec.feasible_space.list:
        raise SpecError(
            f"Parameter {spec.name!r}: its list is empty.", hint="Write the values under feasibleSpace.list."
        )
    return list(spec.feasible_space.list)


def _ends(spec: Any) -> tuple[float, float, float | None]:
    space = spec.feasible_space
    low, high = _number(spec, "min", space.min), _number(spec, "max", space.max)
    if low > high:
        raise SpecError(f"Parameter {spec.name!r}: min is {space.min} and max is {space.max}.", hint="Swap them.")
    step = _number(spec, "step", space.step) if space.step.strip() else 0.0
    if step < 0 or (step > high - low > 0):
        hint = "Give a positive step that is at most max - min, or none."
        raise SpecError(f"Parameter {spec.name!r}: the step is {space.step}.", hint=hint)
    return low, high, step or None


def _number(spec: Any, field: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SpecError(
            f"Parameter {spec.name!r}: {field} is {text!r}, expected a finite number.",
            hint=f"Write, for example, {field}: {'[0.1, 0.2]' if field == 'list' else '0.1'} under feasibleSpace.",
        )
    return number


def _scale(spec: Any, *, low: float, high: float) -> dict[str, Any]:
    """Return the keys for the distribution of a range."""
    kind = word("Distribution", spec.feasible_space.distribution)
    log = kind in ("LOG_UNIFORM", "LOG_NORMAL")
    if log and low <= 0:
        hint = "Raise min above 0, or use uniform or normal."
        raise SpecError(f"Parameter {spec.name!r}: the distribution is {kind} and min is {low}.", hint=hint)
    declared: dict[str, Any] = {"log": True} if log else {}
    if kind in ("NORMAL", "LOG_NORMAL") and high > low:
        start, end = (math.log10(low), math.log10(high)) if log else (low, high)
        middle = (start + end) / 2
        mean = min(max(10.0**middle if log else middle, low), high)
        declared["prior"] = {"normal": {"mean": mean, "std": (end - start) / _DEVIATIONS}}
    return declared
