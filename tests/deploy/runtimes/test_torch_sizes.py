from __future__ import annotations

import pytest
import torch

from omniforge.deploy.runtimes import torch_sizes as sizes


def test_a_shape_is_plain_numbers() -> None:
    x = torch.zeros(2, 3, 5)
    assert sizes.shape(x) == (2, 3, 5)
    assert sizes.shape(x, start=1, end=-1) == (3,)
    assert sizes.size(x) == 30


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (sizes.gather((2, 3, 5), 1), 3),
        (sizes.gather((2, 3, 5), (0, -1)), (2, 5)),
        (sizes.concatenate(2, (3, 5), axis=0), (2, 3, 5)),
        (sizes.unsqueeze(4), (4,)),
        (sizes.squeeze((4,), (0,)), 4),
        (sizes.reshape(4, (1,)), (4,)),
        (sizes.reshape((4,), ()), 4),
        (sizes.take_slice((2, 3, 5, 7), (1,), (2**63 - 1,), (0,), (2,)), (3, 7)),
        (sizes.product((2, 3, 5), keepdims=0), 30),
        (sizes.product((2, 3, 5)), (30,)),
        (sizes.add((2, 3), 1), (3, 4)),
        (sizes.subtract(3, 1), 2),
        (sizes.multiply((2, 3), (4, 5)), (8, 15)),
        (sizes.divide((9, 8), 4), (2, 2)),
        (sizes.mod(9, 4), 1),
        (sizes.minimum((2, 3), (1,)), (1, 1)),
        (sizes.maximum((2, 3), 3), (3, 3)),
        (sizes.where(sizes.equal((-1, 3), -1), (1, 1), (-1, 3)), (1, 3)),
        (sizes.length((2, 3)), (2,)),
        (sizes.repeat((2,), 1), (1, 1)),
    ],
)
def test_sizes_are_computed_as_numbers(got: object, expected: object) -> None:
    assert got == expected


def test_a_size_becomes_the_tensor_that_it_is_in_onnx() -> None:
    assert sizes.to_tensor((2, 3)).tolist() == [2, 3]
    assert sizes.to_tensor(2).dim() == 0
    assert sizes.to_tensor(2).dtype == torch.int64


@pytest.mark.parametrize(
    ("op", "to", "stays"), [("Cast", 7, True), ("Cast", 1, False), ("Add", None, True), ("Relu", None, False)]
)
def test_a_cast_to_a_fraction_ends_it(op: str, to: int | None, stays: bool) -> None:
    assert sizes.stays_size(op, {} if to is None else {"to": to}) == stays
