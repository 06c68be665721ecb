"""Everything that a runtime must do. For a new one: one class with a fixture ``runtime``, and it inherits it all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from omniforge.deploy import DEVICES, Runtime, RuntimeOptions
from omniforge.errors import MeasurementError

WEIGHTS = np.array([[1.0, -1.0], [0.5, 2.0], [-3.0, 0.25]], dtype=np.float32)
LOCAL = DEVICES["local"]


def linear_model(weights: np.ndarray = WEIGHTS, *, rows: int | str = "batch", op: str = "MatMul") -> bytes:
    """Return an ONNX model that multiplies its features by ``weights``."""
    width, columns = weights.shape
    graph = helper.make_graph(
        [helper.make_node(op, ["features", "weights"], ["scores"])],
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [rows, width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [rows, columns])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


class RuntimeSuite:
    @pytest.fixture
    def runtime(self) -> Runtime:
        raise NotImplementedError

    def test_it_computes_what_the_model_says(self, runtime: Runtime) -> None:
        batch = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
        with runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions()) as session:
            got = session.run(batch)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, batch @ WEIGHTS, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("rows", [1, 2, 33])
    def test_a_batch_has_any_size(self, runtime: Runtime, rows: int) -> None:
        with runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions()) as session:
            assert session.input.shape == (3,)
            assert session.run(np.ones((rows, 3), dtype=np.float32)).shape == (rows, 2)

    def test_a_file_and_its_content_are_the_same(self, runtime: Runtime, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(linear_model())
        batch = np.ones((2, 3), dtype=np.float32)
        results = []
        for source in (path, str(path), path.read_bytes()):
            with runtime.prepare(source, device=LOCAL, options=RuntimeOptions()) as session:
                results.append(session.run(batch))
        assert np.array_equal(results[0], results[1])
        assert np.array_equal(results[0], results[2])

    def test_more_threads_give_the_same(self, runtime: Runtime) -> None:
        batch = np.ones((5, 3), dtype=np.float32)
        with runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions(threads=2)) as session:
            np.testing.assert_allclose(session.run(batch), batch @ WEIGHTS, rtol=1e-5)

    def test_two_sessions_do_not_disturb_each_other(self, runtime: Runtime) -> None:
        batch = np.ones((1, 3), dtype=np.float32)
        first = runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions())
        second = runtime.prepare(linear_model(2 * WEIGHTS), device=LOCAL, options=RuntimeOptions())
        before = first.run(batch)
        second.close()
        np.testing.assert_array_equal(first.run(batch), before)
        first.close()

    @pytest.mark.parametrize("content", [b"", b"not a model at all", linear_model()[:40]], ids=["empty", "text", "cut"])
    def test_a_broken_file_is_refused_for_good(self, runtime: Runtime, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        with pytest.raises(MeasurementError, match=r"model\.onnx") as caught:
            runtime.prepare(path, device=LOCAL, options=RuntimeOptions())
        assert not caught.value.retryable

    def test_a_missing_file_is_refused_for_good(self, runtime: Runtime, tmp_path: Path) -> None:
        with pytest.raises(MeasurementError, match=r"none\.onnx") as caught:
            runtime.prepare(tmp_path / "none.onnx", device=LOCAL, options=RuntimeOptions())
        assert not caught.value.retryable

    def test_an_unknown_operator_is_named(self, runtime: Runtime) -> None:
        with pytest.raises(MeasurementError, match="Transmogrify"):
            runtime.prepare(linear_model(op="Transmogrify"), device=LOCAL, options=RuntimeOptions())

    def test_a_batch_of_the_wrong_width_is_refused(self, runtime: Runtime) -> None:
        with runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions()) as session:
            with pytest.raises(MeasurementError, match=r"\[2, 4\]"):
                session.run(np.ones((2, 4), dtype=np.float32))
            assert session.run(np.ones((2, 3), dtype=np.float32)).shape == (2, 2)  # and it still works

    def test_nan_is_passed_through(self, runtime: Runtime) -> None:
        batch = np.full((1, 3), np.nan, dtype=np.float32)
        with runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions()) as session:
            assert np.isnan(session.run(batch)).all()

    def test_a_closed_session_does_not_run(self, runtime: Runtime) -> None:
        session = runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions())
        session.close()
        with pytest.raises(MeasurementError, match="closed"):
            session.run(np.ones((1, 3), dtype=np.float32))

    def test_it_says_its_version(self, runtime: Runtime) -> None:
        versions = runtime.versions()
        assert versions
        assert all(text[0].isdigit() for text in versions.values())
