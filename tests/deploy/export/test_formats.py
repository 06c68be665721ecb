from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_suite import WEIGHTS, linear_model

from omniforge.deploy import RUNTIMES, RuntimeOptions
from omniforge.deploy.export.formats import FORMATS, check_format, write_format
from omniforge.errors import ExportError, SpecError

ROWS = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(linear_model())
    return path


@pytest.mark.parametrize("to", ["onnx", "openvino", "tvm"])
def test_what_is_written_runs_without_the_model(to: str, model: Path, tmp_path: Path) -> None:
    if to != "onnx":
        pytest.importorskip(to)
    (tmp_path / "out").mkdir()
    written = write_format(model, tmp_path / "out" / f"shipped{FORMATS[to].suffix}", to=to)
    model.unlink()
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in written.files}
    assert written.files[0].name == f"shipped{FORMATS[to].suffix}"
    assert written.runtime is not None
    assert written.runtime.name == {"onnx": "onnxruntime"}.get(to, to)
    with written.runtime.prepare(written.files[0], device=written.device, options=RuntimeOptions()) as session:
        np.testing.assert_allclose(session.run(ROWS), ROWS @ WEIGHTS, rtol=1e-5, atol=1e-6)


def test_openvino_s_weights_stay_float32(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    written = write_format(model, tmp_path / "m.xml", to="openvino")
    assert written.files[1].stat().st_size >= WEIGHTS.nbytes
    assert 'element_type="f16"' not in written.files[0].read_text()


def test_a_tensorrt_engine_is_built_without_a_gpu(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    written = write_format(model, tmp_path / "m.engine", to="tensorrt")
    assert written.files[0].stat().st_size > 1000
    if written.runtime is None:
        assert "GPU" in written.why_not


def test_a_library_for_another_processor_says_so(model: Path, tmp_path: Path) -> None:
    import shutil

    pytest.importorskip("tvm")
    if shutil.which("aarch64-linux-gnu-gcc") is None:
        pytest.skip("apt-get install gcc-aarch64-linux-gnu")
    written = write_format(model, tmp_path / "m.so", to="tvm", target="aarch64")
    assert written.runtime is None
    assert "aarch64" in written.why_not
    assert "tuned" in written.notes[0]
    assert json.loads(written.files[1].read_text())["machine"] == "aarch64"
    assert written.files[0].read_bytes()[18] == 183  # ELF's number of the processor


@pytest.mark.slow
def test_a_tuned_library_says_how_far_it_was_tuned(model: Path, tmp_path: Path) -> None:
    settings = {"tuning_s": 5.0, "cache": str(tmp_path / "cache")}
    written = write_format(model, tmp_path / "m.so", to="tvm", settings=settings)
    tuning = json.loads(written.files[1].read_text())["tuning"]
    assert tuning["kernels"] >= 1
    assert any(f"{tuning['trials']} trials" in note for note in written.notes) or tuning["tuned_kernels"] == 0


def test_an_operator_that_a_format_lacks_is_named(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    path = tmp_path / "m.onnx"
    path.write_bytes(linear_model(op="Transmogrify"))
    with pytest.raises(ExportError, match="Transmogrify") as caught:
        write_format(path, tmp_path / "m.xml", to="openvino")
    assert str(tmp_path) not in caught.value.message  # the file is a temporary one


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("m.onnx", {"to": "onxx"}, "'onxx'.*openvino"),
        ("m.bin", {"to": "openvino"}, r"'m\.bin'.*'\.xml'"),
        ("m.onnx", {"to": "onnx", "target": "aarch64"}, "aarch64"),
    ],
)
def test_what_cannot_be_is_refused_first(name: str, settings: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=message):
        check_format(tmp_path / name, **settings)


def test_every_format_has_a_runtime_to_ask_for() -> None:
    names = {"onnx": "onnxruntime"}
    assert all(names.get(to, to) in RUNTIMES for to in FORMATS)
