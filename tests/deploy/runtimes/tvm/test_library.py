from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_models import image_network, linear_model, token_network

from omniforge.deploy import RuntimeOptions
from omniforge.errors import ExportError, MeasurementError, MissingDependencyError, SpecError, UnknownNameError

pytest.importorskip("tvm", reason="pip install 'omniforge[tvm]'")

from omniforge.deploy.runtimes.tvm.library import compile_library, load_library, read_library

NETWORK = image_network()


def test_a_library_is_loaded_and_computes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.so"
    written = compile_library(NETWORK.content, path)
    assert read_library(path) == written
    assert (written.input.shape, written.output.shape, written.machine) == ((1, 3, 8, 8), (1, 3), platform.machine())
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.so", "model.so.json"]
    with load_library(path) as session:
        assert not session.tuned
        np.testing.assert_allclose(session.run(NETWORK.rows), NETWORK.expected, rtol=1e-4, atol=1e-6)


def test_a_fixed_batch_and_whole_numbers_stay_what_they_are(tmp_path: Path) -> None:
    compile_library(image_network(rows=2).content, tmp_path / "two.so")
    with load_library(tmp_path / "two.so") as session:
        assert session.input.batch == 2
    tokens = token_network()
    compile_library(tokens.content, tmp_path / "tokens.so", options=RuntimeOptions(extra={"batch": 3}))
    with load_library(str(tmp_path / "tokens.so")) as session:
        assert (session.input.batch, session.input.dtype) == (None, "int64")
        np.testing.assert_allclose(session.run(tokens.rows), tokens.expected, rtol=1e-4, atol=1e-6)


def test_a_library_that_is_written_again_is_the_new_one(tmp_path: Path) -> None:
    path, batch = tmp_path / "model.so", np.ones((1, 3), np.float32)
    compile_library(linear_model(), path)
    with load_library(path) as old:
        before = old.run(batch)
        compile_library(linear_model(np.ones((3, 2), np.float32)), path)
        with load_library(path) as new:
            np.testing.assert_allclose(new.run(batch), [[3, 3]])
        np.testing.assert_array_equal(old.run(batch), before)


def test_what_cannot_be_compiled_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="Transmogrify"):
        compile_library(linear_model(op="Transmogrify"), tmp_path / "model.so")
    with pytest.raises(UnknownNameError, match="toaster"):
        compile_library(linear_model(), tmp_path / "model.so", target="toaster")
    with pytest.raises(SpecError, match="another processor") as caught:
        compile_library(
            linear_model(), tmp_path / "model.so", target="aarch64", options=RuntimeOptions(extra={"tuning_s": 5})
        )
    assert "device" in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []


def test_a_linker_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(MissingDependencyError, match="aarch64-linux-gnu-gcc") as caught:
        compile_library(linear_model(), tmp_path / "model.so", target="aarch64")
    assert "apt-get install gcc-aarch64-linux-gnu" in (caught.value.hint or "")
    with pytest.raises(MissingDependencyError, match="C compiler"):
        compile_library(linear_model(), tmp_path / "model.so")


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.so"
    with pytest.raises(MeasurementError, match=r"model\.so\.json"):
        load_library(path)
    compile_library(linear_model(), path)
    described = json.loads((tmp_path / "model.so.json").read_text())
    for change, said in (
        ({"machine": "abacus"}, "is for abacus"),
        ({"sha256": "0" * 64}, "is not the one"),
        ({"format": 99}, "another version"),
        ({"input": 5}, "is not one of a compiled model"),
        ({"more": 5}, "is not one of a compiled model"),
    ):
        (tmp_path / "model.so.json").write_text(json.dumps(described | change))
        with pytest.raises(MeasurementError, match=said) as caught:
            load_library(path)
        assert not caught.value.retryable
    (tmp_path / "model.so.json").write_text(json.dumps(described))
    path.unlink()
    with pytest.raises(MeasurementError, match="cannot be read"):
        load_library(path)
