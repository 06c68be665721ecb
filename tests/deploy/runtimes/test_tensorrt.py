"""What is refused, for real; a session on a driver and an engine that only pretend; and execution, marked ``gpu``."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conformance.runtime_models import WEIGHTS
from conformance.runtime_suite import IMAGES, RuntimeRefusals, RuntimeSuite

from omniforge.deploy import RUNTIMES, Device, Runtime, RuntimeOptions
from omniforge.deploy.runtimes.cuda_driver import CudaContext, CudaDriver
from omniforge.deploy.runtimes.tensorrt import TensorRtSession
from omniforge.errors import MeasurementError

pytest.importorskip("tensorrt_rtx", reason="pip install 'omniforge[tensorrt]'")


def _has_gpu() -> bool:
    try:
        return bool(CudaDriver().gpus())
    except MeasurementError:
        return False


class TestTensorRtRuntime(RuntimeRefusals):
    @pytest.fixture(scope="class")
    def runtime(self) -> Runtime:
        return RUNTIMES.get("tensorrt")()

    @pytest.fixture
    def device(self) -> Device:
        return Device("gpu", kind="gpu", runtime="tensorrt")

    @pytest.mark.skipif(_has_gpu(), reason="there is a GPU")
    def test_without_a_gpu_the_engine_is_built_and_that_is_said(self, runtime: Runtime, device: Device) -> None:
        with pytest.raises(MeasurementError, match=r"is ready \(\d+ bytes\).*7\.5.*12\.1") as caught:
            runtime.prepare(IMAGES.content, device=device, options=RuntimeOptions())
        assert not caught.value.retryable

    def test_a_broken_engine_or_none_is_said(self, runtime: Runtime, device: Device, tmp_path: Path) -> None:
        with pytest.raises(MeasurementError, match=r"none\.engine"):
            runtime.prepare(tmp_path / "none.engine", device=device, options=RuntimeOptions())
        with pytest.raises(MeasurementError):
            runtime.prepare(b"vtrt and no more", device=device, options=RuntimeOptions())


@pytest.mark.gpu
@pytest.mark.skipif(not _has_gpu(), reason="no NVIDIA GPU")
class TestTensorRtOnGpu(RuntimeSuite):
    @pytest.fixture(scope="class")
    def runtime(self) -> Runtime:
        return RUNTIMES.get("tensorrt")()

    @pytest.fixture
    def device(self) -> Device:
        return Device("gpu", kind="gpu", runtime="tensorrt")


class PretendedEngine:
    """An engine that multiplies rows of three by ``WEIGHTS``, in the memory that a session gives it."""

    num_io_tensors = 2

    def __init__(self, batch: int = -1) -> None:
        self.batch = batch
        self.shape: tuple[int, ...] = (batch, 3)
        self.addresses: dict[str, int] = {}
        self.shapings = 0
        self.refuses = False

    def get_tensor_name(self, at: int) -> str:
        return ("features", "scores")[at]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "features" else "out"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape if name == "features" else (self.shape[0], 2)

    def get_tensor_dtype(self, name: str) -> type:
        return np.float32

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        assert self.batch == -1, "a fixed batch has no profile"
        return [(1, 3), (2, 3), (4, 3)]

    def create_execution_context(self) -> PretendedEngine:
        return self

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        self.shapings += 1
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if self.refuses or not stream:
            return False
        rows = np.frombuffer(self._memory("features", 3), dtype=np.float32).reshape(-1, 3)
        result = np.frombuffer(self._memory("scores", 2), dtype=np.float32).reshape(-1, 2)
        result[...] = rows @ WEIGHTS
        return True

    def _memory(self, name: str, columns: int) -> Any:
        return (ctypes.c_uint8 * (4 * columns * self.shape[0])).from_address(self.addresses[name])


PRETENDED = SimpleNamespace(TensorIOMode=SimpleNamespace(INPUT="in"), nptype=lambda dtype: dtype)


def _session(cuda_library: str, engine: PretendedEngine) -> TensorRtSession:
    driver = CudaDriver(cuda_library)
    return TensorRtSession(PRETENDED, engine, CudaContext(driver, driver.gpus()[0]), b"")


def test_a_session_copies_runs_and_copies_back(cuda_library: str) -> None:
    engine = PretendedEngine()
    batch = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    count = ctypes.CDLL(cuda_library).allocations
    before = count()
    with _session(cuda_library, engine) as session:
        assert (session.input.shape, session.input.dtype, session.input.batch) == ((3,), "float32", None)
        session.warm_up()
        shapings = engine.shapings
        for rows in (4, 4, 1, 3):
            np.testing.assert_allclose(session.run(batch[:rows]), batch[:rows] @ WEIGHTS, rtol=1e-5)
        assert engine.shapings == shapings + 3  # a batch of the same size is not announced again
        first = session.run(batch[:1])
        session.run(batch[1:2])
        np.testing.assert_allclose(first, batch[:1] @ WEIGHTS, rtol=1e-5)
    assert count() == before
    with pytest.raises(MeasurementError, match="closed"):
        session.run(batch)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (np.ones((5, 3), dtype=np.float32), "1 to 4 rows"),
        (np.ones((2, 4), dtype=np.float32), r"float32 \[2, 4\], expected float32 \[batch, 3\]"),
        (np.ones((2, 3), dtype=np.float64), r"float64 \[2, 3\]"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(cuda_library: str, batch: np.ndarray, said: str) -> None:
    with _session(cuda_library, PretendedEngine()) as session:
        with pytest.raises(MeasurementError, match=said):
            session.run(batch)
        assert session.run(np.ones((2, 3), dtype=np.float32)).shape == (2, 2)


def test_a_fixed_batch_is_said(cuda_library: str) -> None:
    with _session(cuda_library, PretendedEngine(batch=2)) as session:
        assert session.input.batch == 2
        session.warm_up()
        with pytest.raises(MeasurementError, match=r"\[1, 3\], expected float32 \[2, 3\]"):
            session.run(np.ones((1, 3), dtype=np.float32))


def test_an_execution_that_fails_is_raised(cuda_library: str) -> None:
    engine = PretendedEngine()
    engine.refuses = True
    with _session(cuda_library, engine) as session, pytest.raises(MeasurementError, match="refused"):
        session.run(np.ones((1, 3), dtype=np.float32))
