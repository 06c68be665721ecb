"""What surrogates of several tasks share: the earlier tasks as rows and targets, and a model of each. Not how they are mixed.

Without torch until a model is asked, so that a strategy can be made without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ....errors import SpecError
from ...strategy import build, one_choice
from ..warp import COMPRESSED, warp

if TYPE_CHECKING:
    from torch import Tensor

    from ...objective import Objective
    from ..parts import Surrogate
    from ..rows import Rows
    from .earlier import Known

MOST_ROWS = 100
"""The most observations that are used of one earlier task."""


def surrogate_maker(choice: str | Mapping[str, Any], rows: Rows) -> Callable[[], Surrogate]:
    """Return a function that makes surrogates of one choice, such as ``"gp"`` or ``{"gp": {...}}``.

    Raises:
        UnknownNameError: There is no such surrogate.
        SpecError: The choice has another form; or, when one is made, it does not take an option.
    """
    from ..composition import SURROGATES

    name, options = one_choice(choice, "surrogate")
    make = SURROGATES.get(name)

    def made() -> Surrogate:
        surrogate: Surrogate = build(make, options, what=f"surrogate {name!r}", first=(rows,))
        return surrogate

    return made


def scale_of(surrogate: Surrogate) -> str:
    """Return what a surrogate learns targets as; see `warp`."""
    return str(getattr(surrogate, "scale", COMPRESSED))


@dataclass
class Earlier:
    """The earlier tasks of one search in one space; their rows are made and their models fitted once, when first needed.

    Args:
        tasks: What is known of them.
        objectives: The objectives of the new search.
    """

    tasks: Sequence[Known] = ()
    objectives: Sequence[Objective] = ()
    _models: list[Surrogate] = field(default_factory=list)
    _data: dict[tuple[str, int], list[tuple[Tensor, Tensor]]] = field(default_factory=dict)

    def data(self, rows: Rows, *, scale: str, most: int = MOST_ROWS) -> list[tuple[Tensor, Tensor]]:
        """Return rows (`n x d`) and warped targets (`n x m`) of each task, each warped by itself: mean 0 and variance about 1.

        Args:
            rows: The rows of the new search.
            scale: What the surrogate learns targets as; see `warp`.
            most: The most observations of one task, at least 1: the better half of them and the latest.
        """
        import torch

        from ..proposal import select

        if (scale, most) not in self._data:
            out = []
            for task in self.tasks:
                chosen = select(task.Y, self.objectives, limit=most)
                Y, _ = warp(task.Y[chosen], self.objectives, scale=scale)
                out.append((rows.encode([task.configs[i] for i in chosen]), torch.from_numpy(Y)))
            self._data[scale, most] = out
        return self._data[scale, most]

    def models(self, rows: Rows, make: Callable[[], Surrogate]) -> list[Surrogate]:
        """Return a fitted surrogate of each task.

        Raises:
            RuntimeError: One cannot be fitted.
        """
        if len(self._models) < len(self.tasks):
            models = []
            for X, Y in self.data(rows, scale=scale_of(make())):
                model = make()
                model.fit(X, Y)
                models.append(model)
            self._models = models
        return self._models


def check_earlier(earlier: Any) -> Earlier:
    """Return the option ``earlier`` of a surrogate; None stands for no tasks.

    Raises:
        SpecError: It is something else than `Earlier`, which only a strategy can make.
    """
    if earlier is None:
        return Earlier()
    if not isinstance(earlier, Earlier):
        problem = f"earlier is {earlier!r}, which is not what the strategy 'of-trans' gives its surrogate."
        raise SpecError(
            problem, hint="Choose the strategy 'of-trans', and give it the earlier tasks as its option tasks."
        )
    return earlier
