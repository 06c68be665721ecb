from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from omniforge.search.bo.generators import Mixture, Uniform, best_rows
from omniforge.search.bo.parts import Observed
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.warp import Goals


@pytest.mark.parametrize("make", [Uniform, Mixture])
def test_rows_are_of_valid_configurations(
    make: Callable[[], Uniform], rows: Rows, observe: Callable[[int], Observed]
) -> None:
    X = make().generate(rows, observe(1), count=60, rng=np.random.default_rng(0))
    assert 50 <= len(X) <= 70
    assert all(rows.space.is_valid(config) for config in rows.decode(X))
    torch.testing.assert_close(rows.encode(rows.decode(X)), X)


def test_the_best_rows_are_the_front_and_keep_the_bounds() -> None:
    Y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [2.0, -5.0]], dtype=torch.float64)
    several = Observed(torch.zeros(4, 1), Y, Goals((0, 1), {}))
    assert set(best_rows(several, 3).tolist()) == {0, 1, 3}
    bounded = Observed(torch.zeros(4, 1), Y, Goals((0,), {1: -2.0}))
    assert best_rows(bounded, 2).tolist() == [0, 1]
