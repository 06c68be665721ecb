from __future__ import annotations

import pytest
import torch

from omniforge.estimators.image.augmentation import AUGMENTATIONS, augment


def draw(images: torch.Tensor, name: str, seed: int = 0) -> torch.Tensor:
    return augment(images, name, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (4, 3, 32, 16), (2, 2, 3, 5)])
def test_shapes_stay_and_the_seed_decides(name: str, shape: tuple[int, ...]) -> None:
    images = torch.randn(shape)
    assert draw(images, name).shape == shape
    torch.testing.assert_close(draw(images, name, 3), draw(images, name, 3))


def test_none_changes_nothing() -> None:
    images = torch.randn(3, 1, 8, 8)
    assert draw(images, "none") is images


def test_a_shift_moves_the_image_and_fills_with_zeros() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 8, 8] = 1.0
    many = draw(image.repeat(500, 1, 1, 1), "shift")
    assert torch.all(many.sum(dim=(1, 2, 3)) == 1.0)
    places = {tuple(place[2:].tolist()) for place in many.nonzero()}
    assert places == {(row, column) for row in range(6, 11) for column in range(6, 11)}


def test_half_of_the_images_are_mirrored() -> None:
    image = torch.arange(16.0).repeat(8, 1).reshape(1, 1, 8, 16)
    many = draw(image.repeat(400, 1, 1, 1), "shift_flip")
    mirrored = (many[:, 0, 4, 6] > many[:, 0, 4, 9]).float().mean()
    assert 0.4 < mirrored < 0.6
    assert torch.all(draw(image.repeat(50, 1, 1, 1), "shift")[:, 0, 4, 6] < 9)
