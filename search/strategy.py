"""The contract of search strategies, and the names under which they are found. No strategy is implemented here."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import SpecError
from ..registry import Registry
from .space.values import plain_number

if TYPE_CHECKING:
    from .candidate import Candidate, Reward
    from .objective import Objective
    from .space import SearchSpace


class SearchStrategy(ABC):
    """Propose candidates and learn from their rewards: values in, values out.

    It knows no clock, store or global seed; the same seed and the same calls give the same candidates. A strategy serves one
    search, from one thread::

        s = strategy("auto")
        s.bind_space(space, [Objective("accuracy", "max")], seed=0)
        for candidate in s.generate_tasks(4):
            s.handle_rewards([Reward(candidate, {"accuracy": 0.93})])
    """

    name: ClassVar[str]

    @abstractmethod
    def bind_space(self, space: SearchSpace, objectives: Sequence[Objective], *, seed: int) -> None:
        """Start a search; what was learned before is forgotten.

        Args:
            space: Where to search.
            objectives: What to optimize, at least one.
            seed: At least 0; all randomness comes from it.

        Raises:
            SpecError: The objectives or the seed cannot be used.
        """

    def change_space(self, space: SearchSpace) -> None:  # noqa: ARG002
        """Go on in another version of the space: values added or taken away, ranges widened or cut, parameters that came or went.

        Nothing that was observed is lost. What is valid in the new version informs the search, completed by the defaults of
        parameters that are new and without those that are gone (see `space.versions.project`); the rest is kept, says nothing
        and comes back when a later version has room for it. Candidates of earlier versions may still be pending, and their
        rewards are taken.

        Args:
            space: The new version; it may be an earlier one again.

        Raises:
            SpecError: The strategy cannot search ``space``, or none that changes; it goes on as before.
            RuntimeError: `bind_space` was not called.
        """
        raise SpecError(
            f"The strategy {self.name!r} cannot go on when its space changes.",
            hint="Start a new search, or choose another strategy.",
        )

    @abstractmethod
    def generate_tasks(self, count: int, *, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        """Propose candidates.

        Args:
            count: How many, at least 0.
            pending: Candidates that are being evaluated, whoever proposed them.

        Returns:
            ``count`` valid candidates, all different and none rewarded, pending or proposed before at the same fidelity;
            fewer, down to none, once the space is exhausted.
        """

    @abstractmethod
    def handle_rewards(self, rewards: Sequence[Reward]) -> None:
        """Learn what came of candidates: those proposed here and others, in any order, failed and timed out ones too.

        Raises:
            SpaceError: A configuration belongs to no version of the space; then none of the rewards is learned.
        """

    @abstractmethod
    def dump(self) -> dict[str, Any]:
        """Return all that was learned as versioned JSON."""

    @abstractmethod
    def load(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `dump` was called; `bind_space` comes first, with the newest space and the objectives of then.

        Raises:
            SpecError: The state is of another strategy, space, objectives or version.
        """

    def warm_up(self) -> None:  # noqa: B027 - most strategies have nothing to load
        """Import what later calls will need, so that none of them waits for it; may be called from another thread."""


STRATEGIES: Registry[Callable[..., SearchStrategy]] = Registry(
    "strategy",
    {
        "asha": ".fidelity.presets:asha",
        "auto": ".bo.strategy:auto",
        "bo": ".bo.strategy:BayesianStrategy",
        "bohamiann": ".bo.presets:bohamiann",
        "bohb": ".fidelity.presets:bohb",
        "evolution": ".methods.evolution:EvolutionStrategy",
        "freeze-thaw": ".fidelity.presets:freeze_thaw",
        "hyperband": ".fidelity.presets:hyperband",
        "mfes": ".fidelity.presets:mfes",
        "mf-nas": ".methods.mf_nas:MaxFlowStrategy",
        "nsga2": ".methods.nsga2:NSGA2Strategy",
        "of": ".bo.strategy:of",
        "of-hd": ".bo.regional.strategy:RegionStrategy",
        "of-trans": ".bo.transfer.strategy:TransferStrategy",
        "random": ".methods.random:RandomStrategy",
        "seeded": ".methods.seeded:SeededStrategy",
        "smac": ".bo.presets:smac",
        "sobol": ".methods.sobol:SobolStrategy",
        "tpe": ".methods.tpe:TPEStrategy",
    },
    package=__package__,
)


def strategies() -> tuple[str, ...]:
    """Return the names that `strategy` takes."""
    return tuple(STRATEGIES)


def strategy(choice: str | Mapping[str, Any] = "auto") -> SearchStrategy:
    """Return a new strategy.

    Args:
        choice: A name, or a mapping from one name to its options, such as ``{"evolution": {"population_size": 50}}``.

    Raises:
        UnknownNameError: No strategy has that name.
        SpecError: The choice has another form, or an option is unknown or out of range.
    """
    name, options = one_choice(choice, "strategy")
    if name not in STRATEGIES and any(mark in name for mark in ":{"):
        hint = f"Give a mapping, such as {{'bo': {{'surrogate': 'gp'}}}}, or one of {', '.join(strategies())}."
        raise SpecError(f"The strategy {name!r} is text that would have to be read first.", hint=hint)
    made: SearchStrategy = build(STRATEGIES.get(name), options, what=f"strategy {name!r}")
    return made


def one_choice(choice: str | Mapping[str, Any], kind: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of ``"name"`` or ``{"name": {...}}``.

    Raises:
        SpecError: It has another form.
    """
    if isinstance(choice, str):
        return choice, {}
    hint = f"Write a name, or one name with options: {{name: {{option: value}}}}; known options depend on the {kind}."
    if not isinstance(choice, Mapping) or len(choice) != 1:
        raise SpecError(f"The {kind} {choice!r} is neither a name nor a mapping with one name.", hint=hint)
    name, options = next(iter(choice.items()))
    if not isinstance(name, str) or not isinstance(options, Mapping | None):
        raise SpecError(f"The {kind} {choice!r} does not map a name to its options.", hint=hint)
    return name, dict(options or {})


def build(make: Callable[..., Any], options: Mapping[str, Any], *, what: str, first: Sequence[Any] = ()) -> Any:
    """Call ``make`` with the arguments ``first`` and with options that it takes.

    Raises:
        SpecError: It does not take one of them.
    """
    known = list(inspect.signature(make).parameters)[len(first) :]
    for option in options:
        if option not in known:
            hint = f"Known: {', '.join(known)}." if known else "It takes none."
            raise SpecError(f"The {what} has no option {option!r}.", hint=hint)
    return make(*first, **options)


def check_integer(value: Any, option: str, *, low: int) -> int:
    """Return an integer option.

    Raises:
        SpecError: It is no integer, or below ``low``.
    """
    number = plain_number(value)
    if not isinstance(number, int) or number < low:
        raise SpecError(f"{option} is {value!r}, expected an integer of at least {low}.")
    return number


def check_number(value: Any, option: str, *, low: float, high: float) -> float:
    """Return a number option.

    Raises:
        SpecError: It is no number, or not within ``low`` and ``high``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise SpecError(f"{option} is {value!r}, expected a number from {low:g} to {high:g}.")
    return float(value)


def check_flag(value: Any, option: str) -> bool:
    """Return a yes or no; words are none, so that ``"no"`` does not count as a yes.

    Raises:
        SpecError: It is neither true nor false.
    """
    if not isinstance(value, bool):
        raise SpecError(f"{option} is {value!r}, expected true or false.")
    return value
