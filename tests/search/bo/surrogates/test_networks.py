from __future__ import annotations

import pytest
import torch
from conformance.strategy_suite import CONDITIONAL

from omniforge.search.bo.rows import Rows
from omniforge.search.bo.surrogates.networks import Inputs, Shape, descend, gradient, seeded

SHAPE = Shape(3, 3, (5, 4))


def test_a_batch_is_its_networks_one_by_one() -> None:
    theta = SHAPE.draw(3, seeded(0))
    inputs = torch.rand(7, 3, generator=seeded(1), dtype=torch.float64)
    units, output = SHAPE.units_and_output(theta, inputs)
    assert units.shape == (3, 7, 4)
    assert output.shape == (3, 7)
    W1, b1, W2, b2, W3, b3 = torch.split(theta[1], [15, 5, 20, 4, 4, 1])
    hidden = torch.tanh(torch.tanh(inputs @ W1.reshape(3, 5) + b1) @ W2.reshape(5, 4) + b2)
    torch.testing.assert_close(output[1], (hidden @ W3.reshape(4, 1) + b3)[:, 0])


def test_a_draw_keeps_the_variance_of_its_inputs() -> None:
    inputs = torch.randn(50, 3, generator=seeded(2), dtype=torch.float64)
    _, output = Shape(3, 3, (40, 40)).units_and_output(Shape(3, 3, (40, 40)).draw(200, seeded(3)), inputs)
    assert 0.5 < float(output.var()) < 3.0


def test_the_same_seed_draws_the_same_networks_and_leaves_the_global_one_alone() -> None:
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(SHAPE.draw(2, seeded(1)), SHAPE.draw(2, seeded(1)))
    assert torch.equal(torch.rand(1), first)


def test_networks_descend_each_for_itself() -> None:
    target = torch.tensor([[1.0, -2.0], [3.0, 0.5]], dtype=torch.float64)

    def loss(theta: torch.Tensor) -> torch.Tensor:
        return (theta - target).square().sum(dim=1)

    found = descend(loss, torch.zeros(2, 2, dtype=torch.float64), steps=400, rate=0.1)
    torch.testing.assert_close(found, target, rtol=0.0, atol=0.02)
    torch.testing.assert_close(gradient(loss, torch.zeros(2, 2, dtype=torch.float64)), -2.0 * target)


def test_what_is_not_active_is_no_input() -> None:
    rows = Rows(CONDITIONAL)
    inputs = Inputs(rows)
    X = rows.encode([{"kind": "line", "kind.line.penalty": "l1", "seed": 3, "scaled": False}])
    found = inputs(X)
    assert found.shape == (1, inputs.width)
    assert int((found != 0).sum()) == 3
    assert float(found.max()) == pytest.approx(3.0**0.5)
