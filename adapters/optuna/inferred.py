"""The search space of a define-by-run objective, inferred from the trials of its study. Not how it is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from ...errors import SpaceError
from ...search.space import SearchSpace
from ..foreign_names import names_for
from .conditions import CHOICE, FLOAT, INTEGER, conditions
from .view import Link, OutsideError, View, positions, written

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class InferredSpace:
    """The space that the trials of one study show; what most trials do not change is kept.

    Args:
        given: Distributions that are known beforehand, by name.
    """

    def __init__(self, given: Mapping[str, BaseDistribution] | None = None) -> None:
        self._given = dict(given or {})
        self._links: dict[str, Link] = {}
        self._rows: dict[int, dict[str, Any]] = {}
        self._last: tuple[dict[str, Any], View] | None = None

    def view(self, trials: Sequence[FrozenTrial], asked: Mapping[str, BaseDistribution] | None = None) -> View | None:
        """Return the view of all parameters that can vary, or None while none is known.

        Args:
            trials: All trials of the study by number. What their latest ones say of a range counts; which parameters depend
                on which is learned from the completed ones alone, for the others may have ended before they asked.
            asked: Distributions that count in any case.
        """
        links = self._linked(self._distributions(trials, asked or {}))
        if not links:
            return None
        specs = {link.path: written(link.distribution) or {} for link in links.values()}
        when = self._when(trials)
        declared = {path: spec | ({"when": when[path]} if path in when else {}) for path, spec in specs.items()}
        if self._last is None or self._last[0] != declared or self._last[1].links.keys() != links.keys():
            self._last = (declared, View(_space(declared, specs), links))
        return self._last[1]

    def _distributions(
        self, trials: Sequence[FrozenTrial], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, BaseDistribution]:
        found = dict(self._given)
        for trial in trials:
            found |= trial.distributions
        found |= asked
        return {name: found[name] for name in sorted(found) if not found[name].single()}

    def _linked(self, distributions: Mapping[str, BaseDistribution]) -> dict[str, Link]:
        known = {name: d for name, d in distributions.items() if written(d) is not None}
        if known != {name: link.distribution for name, link in self._links.items()}:
            paths = names_for(known)
            self._links = {name: Link(d, paths[name], values=positions(d)) for name, d in known.items()}
            self._rows.clear()
        return self._links

    def _when(self, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
        """Return the conditions, by path."""
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        for trial in done:
            if trial.number not in self._rows:
                self._rows[trial.number] = _row(self._links, trial.params)
        rows = [self._rows[trial.number] for trial in done]
        return conditions(rows, {link.path: _kind(link.distribution) for link in self._links.values()})


def _row(links: Mapping[str, Link], params: Mapping[str, Any]) -> dict[str, Any]:
    row = {}
    for name, value in params.items():
        if name in links:
            try:
                row[links[name].path] = links[name].inward(value)
            except OutsideError:  # a choice that the study no longer has
                continue
    return row


def _kind(distribution: BaseDistribution) -> int:
    if isinstance(distribution, CategoricalDistribution):
        return CHOICE
    return INTEGER if isinstance(distribution, IntDistribution) else FLOAT


def _space(declared: Mapping[str, Any], specs: Mapping[str, Any]) -> SearchSpace:
    """Return the space; without its conditions where a range has since left them behind."""
    try:
        return SearchSpace.from_dict(declared)
    except SpaceError:
        return SearchSpace.from_dict(specs)
