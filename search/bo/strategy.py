"""Bayesian optimization as a strategy: a space-filling design, then the model; without torch until the model is asked.

Whatever the model cannot do (a fit that fails, targets that are all alike) is logged and done by mutations of the best.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...errors import SpecError
from ..candidate import SUCCEEDED
from ..methods.designed import DesignedStrategy
from ..methods.proposing import Ask
from ..pareto import fitness_order
from ..space import Config
from ..space.values import plain
from ..strategy import check_integer
from .composition import Choice, check_choices, check_options, check_search
from .fitted import Fitted

if TYPE_CHECKING:
    from ..objective import Objective
    from ..space import SearchSpace
    from .proposal import Proposer

log = logging.getLogger(__name__)

AUTO = "auto"
FAILURES = ("worst", "model")
_FEWEST, _MOST = 8, 16
_DESIGNED = 3
_PARENTS = 5


class BayesianStrategy(DesignedStrategy):
    """Evaluate the default configuration and a Sobol design, then what the acquisition prefers.

    Failed and timed out candidates are avoided by a model of where they are, or count as the worst that was seen in every
    objective. Pending ones are believed to return what the model predicts.

    Args:
        initial: Configurations before the model is used, at least 2; by default twice the branches of the widest choice with
            submodules, within 8 and 16, but no more than a third of the budget.
        surrogate: What models the targets, ``"auto"`` for what suits the space (``"of"`` where there is a cell or a permutation,
            or nothing but unordered choices, else ``"gp"``); the names of parts are those of `composition`, and docs/search.md
            explains them.
        acquisition: What is worth evaluating.
        optimizer: What maximizes the acquisition.
        generator: Where it starts.
        suggester: How a batch is chosen.
        max_observations: The most that the model learns from, at least 10; see `proposal.select`.
        budget: How many evaluations are planned in all, at least 1, for parts that follow a schedule.
        failures: What failed candidates teach: ``"model"``, where candidates fail (see `failures`), or ``"worst"``, that they
            are as bad as the worst that was seen, which is also what acquisitions do that are no logs.

    Raises:
        UnknownNameError: A part has another name.
        SpecError: An option is out of range.
    """

    name: ClassVar[str] = "bo"
    _regional: ClassVar[bool] = False
    """Whether it moves a trust region."""
    _sound: ClassVar[Mapping[str, Choice]] = {}
    """Choices of its own with options, which need no check."""

    def __init__(
        self,
        *,
        initial: int | None = None,
        surrogate: Choice = AUTO,
        acquisition: Choice = AUTO,
        optimizer: Choice = "mixed",
        generator: Choice = "mixture",
        suggester: Choice = "believer",
        max_observations: int = 256,
        budget: int | None = None,
        failures: str = "model",
    ) -> None:
        super().__init__()
        if failures not in FAILURES:
            raise SpecError(f"failures is {failures!r}, expected 'worst' or 'model'.")
        self._failures = failures
        self._budget = None if budget is None else check_integer(budget, "budget", low=1)
        self._given_initial = None if initial is None else check_integer(initial, "initial", low=2)
        self._max_observations = check_integer(max_observations, "max_observations", low=10)
        self._chooses = surrogate == AUTO
        self._choices: dict[str, Choice] = {
            "surrogate": "gp" if self._chooses else surrogate,
            "acquisition": acquisition,
            "optimizer": optimizer,
            "generator": generator,
            "suggester": suggester,
        }
        check_choices(self._choices, regional=self._regional)
        self._given = {**self._choices, "surrogate": surrogate}
        self._proposer: Proposer | None = None
        self._fitted = Fitted()

    def bind_space(self, space: SearchSpace, objectives: Sequence[Objective], *, seed: int) -> None:
        """Start a search; see `SearchStrategy.bind_space`.

        Parts with options are made once, which loads torch; where there are none but names, nothing heavy is.

        Raises:
            SpecError: A part takes another number of objectives, a smaller space or other options.
        """
        self._choose(space)
        optimized = sum(objective.optimized for objective in objectives)
        if optimized:
            check_search(self._choices, objectives=optimized, size=space.size())
        check_options({kind: own for kind, own in self._given.items() if own != self._sound.get(kind)}, space)
        super().bind_space(space, objectives, seed=seed)

    def change_space(self, space: SearchSpace) -> None:
        """Go on in another version of the space; see `SearchStrategy.change_space`.

        Raises:
            SpecError: A part takes a smaller space.
        """
        self._choose(space)
        optimized = sum(objective.optimized for objective in self.history.objectives)
        check_search(self._choices, objectives=optimized, size=space.size())
        super().change_space(space)

    def _choose(self, space: SearchSpace) -> None:
        """Settle on the surrogate that suits a space, where that is left open."""
        if self._chooses:
            self._choices["surrogate"] = "of" if _is_discrete(space) else "gp"

    # -------------------------------------------------------------------------------------------------- proposals

    def _propose(self, ask: Ask) -> Iterator[Config]:
        designed = self._left_to_design(ask, self._initial())
        yield from self._designed(ask, designed)
        if designed < ask.count:
            yield from self._modelled(ask, ask.count - designed)

    def _initial(self) -> int:
        if self._given_initial is not None:
            return self._given_initial
        wanted = min(max(_FEWEST, 2 * _branches(self.history.space)), _MOST)
        return wanted if self._budget is None else max(2, min(wanted, self._budget // _DESIGNED))

    def _point(self) -> Config:
        """Return the default configuration, then the points of the design."""
        self._position += 1
        if self._position == 1:
            return self.history.space.default()
        return self._design_of_space().config(self._position - 2)

    def _modelled(self, ask: Ask, count: int) -> Iterator[Config]:
        try:
            found = self._ask_model(ask, count)
        except (RuntimeError, ArithmeticError, np.linalg.LinAlgError) as e:
            log.warning("the model failed on %d observations, mutating the best instead: %s", len(self.history), e)
            found = self._mutations(ask, count)
        yield from found

    def _ask_model(self, ask: Ask, count: int) -> list[Config]:
        from .proposal import Data, Proposer

        history = self.history
        if self._proposer is None:
            self._proposer = Proposer(
                history.space,
                history.objectives,
                choices=self._choices,
                max_observations=self._max_observations,
                failures=self._failures,
            )
        found, self._fitted = self._proposer.propose(
            count,
            Data(
                history.configs,
                history.targets(),
                ask.pending,
                durations_s=[o.duration_s if o.state == SUCCEEDED else None for o in history.observations],
                budget=self._budget,
            ),
            fitted=self._fitted,
            is_new=lambda config: history.space.config_hash(config) not in ask.taken,
            rng=ask.rng,
        )
        return found

    def _mutations(self, ask: Ask, count: int) -> list[Config]:
        history = self.history
        best = fitness_order(history.targets(), history.objectives)[:_PARENTS]
        out: list[Config] = []
        for i in best:
            out += history.space.neighbors(history.configs[i], ask.rng, count=2 * count)[: -(-2 * count // len(best))]
        return out

    # ------------------------------------------------------------------------------------------------------ state

    def _options(self) -> dict[str, Any]:
        return {kind: plain(choice) for kind, choice in self._given.items()} | {"failures": self._failures}

    def _extra(self) -> dict[str, Any]:
        return {**super()._extra(), "model": self._fitted.to_dict()}

    def _restore(self, extra: Mapping[str, Any]) -> None:
        super()._restore(extra)
        self._proposer = None
        self._fitted = Fitted.from_dict(extra["model"]) if extra else Fitted()

    def _space_changed(self) -> None:
        self._restore({**self._extra(), "model": Fitted().to_dict()})

    def warm_up(self) -> None:
        """Import what the design and the model need, and run both once on a toy, which loads what they load late."""
        from ..candidate import Reward
        from ..objective import Objective
        from ..space import SearchSpace

        space = SearchSpace.from_dict(
            {"x": {"type": "float", "range": [0, 1]}, "c": {"type": "choice", "range": ["a", "b"]}}
        )
        toy = BayesianStrategy(initial=3)
        toy.bind_space(space, [Objective("f", "max"), Objective("g", "min")], seed=0)
        for _ in range(4):
            for candidate in toy.generate_tasks(1):
                x = float(candidate.config["x"])
                toy.handle_rewards([Reward(candidate, {"f": x, "g": x * x})])


def _is_discrete(space: SearchSpace) -> bool:
    """Say whether there is a cell or an order, or nothing but unordered choices."""
    domains = [parameter.domain for parameter in space.parameters.values()]
    if any(domain.kind in ("cell", "permutation") for domain in domains):
        return True
    return all(domain.kind in ("choice", "bool", "constant") for domain in domains)


def _branches(space: SearchSpace) -> int:
    """Return the number of values of the widest always active choice with submodules; 0 without one."""
    parents = {parameter.parent for parameter in space.parameters.values()}
    sizes = [p.domain.size() for path, p in space.parameters.items() if path in parents and not p.above]
    return int(min(max(sizes, default=0), _MOST))


def auto(initial: int | None = None, budget: int | None = None) -> BayesianStrategy:
    """Return the strategy for when nothing is known of the search: `BayesianStrategy` with its own choice of parts.

    Args:
        initial: Configurations before the model is used, at least 2.
        budget: How many evaluations are planned in all, at least 1.

    Raises:
        SpecError: An option is smaller.
    """
    return BayesianStrategy(initial=initial, budget=budget)


def of(initial: int | None = None, budget: int | None = None) -> BayesianStrategy:
    """Return the strategy for large discrete spaces and architecture cells: `BayesianStrategy` with the surrogate ``of``.

    Failures count as the worst that was seen: among cells they are chance more often than a region's.

    Args:
        initial: Configurations before the model is used, at least 2.
        budget: How many evaluations are planned in all, at least 1.

    Raises:
        SpecError: An option is smaller.
    """
    return BayesianStrategy(initial=initial, surrogate="of", budget=budget, failures="worst")
