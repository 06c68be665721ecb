"""What a kernel may learn of its numeric inputs: a warping, and arcs for parameters that can be inactive. Not the default kernel.

Warping: each column goes through the distribution function of Kumaraswamy, ``1 - (1 - x^a)^b`` (Snoek et al., ICML 2014, with
its closed form for their beta distribution), so that a function that is not stationary on its scale becomes so.

Arcs: the column of a parameter that can be inactive lies on an arc around the place of the inactive value (Swersky et al.,
2013, section 3), in our units ``(sin(pi w x), cos(pi w x)) / (pi w)``: two active values are about as far apart as on a line,
and every active value is ``1 / (pi w)`` from the inactive one. Without arcs, what is not active is in the middle of the
values.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...errors import SpecError
from ..strategy import check_flag
from .kernel import Embedded, MixedKernel
from .rows import MIDDLE, Rows

_TAIL = 3
_EDGE = 1e-6
_SQRT_5 = math.sqrt(5.0)
INACTIVE = ("neutral", "arc")


class InputKernel(MixedKernel):
    """The mixed kernel on transformed numbers.

    Its hyperparameters are those of `MixedKernel` with the logs of ``a`` and ``b`` per numeric column and of ``w`` per column
    on an arc before the last three.

    Args:
        rows: The space's rows.
        arc: Whether numbers that can be inactive lie on arcs.
        warping: Whether numbers are warped.
    """

    def __init__(self, rows: Rows, *, arc: bool, warping: bool) -> None:
        super().__init__(rows)
        self._warped = self._n if warping else 0
        self._arcs = torch.tensor(_conditional(rows) if arc else [], dtype=torch.long)
        bends = len(self._arcs)
        mean = torch.tensor([0.0] * (2 * self._warped) + [math.log(0.5)] * bends, dtype=torch.float64)
        std = torch.tensor([0.75] * (2 * self._warped) + [0.7] * bends, dtype=torch.float64)
        self.mean = torch.cat([self.mean[:-_TAIL], mean, self.mean[-_TAIL:]])
        self.std = torch.cat([self.std[:-_TAIL], std, self.std[-_TAIL:]])
        self.low = torch.cat([self.low[:-_TAIL], mean - 2.0, self.low[-_TAIL:]])
        self.high = torch.cat([self.high[:-_TAIL], torch.where(mean < 0.0, 0.0, mean + 2.0), self.high[-_TAIL:]])

    def matern(self, v: Tensor, A: Embedded, B: Embedded) -> Tensor:
        """Return the part over all numeric columns; see `MixedKernel.matern`."""
        weights = torch.exp(-v[..., : self._n])
        weights = torch.cat([weights, weights[..., self._arcs]], dim=-1)
        squares = self._distance(self._moved(v, A.numeric), self._moved(v, B.numeric), weights)
        r = _SQRT_5 * torch.sqrt(squares + 1e-12)
        return (1.0 + r + r * r / 3.0) * torch.exp(-r)

    def _moved(self, v: Tensor, numeric: Tensor) -> Tensor:
        """Return where `(b) x n x d` numbers lie, `(m) x (b) x n x (d + arcs)`-dim: second coordinates of arcs come last."""
        inner = v[..., None, self._n + self._c : v.shape[-1] - _TAIL]
        active = numeric != MIDDLE
        place = numeric
        if self._warped:
            a, b = torch.exp(inner[..., : self._n]), torch.exp(inner[..., self._n : 2 * self._n])
            inside = place.clamp(_EDGE, 1.0 - _EDGE)
            place = torch.where(active, 1.0 - (1.0 - inside**a) ** b, place)
        if not len(self._arcs):
            return place
        bend = math.pi * torch.exp(inner[..., 2 * self._warped :])
        angle, on = bend * place[..., self._arcs], active[..., self._arcs]
        none = torch.zeros((), dtype=place.dtype)
        first, second = torch.where(on, torch.sin(angle) / bend, none), torch.where(on, torch.cos(angle) / bend, none)
        straight = place.expand(*first.shape[:-1], place.shape[-1])
        return torch.cat([straight.index_copy(-1, self._arcs, first), second], dim=-1)


def kernel_for(rows: Rows, *, inactive: str, warping: bool) -> MixedKernel:
    """Return the kernel of a Gaussian process.

    Args:
        rows: The space's rows.
        inactive: Where what is not active lies: ``"neutral"``, in the middle, or ``"arc"``.
        warping: Whether a warping of the numbers is learned.

    Raises:
        SpecError: ``inactive`` is another word, or ``warping`` no flag.
    """
    if inactive not in INACTIVE:
        raise SpecError(f"inactive is {inactive!r}, expected 'neutral' or 'arc'.")
    arc = inactive == "arc" and bool(_conditional(rows))
    warping = check_flag(warping, "warping") and bool(rows.numeric)
    return InputKernel(rows, arc=arc, warping=warping) if arc or warping else MixedKernel(rows)


def _conditional(rows: Rows) -> list[int]:
    """Return which of the numeric columns, by position among them, belong to parameters that can be inactive."""
    columns = rows.encoding.columns
    inner = {
        column
        for path, parameter in rows.space.parameters.items()
        if parameter.above
        for column in columns.get(path, [])
    }
    return [position for position, column in enumerate(rows.numeric) if column in inner]
