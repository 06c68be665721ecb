from __future__ import annotations

import pytest
import torch

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.transfer.models import MOST_ROWS, Earlier, surrogate_maker
from omniforge.search.bo.warp import COMPRESSED


def test_a_choice_makes_new_surrogates(rows: Rows) -> None:
    make = surrogate_maker("gp", rows)
    assert make() is not make()
    with pytest.raises(UnknownNameError, match="gpp"):
        surrogate_maker("gpp", rows)
    with pytest.raises(SpecError, match="no option 'trees'"):
        surrogate_maker({"gp": {"trees": 3}}, rows)()


def test_every_task_is_standardized_by_itself(rows: Rows, earlier: Earlier) -> None:
    for X, Y in earlier.data(rows, scale=COMPRESSED):
        assert X.shape == (30, rows.d)
        assert len(X) <= MOST_ROWS
        torch.testing.assert_close(Y.mean(), torch.zeros((), dtype=torch.float64), atol=1e-9, rtol=0)
        torch.testing.assert_close(Y.std(correction=0), torch.ones((), dtype=torch.float64))


def test_the_models_are_fitted_once(rows: Rows, earlier: Earlier) -> None:
    make = surrogate_maker("gp", rows)
    models = earlier.models(rows, make)
    assert len(models) == 2
    assert all(a is b for a, b in zip(models, earlier.models(rows, make), strict=True))
    assert Earlier().models(rows, make) == []
