"""The acquisition ``auto``: the choice for when nothing is known of the search."""

from __future__ import annotations

from torch import Tensor

from ...strategy import check_integer
from ..parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from .hypervolume import LogEHVI, LogNEHVI
from .improvement import LogEI, LogPI, QLogEI

PATIENCE = 4
_EVERY = 4
_MARGIN = 0.5


class Auto:
    """`LogEI` for one objective, `LogEHVI` for several.

    While a search for one objective stands still, one proposal in four explores: `LogPI` with a margin of half a standard
    deviation of the targets, which only a place of large uncertainty can promise. Expected improvement alone would go on
    for the smallest steps near the best (a mix of greed and exploration: De Ath et al., ACM TELO 2021).

    Args:
        patience: After how many observations without a considerable improvement it explores, at least 1; None: never.

    Raises:
        SpecError: ``patience`` is below 1.
    """

    logarithmic = True

    def __init__(self, patience: int | None = PATIENCE) -> None:
        self._patience = None if patience is None else check_integer(patience, "patience", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`."""
        chosen: Acquisition = LogEHVI()
        if len(observed.goals.optimized) == 1:
            explores = self.explores(observed.standstill, pending=len(pending))
            chosen = LogPI(margin=_MARGIN) if explores else LogEI()
        return chosen.build(surrogate, observed, pending=pending, seed=seed)

    def explores(self, standstill: int, *, pending: int = 0) -> bool:
        """Say whether the next proposal explores: those under evaluation are waited for before it does.

        Args:
            standstill: How many of the latest observations brought no considerable improvement.
            pending: How many configurations are under evaluation.
        """
        if self._patience is None or standstill < self._patience + pending:
            return False
        return (standstill + pending - self._patience) % _EVERY == 0

    def declines(self, observed: Observed) -> bool:
        """Say what `LogEI` says while nothing is explored; a sampled front does not only fall."""
        still = self._patience is not None and observed.standstill >= self._patience
        return len(observed.goals.optimized) == 1 and not still and LogEI().declines(observed)

    def joint(self) -> Acquisition:
        """Return the same for several rows at once, without exploration: rows that are chosen together differ."""
        return _JointAuto()


class _JointAuto:
    """`QLogEI` for one objective, `LogNEHVI` for several."""

    logarithmic = True

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`."""
        chosen = QLogEI() if len(observed.goals.optimized) == 1 else LogNEHVI()
        return chosen.build(surrogate, observed, pending=pending, seed=seed)
