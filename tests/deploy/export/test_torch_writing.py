from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from omniforge.deploy.export.exporter import UnsupportedError
from omniforge.deploy.export.torch_layers import LAYERS
from omniforge.deploy.export.torch_writing import (
    BATCH,
    Value,
    Writing,
    array,
    first_line,
    is_rows,
    mentions_rows,
    without_rows,
)
from omniforge.deploy.runtimes import TensorSpec


@pytest.fixture
def writing() -> Writing:
    return Writing(TensorSpec((4,)), LAYERS)


def test_a_value_has_rows_where_its_tensor_has_none() -> None:
    value = Value("x", torch.empty(0, 3, 5), times=2)
    assert value.shape == (2 * BATCH, 3, 5)
    assert (value.rank, value.dtype) == (3, torch.float32)
    assert [is_rows(size) for size in value.shape] == [True, False, False]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [(BATCH, True), (3 * BATCH, True), (0, False), (-1, False), (True, False), (4.0, False)],
)
def test_only_multiples_of_the_number_of_rows_mention_it(argument: object, expected: bool) -> None:
    assert mentions_rows(argument) is expected


def test_torch_is_given_arguments_without_rows() -> None:
    value = Value("x", torch.empty(0, 3))
    given = without_rows(([value, 2 * BATCH], {"at": slice(0, BATCH), "dim": 1}))
    assert given == ([value.empty, 0], {"at": slice(0, 0), "dim": 1})


def test_equal_small_constants_are_stored_once(writing: Writing) -> None:
    assert writing.name(2.0) == writing.name(torch.tensor(2.0))
    assert writing.name(2.0) != writing.name(2, torch.int64)


def test_other_types_are_named(writing: Writing) -> None:
    with pytest.raises(UnsupportedError, match="complex64"):
        writing.name(torch.ones(1, dtype=torch.complex64))
    with pytest.raises(UnsupportedError, match="text"):
        writing.name("text")
    with pytest.raises(UnsupportedError, match="without numbers"):
        array(torch.eye(2).to_sparse())


def test_an_unknown_layer_and_wrong_arguments_are_named(writing: Writing) -> None:
    value = Value("features", torch.empty(0, 4))
    with pytest.raises(UnsupportedError, match="Bilinear"):
        writing.layer(nn.Bilinear(4, 4, 2), value, value)
    with pytest.raises(UnsupportedError, match=r"Linear.*shape"):
        writing.layer(nn.Linear(5, 2), value)


def test_two_sizes_that_depend_on_the_rows_cannot_be_told_apart(writing: Writing) -> None:
    with pytest.raises(UnsupportedError, match="two sizes"):
        writing.reshape("features", (BATCH, 2, BATCH))
    with pytest.raises(UnsupportedError, match="another axis"):
        writing.expand("features", (1, BATCH))


def test_the_batch_is_no_axis_to_work_along(writing: Writing) -> None:
    value = Value("x", torch.empty(0, 3))
    assert writing.axis(value, -1, what="a sum") == 1
    for dim in (0, -2, None):
        with pytest.raises(UnsupportedError, match=f"a sum over dimension {dim}"):
            writing.axis(value, dim, what="a sum")


def test_an_error_is_told_by_its_first_line() -> None:
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
    assert np.array_equal(array(torch.eye(2)), np.eye(2))
