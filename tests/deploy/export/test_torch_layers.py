from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from omniforge.deploy.export.exporter import UnsupportedError
from omniforge.deploy.export.torch_graph import write_module
from omniforge.deploy.runtimes import TensorSpec

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(5, 4, 9, 8)).astype(np.float32)
SIGNALS = RNG.normal(size=(5, 4, 15)).astype(np.float32)
TOKENS = RNG.integers(0, 11, size=(5, 6))


def flat(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*layers, nn.Flatten(1))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(1, 2)), nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 6, 3, padding="same", dilation=2), nn.Conv2d(4, 6, (2, 4), padding="same", bias=False),
        nn.Conv2d(4, 6, 3, padding="valid"), nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 6, 3, padding=2, padding_mode="replicate"), nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1, dilation=1),
        nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((3, 4)), nn.AdaptiveMaxPool2d(1), nn.BatchNorm2d(4), nn.GroupNorm(2, 4),
        nn.GroupNorm(4, 4, affine=False), nn.LayerNorm((9, 8)), nn.ReLU6(), nn.Hardswish(), nn.Hardsigmoid(),
        nn.Hardtanh(-0.5, 0.7), nn.Softplus(), nn.PReLU(4), nn.GELU("tanh"), nn.Softmax(dim=2), nn.Dropout2d(0.5),
        nn.Flatten(2), nn.Linear(8, 3), nn.Sequential(nn.Flatten(2), nn.Unflatten(2, (8, 9))),
    ],
    ids=str,
)  # fmt: skip
def test_every_layer_of_images(layer: nn.Module, written: Callable[..., Any]) -> None:
    written(flat(layer), IMAGES)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(4, 6, 5, stride=2, padding=2), nn.Conv1d(4, 6, 4, padding="same"), nn.MaxPool1d(3), nn.AvgPool1d(2),
        nn.AdaptiveAvgPool1d(1), nn.AdaptiveAvgPool1d(5), nn.BatchNorm1d(4), nn.Linear(15, 2, bias=False),
        nn.LayerNorm(15, bias=False),
    ],
    ids=str,
)  # fmt: skip
def test_every_layer_of_signals(layer: nn.Module, written: Callable[..., Any]) -> None:
    written(flat(layer), SIGNALS)


def test_tokens_are_looked_up(written: Callable[..., Any]) -> None:
    model = written(flat(nn.Embedding(11, 8, padding_idx=0)), TOKENS)
    assert model.graph.input[0].type.tensor_type.elem_type == 7  # int64


def test_numbers_in_tokens_may_be_32_bits(written: Callable[..., Any]) -> None:
    written(flat(nn.Embedding(11, 8)), TOKENS.astype(np.int32))


def trained_norm(norm: nn.Module, size: tuple[int, ...]) -> nn.Module:
    torch.manual_seed(1)
    norm.train()
    norm(3 * torch.randn(8, *size) + 1)
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return norm


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("make", "norm", "rows"),
    [
        (lambda bias: nn.Conv2d(4, 6, 3, bias=bias), trained_norm(nn.BatchNorm2d(6), (6, 4, 4)), IMAGES),
        (lambda bias: nn.Conv1d(4, 6, 3, bias=bias), trained_norm(nn.BatchNorm1d(6), (6, 4)), SIGNALS),
        (lambda bias: nn.Linear(4, 6, bias=bias), trained_norm(nn.BatchNorm1d(6), (6,)), SIGNALS[:, :, 0].copy()),
    ],
    ids=["images", "signals", "table"],
)
def test_a_batch_normalization_disappears_in_the_layer_before_it(
    make: Any, norm: nn.Module, rows: np.ndarray, bias: bool, written: Callable[..., Any]
) -> None:
    module = flat(make(bias), norm, nn.ReLU())
    weights = module[0].weight.clone()
    model = written(module, rows)
    assert "BatchNormalization" not in [node.op_type for node in model.graph.node]
    assert torch.equal(module[0].weight, weights)


def test_a_normalization_of_what_others_read_too_stays(calling: Any, written: Callable[..., Any]) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return (self.norm(y) + y).flatten(1)

    module = calling(forward, conv=nn.Conv2d(4, 6, 3), norm=trained_norm(nn.BatchNorm2d(6), (6, 4, 4)))
    model = written(module, IMAGES)
    assert "BatchNormalization" in [node.op_type for node in model.graph.node]


def test_a_linear_layer_over_channels_keeps_its_normalization(written: Callable[..., Any]) -> None:
    written(flat(nn.Linear(15, 5), trained_norm(nn.BatchNorm1d(4), (4, 5))), SIGNALS)


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool2d(2, return_indices=True), nn.AvgPool2d(2, divisor_override=3),
        nn.AdaptiveAvgPool2d(4), nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.BatchNorm2d(4, track_running_stats=False), nn.Softplus(beta=2.0), nn.ConvTranspose2d(4, 4, 3),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_written_is_left_to_others(layer: nn.Module) -> None:
    with pytest.raises(UnsupportedError, match=r"layer|pool|padded|statistics|softplus"):
        write_module(flat(layer).eval(), rows=TensorSpec((4, 9, 8)), output="y", columns=1)


def test_a_layer_with_a_hook_is_left_to_others() -> None:
    layer = nn.Conv2d(4, 4, 3)
    layer.register_forward_hook(lambda module, args, result: result * 2)
    with pytest.raises(UnsupportedError, match="Conv2d"):
        write_module(flat(layer).eval(), rows=TensorSpec((4, 9, 8)), output="y", columns=168)
