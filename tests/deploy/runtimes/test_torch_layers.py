"""Layers in the opsets and with the settings that ONNX's own cases (``test_torch_operators``) do not have."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from conformance.runtime_models import build
from conformance.runtime_suite import LOCAL
from onnx import helper
from torch.nn import functional

from omniforge.deploy import RUNTIMES, RuntimeOptions
from omniforge.errors import MeasurementError

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 9, 7)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(6, 2, 3, 3)).astype(np.float32)


def _content(node: onnx.NodeProto, opset: int = 17, **constants: np.ndarray) -> bytes:
    flat = [node, helper.make_node("Flatten", [node.output[0]], ["scores"])]
    model = onnx.load_model_from_string(build(flat, constants, row=IMAGES.shape[1:], columns=1))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.opset_import[0].version = opset
    content: bytes = model.SerializeToString()
    return content


def _both(node: onnx.NodeProto, opset: int = 17, **constants: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what torch and ONNX Runtime compute."""
    content = _content(node, opset, **constants)
    found = []
    for name in ("torch", "onnxruntime"):
        with RUNTIMES.get(name)().prepare(content, device=LOCAL, options=RuntimeOptions()) as session:
            found.append(session.run(IMAGES))
    return found[0], found[1]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pads": [0, 1, 2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "VALID", "dilations": [2, 1]},
    ],
    ids=str,
)
def test_a_convolution_is_that_of_onnx_runtime(settings: dict) -> None:
    got, expected = _both(helper.make_node("Conv", ["features", "w"], ["y"], group=2, **settings), w=KERNEL)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "settings", [{"ceil_mode": 1}, {"pads": [1, 0, 2, 1]}, {"auto_pad": "SAME_LOWER"}, {"pads": [2, 2, 2, 2]}], ids=str
)
def test_a_pool_is_that_of_onnx_runtime(op: str, settings: dict) -> None:
    got, expected = _both(helper.make_node(op, ["features"], ["y"], kernel_shape=[3, 3], strides=[2, 2], **settings))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("op", "reference"), [("Softmax", torch.softmax), ("LogSoftmax", torch.log_softmax)])
def test_before_opset_13_a_softmax_is_over_all_that_follows(op: str, reference: object) -> None:
    got, expected = _both(helper.make_node(op, ["features"], ["y"]), opset=11)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    over_one = reference(torch.from_numpy(IMAGES), 1).flatten(1).numpy()
    assert np.abs(over_one - got).max() > 0.1


def test_a_group_norm_has_one_scale_for_a_group_before_opset_21() -> None:
    scale, bias = np.array([1.0, 2.0], dtype=np.float32), np.array([0.5, -0.5], dtype=np.float32)
    node = helper.make_node("GroupNormalization", ["features", "s", "b"], ["y"], num_groups=2)
    with RUNTIMES.get("torch")().prepare(
        _content(node, 18, s=scale, b=bias), device=LOCAL, options=RuntimeOptions()
    ) as s:
        got = s.run(IMAGES)
    wide = [torch.from_numpy(value).repeat_interleave(2) for value in (scale, bias)]
    expected = functional.group_norm(torch.from_numpy(IMAGES), 2, *wide)
    np.testing.assert_allclose(got, expected.flatten(1).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("op", "settings", "said"),
    [
        ("BatchNormalization", {"training_mode": 1}, "a model in training"),
        ("ConvTranspose", {"auto_pad": "SAME_UPPER"}, "auto_pad"),
        ("Resize", {"mode": "nearest"}, "nearest at half_pixel"),
        ("MaxPool", {"kernel_shape": [2, 2], "storage_order": 1}, "storage_order"),
    ],
)
def test_what_is_not_known_of_a_layer_is_refused(op: str, settings: dict, said: str) -> None:
    with pytest.raises(MeasurementError, match=f"{op}.*{said}"):
        RUNTIMES.get("torch")().prepare(
            _content(helper.make_node(op, ["features"], ["y"], **settings)), device=LOCAL, options=RuntimeOptions()
        )
