"""Everything that a runtime must do. For a new one: one class with a fixture ``runtime``, and it inherits it all.

``RuntimeRefusals`` is what a runtime says before it computes; ``RuntimeSuite`` has that and the computing. ``DamageSuite`` is
for runtimes that check what they load, ``PrecisionSuite`` for those that run float16 and int8 models.
"""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_models import (
    WEIGHTS,
    Network,
    half_model,
    half_sequence_model,
    image_network,
    linear_model,
    quantized_model,
    token_network,
    two_outputs,
)

from omniforge.deploy import DEVICES, Device, Runtime, RuntimeOptions
from omniforge.errors import MeasurementError

__all__ = ["LOCAL", "WEIGHTS", "DamageSuite", "PrecisionSuite", "RuntimeRefusals", "RuntimeSuite", "linear_model"]

LOCAL = DEVICES["local"]
IMAGES = image_network()
TOKENS = token_network()


class RuntimeRefusals:
    """What is refused, and in which words."""

    @pytest.fixture
    def runtime(self) -> Runtime:
        raise NotImplementedError

    @pytest.fixture
    def device(self) -> Device:
        return LOCAL

    @pytest.mark.parametrize("content", [b"", b"not a model at all", linear_model()[:40]], ids=["empty", "text", "cut"])
    def test_a_broken_file_is_refused_for_good(
        self, runtime: Runtime, device: Device, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        with pytest.raises(MeasurementError, match=r"model\.onnx") as caught:
            runtime.prepare(path, device=device, options=RuntimeOptions())
        assert not caught.value.retryable
        with pytest.raises(MeasurementError, match=r"^The model "):
            runtime.prepare(content, device=device, options=RuntimeOptions())

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
    def test_a_cut_network_is_refused(self, runtime: Runtime, device: Device, share: float) -> None:
        content = IMAGES.content[: int(share * len(IMAGES.content))]
        with pytest.raises(MeasurementError, match=r"^The model "):
            runtime.prepare(content, device=device, options=RuntimeOptions())

    def test_a_missing_file_is_refused_for_good(self, runtime: Runtime, device: Device, tmp_path: Path) -> None:
        with pytest.raises(MeasurementError, match=r"none\.onnx") as caught:
            runtime.prepare(tmp_path / "none.onnx", device=device, options=RuntimeOptions())
        assert not caught.value.retryable

    def test_an_unknown_operator_is_named(self, runtime: Runtime, device: Device) -> None:
        with pytest.raises(MeasurementError, match="Transmogrify"):
            runtime.prepare(linear_model(op="Transmogrify"), device=device, options=RuntimeOptions())

    def test_a_model_with_two_outputs_is_refused(self, runtime: Runtime, device: Device) -> None:
        with pytest.raises(MeasurementError, match="one output"):
            runtime.prepare(two_outputs(), device=device, options=RuntimeOptions())

    def test_another_kind_of_device_is_refused(self, runtime: Runtime) -> None:
        with pytest.raises(MeasurementError, match="'tpu'") as caught:
            runtime.prepare(linear_model(), device=Device("far", kind="tpu"), options=RuntimeOptions())
        assert not caught.value.retryable

    def test_it_says_its_version(self, runtime: Runtime) -> None:
        versions = runtime.versions()
        assert versions
        assert all(text[0].isdigit() for text in versions.values())


class RuntimeSuite(RuntimeRefusals):
    """What is computed: tables, images, tokens, with a batch of any size and with a fixed one."""

    def test_it_computes_what_the_model_says(self, runtime: Runtime, device: Device) -> None:
        batch = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
        with runtime.prepare(linear_model(), device=device, options=RuntimeOptions()) as session:
            got = session.run(batch)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, batch @ WEIGHTS, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("network", [IMAGES, TOKENS], ids=["images", "tokens"])
    def test_it_runs_networks(self, runtime: Runtime, device: Device, network: Network) -> None:
        with runtime.prepare(network.content, device=device, options=RuntimeOptions()) as session:
            assert session.input.shape == network.rows.shape[1:]
            assert (session.input.dtype, session.input.batch) == (str(network.rows.dtype), None)
            for rows in (5, 1, 3):
                got = session.run(network.rows[:rows])
                np.testing.assert_allclose(got, network.expected[:rows], rtol=1e-4, atol=1e-6)
                assert got.dtype == np.float32

    @pytest.mark.parametrize("rows", [1, 2, 33])
    def test_a_batch_has_any_size(self, runtime: Runtime, device: Device, rows: int) -> None:
        with runtime.prepare(linear_model(), device=device, options=RuntimeOptions()) as session:
            assert session.input.shape == (3,)
            assert session.run(np.ones((rows, 3), dtype=np.float32)).shape == (rows, 2)

    def test_a_fixed_batch_is_said_and_kept(self, runtime: Runtime, device: Device) -> None:
        network = image_network(rows=2)
        with runtime.prepare(network.content, device=device, options=RuntimeOptions()) as session:
            assert session.input.batch == 2
            np.testing.assert_allclose(session.run(network.rows[:2]), network.expected[:2], rtol=1e-4, atol=1e-6)
            with pytest.raises(MeasurementError, match=r"\[3, 3, 8, 8\], expected float32 \[2, 3, 8, 8\]"):
                session.run(network.rows[:3])

    def test_a_file_and_its_content_are_the_same(self, runtime: Runtime, device: Device, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(linear_model())
        batch = np.ones((2, 3), dtype=np.float32)
        results = []
        for source in (path, str(path), path.read_bytes()):
            with runtime.prepare(source, device=device, options=RuntimeOptions()) as session:
                results.append(session.run(batch))
        assert np.array_equal(results[0], results[1])
        assert np.array_equal(results[0], results[2])

    def test_a_file_may_change_once_it_is_loaded(self, runtime: Runtime, device: Device, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(linear_model())
        batch = np.ones((2, 3), dtype=np.float32)
        with runtime.prepare(path, device=device, options=RuntimeOptions()) as session:
            path.write_bytes(linear_model(2 * WEIGHTS))
            np.testing.assert_allclose(session.run(batch), batch @ WEIGHTS, rtol=1e-5)

    def test_more_threads_give_the_same(self, runtime: Runtime, device: Device) -> None:
        options = RuntimeOptions(threads=2)
        with runtime.prepare(IMAGES.content, device=device, options=options) as session:
            np.testing.assert_allclose(session.run(IMAGES.rows), IMAGES.expected, rtol=1e-4, atol=1e-6)

    def test_a_session_serves_threads(self, runtime: Runtime, device: Device) -> None:
        with runtime.prepare(IMAGES.content, device=device, options=RuntimeOptions()) as session:
            with ThreadPoolExecutor(4) as pool:
                results = list(pool.map(lambda rows: session.run(IMAGES.rows[:rows]), [1, 5] * 40))
            for rows, result in zip([1, 5] * 40, results, strict=True):
                np.testing.assert_allclose(result, IMAGES.expected[:rows], rtol=1e-4, atol=1e-6)

    def test_two_sessions_do_not_disturb_each_other(self, runtime: Runtime, device: Device) -> None:
        batch = np.ones((1, 3), dtype=np.float32)
        first = runtime.prepare(linear_model(), device=device, options=RuntimeOptions())
        second = runtime.prepare(linear_model(2 * WEIGHTS), device=device, options=RuntimeOptions())
        before = first.run(batch)
        np.testing.assert_allclose(second.run(batch), 2 * before, rtol=1e-5)
        second.close()
        np.testing.assert_array_equal(first.run(batch), before)
        first.close()

    def test_a_result_stays_what_it_was(self, runtime: Runtime, device: Device) -> None:
        with runtime.prepare(linear_model(), device=device, options=RuntimeOptions()) as session:
            batch = np.ones((2, 3), dtype=np.float32)
            first = session.run(batch)
            kept = first.copy()
            batch *= 5
            second = session.run(batch)
            np.testing.assert_array_equal(first, kept)
            np.testing.assert_allclose(second, 5 * kept, rtol=1e-5)

    def test_rows_may_be_mapped_from_a_file(self, runtime: Runtime, device: Device, tmp_path: Path) -> None:
        np.save(tmp_path / "rows.npy", IMAGES.rows)
        rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
        assert not rows.flags.writeable
        with runtime.prepare(IMAGES.content, device=device, options=RuntimeOptions()) as session:
            np.testing.assert_allclose(session.run(rows[2:4]), IMAGES.expected[2:4], rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize(
        ("batch", "said"),
        [
            (np.ones((2, 4), dtype=np.float32), r"float32 \[2, 4\], expected float32 \[batch, 3\]"),
            (np.ones((2, 3, 1), dtype=np.float32), r"float32 \[2, 3, 1\], expected float32 \[batch, 3\]"),
            (np.ones(3, dtype=np.float32), r"float32 \[3\], expected float32 \[batch, 3\]"),
            (np.ones((2, 3), dtype=np.float64), r"float64 \[2, 3\], expected float32 \[batch, 3\]"),
            (np.ones((2, 3), dtype=np.int64), r"int64 \[2, 3\], expected float32 \[batch, 3\]"),
        ],
        ids=["width", "rank", "row", "double", "integer"],
    )
    def test_a_batch_that_does_not_fit_is_refused(
        self, runtime: Runtime, device: Device, batch: np.ndarray, said: str
    ) -> None:
        with runtime.prepare(linear_model(), device=device, options=RuntimeOptions()) as session:
            with pytest.raises(MeasurementError, match=said) as caught:
                session.run(batch)
            assert not caught.value.retryable
            assert session.run(np.ones((2, 3), dtype=np.float32)).shape == (2, 2)  # and it still works

    def test_nan_is_passed_through(self, runtime: Runtime, device: Device) -> None:
        batch = np.full((1, 3), np.nan, dtype=np.float32)
        with runtime.prepare(linear_model(), device=device, options=RuntimeOptions()) as session:
            assert np.isnan(session.run(batch)).all()

    def test_a_closed_session_does_not_run(self, runtime: Runtime, device: Device) -> None:
        session = runtime.prepare(linear_model(), device=device, options=RuntimeOptions())
        session.close()
        session.close()  # twice is no error
        with pytest.raises(MeasurementError, match=r"^The session is closed"):
            session.run(np.ones((1, 3), dtype=np.float32))

    def test_closing_frees_the_model(self, runtime: Runtime, device: Device) -> None:
        if not Path("/proc/self/statm").exists():
            pytest.skip("how much memory is in use is read from /proc")
        weights = np.random.default_rng(0).normal(size=(1024, 4096)).astype(np.float32)  # 16 MiB
        content, batch = linear_model(weights), np.ones((1, 1024), dtype=np.float32)
        used = []
        for _ in range(6):
            with runtime.prepare(content, device=device, options=RuntimeOptions()) as session:
                session.run(batch)
            del session
            gc.collect()
            used.append(_resident_bytes())
        assert used[-1] - used[1] < 1.5 * weights.nbytes


class DamageSuite:
    """Files with a few wrong bytes: refused, or run as what they say; never another error and never a crash.

    OpenVINO and TensorRT trust their files: one in some hundreds of these ends the process. ``deploy.isolated`` is for that.
    """

    @pytest.mark.parametrize("seed", range(4))
    def test_a_damaged_file_is_refused_or_runs(
        self, runtime: Runtime, device: Device, seed: int, capfd: pytest.CaptureFixture[str]
    ) -> None:
        draw = np.random.default_rng(seed)
        refused = 0
        for network in [IMAGES, TOKENS] * 10:
            content = np.frombuffer(network.content, dtype=np.uint8).copy()
            places = draw.integers(0, len(content), size=draw.integers(1, 4))
            content[places] = draw.integers(0, 256, size=len(places))
            try:
                with runtime.prepare(content.tobytes(), device=device, options=RuntimeOptions()) as session:
                    assert session.run(network.rows[:2]).dtype == np.float32
            except MeasurementError as e:
                refused += not e.retryable
        assert 0 < refused < 20
        assert capfd.readouterr().out == ""


class PrecisionSuite:
    """Models whose weights are not float32."""

    def test_a_model_in_float16_runs(self, runtime: Runtime, device: Device) -> None:
        batch = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
        with runtime.prepare(half_model(), device=device, options=RuntimeOptions()) as session:
            np.testing.assert_allclose(session.run(batch), batch @ WEIGHTS, rtol=1e-2, atol=1e-2)

    def test_sequences_in_float16_run(self, runtime: Runtime, device: Device) -> None:
        batch = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
        with runtime.prepare(half_sequence_model(), device=device, options=RuntimeOptions()) as session:
            expected = (batch @ WEIGHTS).sum(axis=1)
            np.testing.assert_allclose(session.run(batch), expected, rtol=2e-2, atol=2e-2)

    def test_a_model_in_int8_runs(self, runtime: Runtime, device: Device) -> None:
        batch = np.random.default_rng(0).uniform(-1.9, 1.9, size=(7, 3)).astype(np.float32)
        with runtime.prepare(quantized_model(), device=device, options=RuntimeOptions()) as session:
            np.testing.assert_allclose(session.run(batch), batch @ WEIGHTS, atol=0.08)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
