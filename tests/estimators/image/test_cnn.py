from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from omniforge.estimators.image import CNN

from .conftest import small

PREFIX = "architecture.cnn."


def cnn(shape: tuple[int, int, int] = (3, 32, 32), **changes: Any) -> CNN:
    arguments = small("cnn", **{f"{PREFIX}{path}": value for path, value in changes.items()})
    settings = {path.removeprefix(PREFIX): value for path, value in arguments.items() if path.startswith(PREFIX)}
    return CNN(shape, 10, settings, dropout=0.1).eval()


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 33, 17), (1, 2, 3), (4, 64, 64)])
@pytest.mark.parametrize("downsample", ["stride", "pool"])
def test_every_size_of_image_fits(shape: tuple[int, int, int], downsample: str) -> None:
    stages = {f"stages[{index}].downsample": downsample for index in range(4)}
    made = cnn(shape, **{"stages": 4, "stem_stride": 2, **stages})
    assert made(torch.randn(2, *shape)).shape == (2, 10)


def test_maps_are_halved_by_every_stage_until_they_are_small() -> None:
    made = cnn(stages=4, stem_stride=2)
    maps = made.stem(torch.randn(1, 3, 32, 32))
    sides = [maps.shape[-1]]
    for stage in made.stages:
        maps = stage(maps)
        sides.append(maps.shape[-1])
    assert sides == [16, 8, 4, 2, 2]


def test_the_settings_decide_what_is_built() -> None:
    assert parameters(cnn(**{"stages[0].width": 64})) > 3 * parameters(cnn(**{"stages[0].width": 16}))
    assert parameters(cnn(**{"stages[0].depth": 3})) > 1.5 * parameters(cnn(**{"stages[0].depth": 1}))
    assert parameters(cnn(**{"stages[0].kernel": 5})) > 1.5 * parameters(cnn(**{"stages[0].kernel": 3}))
    light = cnn(**{"stages[0].block": "mobilenet", "stages[0].block.mobilenet.expansion": 1})
    assert parameters(light) < parameters(cnn(**{"stages[0].block": "resnet"}))
    assert any(isinstance(layer, nn.SiLU) for layer in cnn(activation="silu").modules())
