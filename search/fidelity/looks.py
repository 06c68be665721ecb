"""What a look at a curve is worth: its gain per unit of training if what disappoints is given up. Not what is believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from .model import log_gain

if TYPE_CHECKING:
    from torch import Tensor

    from .levels import Levels
    from .process import Ladder

_NODES = torch.linspace(-4.0, 4.0, 33, dtype=torch.float64)
_WEIGHTS = torch.exp(-0.5 * _NODES * _NODES) / torch.exp(-0.5 * _NODES * _NODES).sum()
_ROUNDS = 8
_TINY = 1e-12
_LEAST = -600.0


def looks(ladder: Ladder, *, spent: Sequence[float], levels: Levels, best: float, noise: float) -> Tensor:
    """Return the log of the gain per unit of training that a look at each level of each curve stands for.

    The plan that is rated is: train up to a level, look, and go on to the full level where the gain that is then expected is
    worth the rest of the way. With ``e`` the expected improvement over the best value after the look, `c` what the look costs and
    `r` the rest, its rate is the ``t`` at which ``t = E[e 1(e >= t r)] / (c + r P(e >= t r))`` is largest: the index of
    an arm with two stages (Gittins 1979), found by Dinkelbach's iteration (Management Science 1967). A level that says
    nothing leaves ``e`` as it was and costs, so that a later look is worth more; a dear full training is worth less than a look
    by which most are given up.

    Args:
        ladder: What is believed of `n` curves at `L` levels.
        spent: The fidelity that each of them has reached, 0 for new ones.
        levels: The fidelities, which are what training costs.
        best: What is to be exceeded.
        noise: The variance of the noise of a result.

    Returns:
        A `n x L`-dim Tensor, ``-inf`` at levels that were reached.
    """
    at = torch.tensor([float(value) for value in levels.values], dtype=torch.float64)
    cost = at - torch.tensor(list(spent), dtype=torch.float64)[:, None]
    ahead = cost > 0.0
    cost = torch.where(ahead, cost, torch.ones_like(cost))
    rest = (at[-1] - at).expand_as(cost)
    full = ladder.variance[:, -1:]
    # what a look would move the mean of the full level by, and what would be left to be learned
    move = ladder.covariance / (ladder.variance + noise).sqrt()
    left = (full - move * move).clamp_min(_TINY).sqrt()
    move = torch.cat([move[:, :-1], torch.zeros_like(full)], dim=1)
    left = torch.cat([left[:, :-1], full.sqrt()], dim=1)[..., None].expand(*move.shape, len(_NODES))
    gain = torch.exp(log_gain(ladder.mean[:, -1:, None] + move[..., None] * _NODES, left, best).clamp_min(_LEAST))
    rate = (gain @ _WEIGHTS) / (cost + rest)
    for _ in range(_ROUNDS):
        go_on = (gain >= rate[..., None] * rest[..., None]).to(gain) * _WEIGHTS
        rate = (gain * go_on).sum(-1) / (cost + rest * go_on.sum(-1))
    return torch.where(ahead, torch.log(rate), torch.full_like(rate, -math.inf))
