"""Where multi-fidelity searches take new configurations from: the priors, a model of all levels, or any other strategy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import SpecError
from ...registry import Registry
from ..bo.composition import check_choices, check_options
from ..candidate import Candidate, Reward
from ..methods.seeded import SeededStrategy
from ..space import Config
from ..strategy import SearchStrategy, build, one_choice, strategy
from .staged import StagedStrategy

if TYPE_CHECKING:
    from ..objective import Objective
    from ..space import SearchSpace
    from .curves import Curve, Curves
    from .staged import Situation

log = logging.getLogger(__name__)

Choice = str | Mapping[str, Any]


class Model(Protocol):
    """Knows the results at all levels, and new configurations that promise something."""

    def most_improving(self, situation: Situation) -> Config | None:
        """Return the most promising new configuration that was found; None for any.

        Raises:
            RuntimeError: It cannot be fitted.
        """

    def dump(self) -> dict[str, Any]:
        """Return what the next fit starts from, as JSON."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` returned; `{}` forgets."""


MODELS: Registry[Callable[..., Model]] = Registry(
    "model of levels", {"model": ".model:CurveModel", "ensemble": ".ensemble:LevelEnsemble"}, package=__package__
)
"""What can model the results of all levels at once."""

_FEWEST = 8
_RANDOM_SHARE = 1.0 / 3.0
_SEEDS = 2**31


class Source(Protocol):
    """Where new configurations come from."""

    @property
    def name(self) -> str:
        """Of the source with its options."""

    def next(self, situation: Situation) -> Config | None:
        """Return a new configuration; None for any."""

    def check(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        """Refuse what it cannot search.

        Args:
            space: Where to search.
            objectives: What to optimize.

        Raises:
            SpecError: The objectives are too many or of another kind, or the space is, or an option is out of range.
        """

    def dump(self) -> dict[str, Any]:
        """Return its state as JSON."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` returned; `{}` for a new search."""

    def warm_up(self) -> None:
        """Import what `next` will need."""


class _Stateless:
    """What sources without state have in common."""

    def check(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        """Take anything."""

    def dump(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take nothing back."""

    def warm_up(self) -> None:
        """Import nothing."""


class Priors(_Stateless):
    """Draws from the space's priors."""

    name = "random"

    def next(self, situation: Situation) -> Config | None:  # noqa: ARG002
        """Leave the choice open."""
        return None


class Modelled(_Stateless):
    """The most promising of many draws from the priors, by a model of all results at all fidelities.

    The model is fitted to at least eight configurations; every third configuration on average is drawn from the priors, as in BOHB
    (Falkner et al., ICML 2018, section 4.1) and, by its authors' share of 0.3, MFES-HB, so that a wrong model costs a constant
    factor at most.

    Args:
        kind: ``"model"``, one process over curves (`CurveModel`), or ``"ensemble"``, a model per level (`LevelEnsemble`).
        options: Of the model.
    """

    def __init__(self, kind: str, options: Mapping[str, Any]) -> None:
        self._kind = kind
        self._options = dict(options)
        self._model: Model | None = None
        self._state: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        """Of the model with its options."""
        return self._kind if not self._options else str({self._kind: self._options})

    def next(self, situation: Situation) -> Config | None:
        """Return the best new configuration that was found; see `Source.next`."""
        if situation.rng.random() < _RANDOM_SHARE or len(situation.curves) < _FEWEST:
            return None
        from .model import usable

        if not usable(situation):
            return None
        if self._model is None:
            self._model = build(MODELS.get(self._kind), self._options, what=f"proposals {self._kind!r}")
            self._model.load(self._state)
        try:
            return self._model.most_improving(situation)
        except RuntimeError as e:
            log.warning("the model failed on %d curves, drawing from the priors instead: %s", len(situation.curves), e)
            return None

    def check(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:  # noqa: ARG002
        """Refuse options of the surrogate that it does not take."""
        check_options(self._options, space)

    def dump(self) -> dict[str, Any]:
        """Return what the next fit starts from."""
        return dict(self._state) if self._model is None else self._model.dump()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` returned."""
        self._model, self._state = None, state

    def warm_up(self) -> None:
        """Import torch and what of BoTorch the model needs."""
        MODELS.get(self._kind)


class Guided(_Stateless):
    """What another strategy proposes that knows the results of one level: the highest with enough of them.

    It is what BOHB does with its densities: the level is the highest with at least eight results. The strategy is made and told
    anew for every proposal, so that a level can give way to a higher one.

    Args:
        choice: The strategy, by name or mapping.

    Raises:
        UnknownNameError: No strategy has that name.
        SpecError: It chooses fidelities itself, or takes other options.
    """

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        if _is_staged(strategy(choice)):
            raise SpecError(
                f"proposals is {choice!r}, which chooses fidelities itself.",
                hint="Give 'random', 'model', 'ensemble' or a strategy such as 'evolution'.",
            )

    @property
    def name(self) -> str:
        """Of the strategy with its options."""
        return str(self._choice)

    def next(self, situation: Situation) -> Config | None:
        """Return what the strategy proposes."""
        curves = situation.curves
        history = curves.history
        made = strategy(self._choice)
        made.bind_space(history.space, history.objectives, seed=int(situation.rng.integers(_SEEDS)))
        told = {id(curve): reward for curve, reward in self._rewards(curves)}
        made.handle_rewards(list(told.values()))
        others = [Candidate(curve.config) for curve in curves if id(curve) not in told]
        found = made.generate_tasks(1, pending=others)
        return found[0].config if found else None

    def check(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        """Take what the strategy takes: one is bound, and forgotten."""
        strategy(self._choice).bind_space(space, objectives, seed=0)

    def warm_up(self) -> None:
        """Warm up the strategy."""
        strategy(self._choice).warm_up()

    @staticmethod
    def _rewards(curves: Curves) -> list[tuple[Curve, Reward]]:
        for value in reversed(curves.levels.values):
            there = [curve for curve in curves if value in curve.results]
            if len(there) >= _FEWEST or value == curves.levels.values[0]:
                seen = [(curve, curves.history.observations[curve.results[value]]) for curve in there]
                return [(curve, Reward(Candidate(o.config), o.metrics, state=o.state)) for curve, o in seen]
        return []


def _model() -> Modelled:
    return Modelled("model", {})


def _ensemble(surrogate: Choice = "gp") -> Modelled:
    check_choices({"surrogate": surrogate})
    return Modelled("ensemble", {"surrogate": surrogate})


_SOURCES: Mapping[str, Callable[..., Source]] = {"random": Priors, "model": _model, "ensemble": _ensemble}


def source(choice: Choice) -> Source:
    """Return a source of new configurations.

    Args:
        choice: ``"random"``, ``"model"``, ``"ensemble"`` (with its option ``surrogate``), or a strategy; by name or mapping.

    Raises:
        UnknownNameError: Nothing has that name.
        SpecError: It is a strategy that chooses fidelities itself, or takes other options.
    """
    name, options = one_choice(choice, "proposals")
    if name in _SOURCES:
        made: Source = build(_SOURCES[name], options, what=f"proposals {name!r}")
        return made
    return Guided(choice)


def _is_staged(made: SearchStrategy) -> bool:
    """Say whether a strategy, or the one that follows given configurations, chooses fidelities."""
    while isinstance(made, SeededStrategy):
        made = made.inner
    return isinstance(made, StagedStrategy)
