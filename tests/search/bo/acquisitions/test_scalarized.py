from __future__ import annotations

import torch
from conformance.bo_problems import observed, surrogate

from omniforge.search.bo.acquisitions import ParEGO
from omniforge.search.bo.acquisitions.scalarized import chebyshev


def test_a_scalarization_prefers_what_dominates_and_depends_on_the_seed() -> None:
    Y = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.4, 0.4], [0.3, 0.3]], dtype=torch.float64)
    orders = set()
    for seed in range(20):
        values = chebyshev(Y, seed=seed)(Y)
        assert float(values[2]) > float(values[3])
        orders.add(int(values.argmax()))
    assert orders >= {0, 1}


def test_each_seed_is_another_trade_off() -> None:
    seen, model = observed("numeric", "two"), surrogate("numeric", "two")
    X = seen.candidates[:, None]
    tops = {int(ParEGO().build(model, seen, pending=seen.X[:0], seed=s)(X).argmax()) for s in range(12)}
    assert len(tops) > 1
