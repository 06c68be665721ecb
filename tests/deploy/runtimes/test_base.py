from __future__ import annotations

import numpy as np
import pytest

from omniforge.deploy import RUNTIMES, Device, RuntimeOptions
from omniforge.deploy.runtimes.base import TensorSpec, failed_batch, named, only_on, other_shape
from omniforge.errors import MeasurementError, SpecError, UnknownNameError


def test_one_thread_is_the_default() -> None:
    assert RuntimeOptions().threads == 1


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"cpus": ()}])
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=next(iter(wrong))):
        RuntimeOptions(**wrong)  # type: ignore[arg-type]


def test_an_unknown_runtime_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="onnxruntime"):
        RUNTIMES.get("onnx-runtime")


@pytest.mark.parametrize(
    ("spec", "batch", "said"),
    [
        (TensorSpec((3,)), np.ones((2, 4), dtype=np.float32), "float32 [2, 4], expected float32 [batch, 3]"),
        (TensorSpec((3,)), np.ones((2, 3)), "float64 [2, 3], expected float32 [batch, 3]"),
        (
            TensorSpec((None, 2), "int64", 4),
            np.ones((1, 9, 2), dtype=np.int64),
            "int64 [1, 9, 2], expected int64 [4, any, 2]",
        ),
        (TensorSpec((None, 2), "int64", 4), np.ones((4, 9, 2), dtype=np.int64), None),
        (TensorSpec(()), np.ones(3, dtype=np.float32), None),
    ],
)
def test_a_batch_that_does_not_fit_says_what_would(spec: TensorSpec, batch: np.ndarray, said: str | None) -> None:
    assert spec.misfit(batch) == said
    error = failed_batch("The runtime", spec, batch, cause="it broke")
    assert (said or "it broke") in error.message
    assert not error.retryable


def test_a_device_of_another_kind_names_those_that_are_served() -> None:
    only_on("fast", Device("d", kind="gpu"), kinds=("gpu", "cpu"))
    with pytest.raises(MeasurementError, match="'fast' serves devices of kind 'gpu' or 'cpu', not 'tpu'"):
        only_on("fast", Device("d", kind="tpu"), kinds=("gpu", "cpu"))


def test_a_model_is_named_by_its_file() -> None:
    assert named(b"content") == "The model"
    assert named("a/b.onnx") == "The model a/b.onnx"
    assert "one output [batch, k]: two" in other_shape("m.onnx", "two").message
