"""A convolutional network in stages, as a configuration describes it: a stem, one to four stages, a linear head.

The settings are the paths below ``architecture.cnn.`` in ``space.yaml``: ``stages`` repeats ``stages[0].width`` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .blocks import BLOCKS, conv

LEAST_SIDE = 4  # a map of so few pixels is not made smaller


class CNN(nn.Module):
    """A stem, stages of blocks, global average pooling and a linear head.

    Small images keep their size where a stage would leave fewer than 2 x 2 values: the same configuration fits 8 x 8 and
    224 x 224 pixels.

    Args:
        shape: ``(c, h, w)`` of one image.
        outputs: Width of the output.
        settings: ``stem_width``, ``stem_stride``, ``activation``, ``stages`` and for each stage ``depth``, ``width``,
            ``kernel``, ``downsample`` and ``block`` with its own settings.
        dropout: Share of the features that are dropped before the head.
    """

    def __init__(
        self, shape: tuple[int, int, int], outputs: int, settings: Mapping[str, Any], *, dropout: float
    ) -> None:
        super().__init__()
        channels, *sides = shape
        side, act = min(sides), settings["activation"]
        stride = settings["stem_stride"] if side >= LEAST_SIDE else 1
        width = settings["stem_width"]
        self.stem = conv(channels, width, stride=stride, act=act)
        side = -(-side // stride)
        stages: list[nn.Module] = []
        for index in range(settings["stages"]):
            prefix = f"stages[{index}]."
            own = {path.removeprefix(prefix): value for path, value in settings.items() if path.startswith(prefix)}
            shrink = side >= LEAST_SIDE
            stages.append(_stage(width, own, act=act, shrink=shrink))
            if shrink:
                side = side // 2 if own["downsample"] == "pool" else -(-side // 2)
            width = own["width"]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Dropout(dropout), nn.Linear(width, outputs)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map ``n x c x h x w`` to ``n x outputs``, without a softmax."""
        result: Tensor = self.head(self.stages(self.stem(images)))
        return result


def _stage(inputs: int, settings: Mapping[str, Any], *, act: str, shrink: bool) -> nn.Sequential:
    """Return a stage of ``depth`` blocks; the first one halves the size, by its stride or by pooling before it."""
    make, prefix = BLOCKS[settings["block"]], f"block.{settings['block']}."
    own = {path.removeprefix(prefix): value for path, value in settings.items() if path.startswith(prefix)}
    pooled = shrink and settings["downsample"] == "pool"
    layers: list[nn.Module] = [nn.MaxPool2d(2)] if pooled else []
    for index in range(settings["depth"]):
        stride = 2 if index == 0 and shrink and not pooled else 1
        width = inputs if index == 0 else settings["width"]
        layers.append(make(width, settings["width"], stride=stride, kernel=settings["kernel"], act=act, settings=own))
    return nn.Sequential(*layers)
