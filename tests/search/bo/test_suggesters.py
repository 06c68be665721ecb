from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from omniforge.errors import SpecError
from omniforge.search.bo.acquisitions import LogEI
from omniforge.search.bo.generators import Mixture
from omniforge.search.bo.gp import GaussianProcess
from omniforge.search.bo.optimizers import MixedOptimizer
from omniforge.search.bo.parts import Observed, Search
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.suggesters import Believer


@pytest.mark.parametrize("value", ["mean", "worst"])
def test_a_batch_is_of_different_new_rows_near_the_best(
    value: str, rows: Rows, fitted: Callable[[int], GaussianProcess], observe: Callable[[int], Observed]
) -> None:
    search = Search(
        rows, observe(1), fitted(1), LogEI(), MixedOptimizer(), Mixture(), is_new=lambda _: True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    found = rows.decode(Believer(value, candidates=64).suggest(3, observe(1).X[:1], search=search))
    assert len({rows.space.config_hash(config) for config in found}) == 3
    assert found[0]["kind"] == "a"


def test_another_value_is_refused() -> None:
    with pytest.raises(SpecError, match="expected 'mean' or 'worst'"):
        Believer("best")
