from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from omniforge.errors import UnknownNameError
from omniforge.estimators import load_bundle
from omniforge.estimators.image import build_network
from omniforge.estimators.image.network import ARCHITECTURES

from .conftest import small


def test_probabilities_come_out_last() -> None:
    made = build_network(small("cnn"), (1, 8, 8), classes=4).eval()
    assert isinstance(made.final, nn.Softmax)
    torch.testing.assert_close(made(torch.randn(3, 1, 8, 8)).sum(dim=1), torch.ones(3))


def test_a_value_comes_out_in_its_unit() -> None:
    made = build_network(small("transformer"), (1, 8, 8), classes=0).eval()
    made.final.center.fill_(100.0)
    made.final.scale.fill_(2.0)
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(made(images), made.body(images) * 2.0 + 100.0)


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(UnknownNameError, match="rnn"):
        build_network({"architecture": "rnn", "dropout": 0.0}, (1, 8, 8), classes=2)


def test_the_space_and_the_architectures_are_the_same() -> None:
    assert set(load_bundle("image").space.parameters["architecture"].domain.values) == set(ARCHITECTURES)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_drawn_from_the_space_is_a_network_that_can_be_traced(seed: int) -> None:
    space = load_bundle("image").space
    config = space.sample(np.random.default_rng(seed))
    made = build_network(config, (3, 12, 16), classes=3).eval()
    images = torch.randn(2, 3, 12, 16)
    result = made(images)
    assert result.shape == (2, 3)
    torch.testing.assert_close(fx.symbolic_trace(made)(images), result, atol=1e-5, rtol=1e-4)


def test_sizes_range_over_two_powers_of_ten() -> None:
    space = load_bundle("image").space

    def work(seed: int) -> int:
        made = build_network(space.sample(np.random.default_rng(seed)), (3, 32, 32), classes=10).eval()
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            made(torch.zeros(1, 3, 32, 32))
        return int(counter.get_total_flops())

    found = [work(seed) for seed in range(30)]
    assert max(found) > 100 * min(found)
