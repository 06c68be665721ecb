"""The acquisition ``auto``: the choice for when nothing is known of the search."""

from __future__ import annotations

from torch import Tensor

from ..parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from ..warp import Goals
from .hypervolume import LogEHVI, LogNEHVI
from .improvement import LogEI, QLogEI


class Auto:
    """`LogEI` for one objective, `LogEHVI` for several."""

    logarithmic = True

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`."""
        chosen = LogEI() if len(observed.goals.optimized) == 1 else LogEHVI()
        return chosen.build(surrogate, observed, pending=pending, seed=seed)

    def declines(self, goals: Goals) -> bool:
        """Say what `LogEI` says; a sampled front does not only fall."""
        return len(goals.optimized) == 1 and LogEI().declines(goals)

    def joint(self) -> Acquisition:
        """Return the same for several rows at once."""
        return _JointAuto()


class _JointAuto:
    """`QLogEI` for one objective, `LogNEHVI` for several."""

    logarithmic = True

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`."""
        chosen = QLogEI() if len(observed.goals.optimized) == 1 else LogNEHVI()
        return chosen.build(surrogate, observed, pending=pending, seed=seed)
