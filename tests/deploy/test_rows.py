from __future__ import annotations

import numpy as np
import pytest

from omniforge.deploy import Session
from omniforge.deploy.rows import check_finite, fill_batch, fit_rows, random_rows, single_batches
from omniforge.deploy.runtimes import TensorSpec
from omniforge.errors import MeasurementError, SpecError

IMAGE = TensorSpec((1, 4, 4))


def test_rows_get_the_type_that_the_model_reads() -> None:
    rows = fit_rows(np.arange(32).reshape(2, 1, 4, 4), IMAGE)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert fit_rows(np.array([[1.0, 2.0]]), TensorSpec((2,), "int64")).dtype == np.int64


@pytest.mark.parametrize(
    ("rows", "spec", "message"),
    [
        (np.array([["a", "b"]]), TensorSpec((2,)), "expected numbers"),
        (np.zeros((0, 2)), TensorSpec((2,)), "at least one row"),
        (np.array([[0.5, 1.0]]), TensorSpec((2,), "int64"), "whole numbers"),
        (np.array([[np.nan, 1.0]]), TensorSpec((2,), "int64"), "whole numbers"),
        (np.zeros((2, 16)), IMAGE, r"expected float32 \[batch, 1, 4, 4\]"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows: np.ndarray, spec: TensorSpec, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        fit_rows(rows, spec)


def test_a_fixed_batch_is_filled_with_the_rows_again() -> None:
    rows = fit_rows(np.array([[1.0], [2.0], [3.0]]), TensorSpec((1,), batch=5))
    assert rows[:, 0].tolist() == [1, 2, 3, 1, 2]
    assert fill_batch(rows[:2], 3)[:, 0].tolist() == [1, 2, 1]


def test_single_batches_are_as_small_as_the_model_takes() -> None:
    rows = np.zeros((300, 2), dtype=np.float32)
    assert [len(batch) for batch in single_batches(rows, TensorSpec((2,)))] == [1] * 256
    assert [len(batch) for batch in single_batches(rows, TensorSpec((2,), batch=128))] == [128, 128]


@pytest.mark.parametrize("spec", [IMAGE, TensorSpec((None, 3)), TensorSpec((8,), "int64"), TensorSpec((2,), batch=4)])
def test_random_rows_fit_and_repeat(spec: TensorSpec) -> None:
    rows = random_rows(spec, count=4)
    np.testing.assert_array_equal(rows, random_rows(spec, count=4))
    assert spec.misfit(fit_rows(rows, spec)) is None


class Logarithm(Session):
    """The logarithm of a row's sum: not finite where a row is not, and from negative rows."""

    input = TensorSpec((2,))

    def run(self, batch: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.log(batch.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0], [np.nan, 1.0]], "The rows hold NaN"),
        ([[np.inf, 2.0], [1.0, 1.0]], "The rows hold NaN"),
        ([[1.0, 2.0], [-4.0, 1.0]], "The model predicts NaN or infinity from rows of finite"),
        ([[np.nan, 2.0], [-4.0, 1.0]], "The model predicts NaN or infinity from rows of finite"),
    ],
)
def test_what_is_not_finite_is_the_rows_fault_or_the_model_s(rows: list[list[float]], message: str) -> None:
    check_finite(Logarithm(), np.ones((3, 2), dtype=np.float32))
    with pytest.raises(MeasurementError, match=message) as caught:
        check_finite(Logarithm(), np.array(rows, dtype=np.float32))
    assert not caught.value.retryable
