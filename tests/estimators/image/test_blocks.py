from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import fx

from omniforge.estimators.image.blocks import BLOCKS, Residual, SqueezeExcite, conv

SETTINGS = [
    ("plain", {}),
    *(("resnet", {"squeeze": squeeze}) for squeeze in (1, 2, 4)),
    *(
        ("mobilenet", {"expansion": expansion, "squeeze_excite": weighed})
        for expansion in (1, 4)
        for weighed in (False, True)
    ),
]


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
@pytest.mark.parametrize(("inputs", "outputs", "stride", "kernel"), [(8, 8, 1, 3), (8, 12, 1, 5), (8, 8, 2, 3)])
def test_every_block_has_the_promised_shape_and_can_be_traced(
    name: str, settings: dict[str, Any], inputs: int, outputs: int, stride: int, kernel: int
) -> None:
    block = BLOCKS[name](inputs, outputs, stride=stride, kernel=kernel, act="silu", settings=settings).eval()
    images = torch.randn(2, inputs, 7, 6)
    result = block(images)
    assert result.shape == (2, outputs, 7 if stride == 1 else 4, 6 if stride == 1 else 3)
    torch.testing.assert_close(fx.symbolic_trace(block)(images), result)


def test_a_residual_block_of_zeros_is_its_shortcut() -> None:
    block = BLOCKS["mobilenet"](8, 8, stride=1, kernel=3, act="relu", settings=dict(SETTINGS)["mobilenet"]).eval()
    for parameter in block.body.parameters():
        torch.nn.init.zeros_(parameter)
    images = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(block(images), images)


@pytest.mark.parametrize("size", [(7, 6), (1, 4)])
def test_a_projection_with_a_stride_is_a_convolution_with_that_stride(size: tuple[int, int]) -> None:
    block = BLOCKS["resnet"](8, 12, stride=2, kernel=3, act="relu", settings={"squeeze": 1}).eval()
    assert isinstance(block, Residual)
    for parameter in block.body.parameters():
        torch.nn.init.zeros_(parameter)
    images = torch.randn(2, 8, *size)
    projected = torch.nn.functional.conv2d(images, block.shortcut[0].weight, stride=2)
    torch.testing.assert_close(block(images), block.shortcut[1](projected).relu())


def test_squeeze_and_excitation_weighs_channels_between_nothing_and_all() -> None:
    images = torch.rand(2, 16, 5, 5) + 0.1
    weight = SqueezeExcite(16)(images) / images
    assert torch.all((weight > 0) & (weight < 1))
    torch.testing.assert_close(weight, weight[:, :, :1, :1].expand_as(weight))


def test_a_depthwise_convolution_is_cheap() -> None:
    def size(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert size(conv(32, 32, groups=32)) * 10 < size(conv(32, 32))
