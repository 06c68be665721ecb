"""How the parameters of an Optuna study and the configurations of a search space correspond. Not where either comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ...search.space.cell import Cell
from ...search.space.configure import violated, walk
from ...search.space.domain import Constant, Domain
from ...search.space.permutation import Permutation
from ...search.space.values import same

if TYPE_CHECKING:
    from ...search.space import Config, Parameter, SearchSpace

_LARGEST_INT = 2**53
_MOST_STEPS = 1_000_000


class OutsideError(ValueError):
    """A value is missing, or is none of its parameter's; what carries it is not of the space."""


@dataclass(frozen=True)
class Link:
    """One parameter of a study, and what it is in a configuration.

    Args:
        distribution: What it may be in the study.
        path: The parameter of the space.
        edge: The edge of a cell that it chooses the operation of, the item of a permutation that it places, or None.
        values: The values of the space, in the order of the distribution's choices; None for numbers, which are the same.
    """

    distribution: BaseDistribution
    path: str
    edge: str | None = None
    values: tuple[Any, ...] | None = None

    def inward(self, value: Any) -> Any:
        """Return the space's value for one of the study's.

        Raises:
            OutsideError: It is none of the distribution's.
        """
        distribution = self.distribution
        if self.values is not None:
            try:
                return self.values[int(distribution.to_internal_repr(value))]
            except ValueError as e:
                raise OutsideError(str(e)) from e
        return int(value) if isinstance(distribution, IntDistribution) else float(value)

    def outward(self, value: Any) -> Any:
        """Return the study's value for one of the space's."""
        distribution = self.distribution
        if self.values is not None:
            return distribution.choices[next(i for i, known in enumerate(self.values) if same(known, value))]
        if isinstance(distribution, IntDistribution):
            return int(value)
        low, high, step = float(distribution.low), float(distribution.high), distribution.step
        if step is not None:
            value = low + round((value - low) / step) * step
        return min(max(float(value), low), high)


@dataclass(frozen=True)
class View:
    """A search space, and the parameters of a study that are its configurations.

    Args:
        space: The space.
        links: What each parameter of the study is, by its name there.
    """

    space: SearchSpace
    links: Mapping[str, Link]

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What Optuna calls the relative search space."""
        return {name: link.distribution for name, link in self.links.items()}

    @cached_property
    def _by_path(self) -> dict[str, dict[str, Link]]:
        found: dict[str, dict[str, Link]] = {}
        for name, link in self.links.items():
            found.setdefault(link.path, {})[name] = link
        return found

    def params(self, config: Config) -> dict[str, Any]:
        """Return the study's parameters that are active in a configuration."""
        found = {}
        for name, link in self.links.items():
            if link.path in config:
                value = divided(self.space.parameters[link.path].domain, config[link.path])[link.edge]
                found[name] = link.outward(value)
        return found

    def config(self, params: Mapping[str, Any], *, complete: bool) -> Config | None:
        """Return the configuration that parameters of the study are; those that are none of the space's do not matter.

        Args:
            params: Values by name.
            complete: Whether a missing value is the default; a parameter that is new to the study was never evaluated
                without it in another sense.

        Returns:
            A valid configuration, or None where a value is missing or outside, or a rule of the space is broken.
        """

        def choose(parameter: Parameter) -> Any:
            if isinstance(parameter.domain, Constant):
                return parameter.default
            value = self._value(parameter, params, complete=complete)
            if not parameter.domain.contains(value):
                raise OutsideError
            return parameter.domain.normalize(value)

        try:
            config = walk(self.space, choose)
        except OutsideError:
            return None
        return None if violated(self.space, config) is not None else config

    def _value(self, parameter: Parameter, params: Mapping[str, Any], *, complete: bool) -> Any:
        links = self._by_path.get(parameter.path, {})
        given = {link.edge: link.inward(params[name]) for name, link in links.items() if name in params}
        if len(given) < len(links) or not links:
            if not complete and links:
                raise OutsideError
            return parameter.default
        return joined(parameter.domain, given)


def divided(domain: Domain, value: Any) -> Mapping[str | None, Any]:
    """Return what of a value each link of its parameter is, by `Link.edge`."""
    if isinstance(domain, Cell):
        return dict(value)
    if isinstance(domain, Permutation):
        return dict(zip(domain.labels, domain.encode(value), strict=True))
    return {None: value}


def joined(domain: Domain, parts: Mapping[str | None, Any]) -> Any:
    """Invert `divided`; places that are equal put items in declared order."""
    if isinstance(domain, Permutation):
        return domain.decode([parts[item] for item in domain.labels])
    return parts.get(None, parts)


def written(distribution: BaseDistribution) -> dict[str, Any] | None:
    """Return a distribution as a search space declares it, or None for one that only Optuna knows.

    The choices are their positions, for Optuna takes any object as one. A step so small that it makes more than a million
    values is left out; `Link.outward` rounds to it.
    """
    if isinstance(distribution, CategoricalDistribution):
        return {"type": "choice", "range": list(range(len(distribution.choices)))}
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution):
        if max(abs(low), abs(high)) > _LARGEST_INT:
            return None
        return {"type": "int", "range": [low, high], "step": distribution.step, "log": distribution.log}
    if not isinstance(distribution, FloatDistribution) or not -1e308 <= low <= high <= 1e308 or high - low > 1e308:
        return None
    spec: dict[str, Any] = {"type": "float", "range": [low, high], "log": distribution.log}
    if distribution.step is not None and (high - low) / distribution.step < _MOST_STEPS:
        spec["step"] = distribution.step
    return spec


def positions(distribution: BaseDistribution) -> tuple[int, ...] | None:
    """Return `Link.values` for a distribution as `written` declares it."""
    return tuple(range(len(distribution.choices))) if isinstance(distribution, CategoricalDistribution) else None
