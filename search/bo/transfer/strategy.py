"""Bayesian optimization that knows earlier tasks: their winners first, then a surrogate of all tasks. No models here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ....errors import SpecError
from ...methods.proposing import Ask
from ...space import Config
from ...strategy import check_integer, one_choice
from ..composition import NO_PROCESS, Choice
from ..strategy import AUTO, BayesianStrategy
from .earlier import EarlierTask, Known, known, winners

if TYPE_CHECKING:
    from ...objective import Objective
    from ...space import SearchSpace

METHODS = ("rgpe", "multitask")


class TransferStrategy(BayesianStrategy):
    """Begin with what won in earlier tasks, then propose by a surrogate that learned from them too.

    Args:
        tasks: What earlier tasks evaluated: mappings ``{"observations": [{"config", "metrics", "state"}], "space", "name"}``;
            see `earlier.EarlierTask`. Without any that is of use, it is `BayesianStrategy`.
        method: How tasks are related: ``"multitask"``, one Gaussian process over all tasks, or ``"rgpe"``, a rank-weighted
            ensemble over any surrogate.
        surrogate: What models one task, ``"auto"`` for what suits the space; for ``"multitask"`` a Gaussian process.
        warm_start: The most configurations of earlier tasks that are evaluated first, at least 0.
        anchors: Configurations of the usual initial design that follow, at least 0: they tell the model what is bad here.
        acquisition: See `BayesianStrategy`, as for what follows.
        optimizer: What maximizes the acquisition.
        generator: Where it starts.
        suggester: How a batch is chosen.
        max_observations: The most of this task that the model learns from, at least 10.
        budget: How many evaluations are planned in all, at least 1.
        failures: What failed candidates of this task teach.

    Raises:
        UnknownNameError: A part has another name.
        SpecError: A task has another form, or an option is out of range.
    """

    name: ClassVar[str] = "of-trans"

    def __init__(
        self,
        *,
        tasks: Sequence[Mapping[str, Any]] = (),
        method: str = "multitask",
        surrogate: Choice = AUTO,
        warm_start: int = 4,
        anchors: int = 2,
        acquisition: Choice = AUTO,
        optimizer: Choice = "mixed",
        generator: Choice = "mixture",
        suggester: Choice = "believer",
        max_observations: int = 256,
        budget: int | None = None,
        failures: str = "worst",
    ) -> None:
        super().__init__(
            surrogate=surrogate,
            acquisition=acquisition,
            optimizer=optimizer,
            generator=generator,
            suggester=suggester,
            max_observations=max_observations,
            budget=budget,
            failures=failures,
        )
        if method not in METHODS:
            raise SpecError(f"method is {method!r}, expected one of {', '.join(METHODS)}.")
        if not isinstance(tasks, list | tuple):
            raise SpecError(f"tasks is {tasks!r}, expected a list of earlier tasks.")
        self._method = method
        self._base = surrogate
        self._tasks = [EarlierTask.from_dict(task, position) for position, task in enumerate(tasks)]
        self._warm_start = check_integer(warm_start, "warm_start", low=0)
        self._anchors = check_integer(anchors, "anchors", low=0)
        self._known: tuple[Known, ...] = ()
        self._winners: list[Config] = []

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "method": self._method}

    def bind_space(self, space: SearchSpace, objectives: Sequence[Objective], *, seed: int) -> None:
        """Start a search; see `SearchStrategy.bind_space`.

        Raises:
            SpecError: As `BayesianStrategy`; or earlier tasks are of use, and the method cannot extend the surrogate to them.
        """
        super().bind_space(space, objectives, seed=seed)
        self._look_back()
        name, _ = one_choice(self._base, "surrogate")
        if self._known and self._method == "multitask" and name in NO_PROCESS:
            problem = f"The surrogate {name!r} is no Gaussian process, so that 'multitask' cannot extend its kernel."
            raise SpecError(problem, hint="Choose 'gp' or 'of', or the method 'rgpe', which takes any surrogate.")

    def _space_changed(self) -> None:
        super()._space_changed()
        self._look_back()

    def _look_back(self) -> None:
        """See the earlier tasks from the newest version of the space."""
        history = self.history
        self._known = known(self._tasks, history.space, history.objectives)
        self._winners = winners(self._known, history.space, history.objectives, count=self._warm_start)
        self._choices["surrogate"] = self._base
        self._choose(history.space)
        if not self._known:
            return
        from .models import Earlier

        earlier = Earlier(self._known, history.objectives)
        self._choices["surrogate"] = {self._method: {"base": self._choices["surrogate"], "earlier": earlier}}

    def _initial(self) -> int:
        if not self._known:
            return super()._initial()
        return max(2, len(self._winners) + self._anchors)

    def _designed(self, ask: Ask, count: int) -> Iterator[Config]:
        for config in self._winners:
            if count and self.history.space.config_hash(config) not in ask.taken:
                count -= 1
                yield config
        yield from super()._designed(ask, count)
