"""Change training images at random so that their class stays: shifted by some pixels, mirrored left to right."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

AUGMENTATIONS = ("none", "shift", "shift_flip")
_SHIFT_SHARE = 8  # up to an eighth of the side, as is usual for 32 x 32 pixels (He et al. 2016, section 4.2)


def augment(images: Tensor, name: str, *, generator: torch.Generator) -> Tensor:
    """Return changed images; what is shifted in from outside is 0, the mean of normalized images.

    Args:
        images: ``n x c x h x w``.
        name: One of ``AUGMENTATIONS``.
        generator: Where the randomness comes from; each image is changed on its own.
    """
    if name == "none":
        return images
    count, channels, height, width = images.shape
    most = max(1, min(height, width) // _SHIFT_SHARE)
    padded = functional.pad(images, (most, most, most, most))
    rows, columns = (
        torch.randint(0, 2 * most + 1, (count, 1), generator=generator) + torch.arange(size) for size in (height, width)
    )
    if name == "shift_flip":
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    return padded[
        torch.arange(count)[:, None, None, None],
        torch.arange(channels)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
