"""Engines are built for real: TensorRT for RTX needs no GPU for that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_models import build, half_model, image_network, linear_model, token_network, tree_model
from onnx import helper

from omniforge.deploy import RuntimeOptions
from omniforge.deploy.runtimes.tensorrt_engine import EngineOptions, build_engine, is_engine
from omniforge.errors import MeasurementError, SpecError

tensorrt_rtx = pytest.importorskip("tensorrt_rtx", reason="pip install 'omniforge[tensorrt]'")


@pytest.mark.parametrize(
    "content",
    [linear_model(), image_network().content, image_network(rows=2).content, token_network().content, half_model()],
    ids=["table", "images", "fixed", "tokens", "half"],
)
def test_an_engine_is_built(content: bytes, tmp_path: Path) -> None:
    engine = build_engine(content)
    assert is_engine(engine)
    assert not is_engine(content)
    assert len(engine) > len(content)
    (tmp_path / "model.onnx").write_bytes(content)
    assert build_engine(tmp_path / "model.onnx", tmp_path / "model.engine") == (tmp_path / "model.engine").read_bytes()
    assert is_engine(tmp_path / "model.engine")


def test_the_profile_is_that_of_the_options() -> None:
    few = build_engine(linear_model(), options=EngineOptions(max_batch=2))
    many = build_engine(linear_model(), options=RuntimeOptions(extra={"max_batch": 512, "opt_batch": 64}))
    assert few != many


def test_an_engine_is_built_for_the_gpu_that_is_named() -> None:
    one = build_engine(linear_model(), options=EngineOptions(compute_capability="8.9"))
    assert is_engine(one)
    assert one != build_engine(linear_model())
    with pytest.raises(SpecError, match=r"compute_capability = '3\.5'.*8\.9"):
        build_engine(linear_model(), options=EngineOptions(compute_capability="3.5"))


def test_an_engine_is_kept_and_found_again(tmp_path: Path) -> None:
    options = EngineOptions(cache_dir=str(tmp_path / "engines"))
    first = build_engine(linear_model(), options=options)
    (kept,) = (tmp_path / "engines").iterdir()
    assert kept.read_bytes() == first
    kept.write_bytes(b"found")
    assert build_engine(linear_model(), options=options) == b"found"
    for other in (
        build_engine(linear_model(np.ones((3, 2), dtype=np.float32)), options=options),
        build_engine(linear_model(), options=options, gpu="another"),
        build_engine(linear_model(), options=EngineOptions(cache_dir=options.cache_dir, max_batch=7)),
    ):
        assert other != b"found"
    assert len(list((tmp_path / "engines").iterdir())) == 4


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MeasurementError, match="cannot be written"):
        build_engine(linear_model(), tmp_path / "file" / "model.engine")


def test_the_node_that_is_refused_is_named() -> None:
    nodes = [
        helper.make_node("Relu", ["features"], ["relu"], name="fine"),
        helper.make_node("Transmogrify", ["relu"], ["scores"], name="layers/7/odd"),
    ]
    with pytest.raises(MeasurementError, match=r"no operator Transmogrify \(node 'layers/7/odd'\)") as caught:
        build_engine(build(nodes, {}, row=[3], columns=3))
    assert not caught.value.retryable
    with pytest.raises(MeasurementError, match="no operator TreeEnsembleRegressor"):
        build_engine(tree_model())


def test_rows_of_an_unknown_shape_are_refused() -> None:
    node = helper.make_node("Flatten", ["features"], ["scores"])
    with pytest.raises(MeasurementError, match="one tensor"):
        build_engine(build([node], {}, row=["length"], columns=3))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"min_batch": 0}, "min_batch"),
        ({"min_batch": 3, "opt_batch": 2}, "min_batch"),
        ({"opt_batch": 300}, "max_batch"),
        ({"speed": 1}, "'speed'"),
        ({"max_batch": "many"}, "many"),
    ],
)
def test_impossible_options_are_refused(extra: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        build_engine(linear_model(), options=RuntimeOptions(extra=extra))


def test_a_choice_that_this_tensorrt_does_not_have_is_refused() -> None:
    with pytest.raises(SpecError, match="fp16 = True") as caught:
        build_engine(linear_model(), options=EngineOptions(fp16=True))
    assert "--quantize fp16" in (caught.value.hint or "")
