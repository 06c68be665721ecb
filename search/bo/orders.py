"""Features of permutations: in which ways two orders can be alike. Places of items in, vectors out; the weights are a kernel's.

What an order is worth may hang on which item comes before which and how early it comes (schedules), on which item has which
place (assignments), or on which items are neighbours (tours), in one direction or in both. A Gaussian kernel of the first kind
is Mallows' kernel, ``exp(-theta * discordant pairs)`` (Jiao and Vert, ICML 2015; for optimization Oh et al., 2021, and Deshwal et
al., AAAI 2022); how early items come is Spearman's distance, and places that differ are Hamming's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

KINDS = 5


class OrderFeatures:
    """The five vectors of an order, scaled so that two random orders are about 1 apart in each, squared.

    They are the signs of all differences of places, the places themselves, an indicator per item and place, one per pair of
    items that follow each other, the first item following the last, and one per pair of neighbours. All are 0 where the
    permutation is not active.

    Args:
        n: The number of items, at least 2.

    Attributes:
        owners: For each vector the two items that each entry belongs to, a `2 x d_k`-dim Tensor; twice the same for one.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        pairs = torch.triu_indices(n, n, offset=1)
        self._first, self._second = pairs
        one = torch.arange(n)
        places, steps = one.repeat_interleave(n), torch.stack([one.repeat_interleave(n), one.repeat(n)])
        self.owners = (pairs, torch.stack([one, one]), torch.stack([places, places]), steps, pairs)

    def __call__(self, places: Tensor) -> list[Tensor]:
        """Return the features of `N x n` places in [0, 1], each a `N x d_k`-dim float64 Tensor.

        Numbers that are no places are read by their order, as `Permutation.decode` does; equal ones throughout stand for a
        permutation that is not active.
        """
        n = self._n
        active = (places != places[:, :1]).any(dim=1).to(places)[:, None]
        order = torch.argsort(places, dim=1, stable=True)
        rank = torch.argsort(order, dim=1)
        unit, single = 1.0 / math.sqrt(2 * len(self._first)), 1.0 / math.sqrt(2 * n)
        before = torch.sign((rank[:, self._first] - rank[:, self._second]).to(places)) * unit
        early = (rank.to(places) - (n - 1) / 2) * math.sqrt(6.0 / (n * (n * n - 1)))
        at = torch.nn.functional.one_hot(rank, n).to(places).flatten(1) * single
        after = torch.zeros(len(places), n * n, dtype=places.dtype)
        after.scatter_(1, order * n + order.roll(-1, dims=1), single)
        table = after.view(-1, n, n)
        beside = (table + table.transpose(1, 2))[:, self._first, self._second]
        return [block * active for block in (before, early, at, after, beside)]
