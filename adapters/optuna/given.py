"""A search space as the parameters of an Optuna study, given beforehand: for conditions, rules, cells, orders. Not the sampler."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ...errors import SpaceError
from ...search.space.cell import Cell
from ...search.space.configure import walk
from ...search.space.domain import Categorical, Constant
from ...search.space.numeric import Integer, Numeric
from ...search.space.permutation import Permutation
from .view import Link, View, joined

if TYPE_CHECKING:
    import optuna

    from ...search.space import Config, Parameter, SearchSpace


def view_of(space: SearchSpace) -> View:
    """Return how the study of an objective that asks with `suggest` sees a search space.

    A parameter of the study is named by its path; a cell is one for each of its edges, ``arch[0-1]``, a permutation the place
    of each of its items, ``order[a]``, and a constant none. Places that other samplers give may be equal: then items come as
    they are declared.
    """
    links: dict[str, Link] = {}
    for parameter in space.parameters.values():
        links |= _links(parameter)
    return View(space, links)


def suggest(trial: optuna.Trial, space: SearchSpace) -> Config:
    """Ask a trial for a configuration of ``space``: its active parameters, parents first.

    Args:
        trial: What an objective gets, of a study with any sampler; `OmniforgeSampler` with the same ``space`` proposes
            only what the rules of the space allow, others know no rules.
        space: The space.
    """

    def choose(parameter: Parameter) -> Any:
        links = _links(parameter)
        values = {link.edge: link.inward(_ask(trial, name, link.distribution)) for name, link in links.items()}
        if not values:
            return parameter.default
        return parameter.domain.normalize(joined(parameter.domain, values))

    return walk(space, choose)


def _links(parameter: Parameter) -> dict[str, Link]:
    domain, path = parameter.domain, parameter.path
    if isinstance(domain, Constant):
        return {}
    if isinstance(domain, Cell):
        operations = tuple(domain.operations)
        chosen = CategoricalDistribution(operations)
        return {f"{path}[{edge}]": Link(chosen, path, edge=edge, values=operations) for edge in domain.edges}
    if isinstance(domain, Permutation):
        last = len(domain.items) - 1
        return {f"{path}[{item}]": Link(IntDistribution(0, last), path, edge=item) for item in domain.labels}
    if isinstance(domain, Categorical):
        return {path: Link(CategoricalDistribution([_plain(v) for v in domain.values]), path, values=domain.values)}
    if isinstance(domain, Numeric):
        return {path: Link(_numbers(domain), path)}
    raise SpaceError(f"{path}: Optuna has nothing like a parameter of type {domain.kind}.")


def _numbers(domain: Numeric) -> BaseDistribution:
    """Return a range; Optuna has no step on a log scale, where only the grid counts then."""
    if isinstance(domain, Integer):
        step = int(domain.step or 1)
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log and step == 1, step=step)
    return FloatDistribution(domain.low, domain.high, log=domain.log and domain.step is None, step=domain.step)


def _plain(value: Any) -> Any:
    """Return a value that every storage of Optuna takes; lists and mappings as JSON text."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _ask(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
