from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
import torch
from conformance.runtime_models import WEIGHTS, linear_model, tree_model
from conformance.runtime_suite import IMAGES, LOCAL, TOKENS, DamageSuite, PrecisionSuite, RuntimeRefusals, RuntimeSuite
from torch import nn

from omniforge.deploy import RUNTIMES, Runtime, RuntimeOptions
from omniforge.errors import MeasurementError, MissingDependencyError, SpecError


class TestTorchRuntime(RuntimeSuite, DamageSuite, PrecisionSuite):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return RUNTIMES.get("torch")()

    def test_trees_are_refused_by_name(self, runtime: Runtime) -> None:
        with pytest.raises(MeasurementError, match=r"ai\.onnx\.ml\.TreeEnsembleRegressor") as caught:
            runtime.prepare(tree_model(), device=LOCAL, options=RuntimeOptions())
        assert "onnxruntime" in (caught.value.hint or "")

    def test_it_has_no_settings_of_its_own(self, runtime: Runtime) -> None:
        with pytest.raises(SpecError, match="'fast'"):
            runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions(extra={"fast": True}))

    def test_the_number_of_threads_of_the_process_is_left_alone(self, runtime: Runtime) -> None:
        before = torch.get_num_threads()
        with runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions(threads=before + 1)) as session:
            session.run(np.ones((1, 3), dtype=np.float32))
        assert torch.get_num_threads() == before

    @pytest.mark.parametrize("dynamic", [True, False], ids=["any", "fixed"])
    def test_a_program_of_torch_export_runs(self, runtime: Runtime, tmp_path: Path, dynamic: bool) -> None:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.Softmax(1)).eval()
        shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
        program = torch.export.export(module, (torch.randn(2, 4),), dynamic_shapes=shapes)
        torch.export.save(program, tmp_path / "model.pt2")
        rows = torch.randn(2, 4)
        for source in (tmp_path / "model.pt2", (tmp_path / "model.pt2").read_bytes()):
            with runtime.prepare(source, device=LOCAL, options=RuntimeOptions()) as session:
                assert (session.input.shape, session.input.batch) == ((4,), None if dynamic else 2)
                np.testing.assert_allclose(session.run(rows.numpy()), module(rows).detach().numpy(), rtol=1e-6)

    def test_a_broken_program_is_refused(self, runtime: Runtime, tmp_path: Path) -> None:
        (tmp_path / "model.pt2").write_bytes(b"PK\x03\x04 and no more")
        with pytest.raises(MeasurementError, match=r"model\.pt2"):
            runtime.prepare(tmp_path / "model.pt2", device=LOCAL, options=RuntimeOptions())

    def test_weights_beside_the_file_are_found(self, runtime: Runtime, tmp_path: Path) -> None:
        model = onnx.load_model_from_string(IMAGES.content)
        onnx.save_model(
            model, tmp_path / "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0
        )
        with runtime.prepare(tmp_path / "model.onnx", device=LOCAL, options=RuntimeOptions()) as session:
            np.testing.assert_allclose(session.run(IMAGES.rows), IMAGES.expected, rtol=1e-4, atol=1e-6)
        (tmp_path / "model.onnx.data").unlink()
        with pytest.raises(MeasurementError, match=r"model\.onnx"):
            runtime.prepare(tmp_path / "model.onnx", device=LOCAL, options=RuntimeOptions())


class TestCompiledRuntime(RuntimeRefusals):
    """A compilation takes seconds: what is refused comes before it, and what is computed is one model here."""

    @pytest.fixture
    def runtime(self) -> Runtime:
        return RUNTIMES.get("torch-compile")()

    @pytest.mark.slow
    def test_it_computes_what_the_model_says(self, runtime: Runtime) -> None:
        before = {child.pid for child in psutil.Process().children(recursive=True)}
        session = runtime.prepare(TOKENS.content, device=LOCAL, options=RuntimeOptions())
        left = {child.pid for child in psutil.Process().children(recursive=True)} - before
        assert not left  # torch would keep workers for compilations to come
        for rows in (1, 5, 3):
            np.testing.assert_allclose(session.run(TOKENS.rows[:rows]), TOKENS.expected[:rows], rtol=1e-4, atol=1e-6)
        with pytest.raises(MeasurementError, match=r"int64 \[2, 7\], expected int64 \[batch, 6\]"):
            session.run(np.ones((2, 7), dtype=np.int64))
        session.close()
        with pytest.raises(MeasurementError, match="closed"):
            session.run(TOKENS.rows)

    def test_without_a_compiler_it_says_so(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(MissingDependencyError, match="'no-such-compiler'") as caught:
            runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions())
        assert "apt-get install g++" in (caught.value.hint or "")

    @pytest.mark.parametrize("extra", [{"batches": (0,)}, {"batches": ()}, {"batch": (1,)}])
    def test_impossible_settings_are_refused(self, runtime: Runtime, extra: dict[str, object]) -> None:
        with pytest.raises(SpecError, match="batch"):
            runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions(extra=extra))


def test_what_fails_is_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    broken = onnx.load_model_from_string(linear_model(WEIGHTS))
    broken.graph.initializer[0].dims[:] = [2, 3]
    session = RUNTIMES.get("torch")().prepare(broken.SerializeToString(), device=LOCAL, options=RuntimeOptions())
    with pytest.raises(MeasurementError, match="torch cannot run"):
        session.run(np.ones((1, 3), dtype=np.float32))
    assert capfd.readouterr() == ("", "")
