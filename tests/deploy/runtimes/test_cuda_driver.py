"""The driver's calls, on a driver whose GPU is this machine's memory (``conformance/fake_cuda.c``), and on a real one."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from omniforge.deploy.runtimes.cuda_driver import CudaContext, CudaDriver, Gpu
from omniforge.errors import MeasurementError


@pytest.fixture
def driver(cuda_library: str) -> CudaDriver:
    return CudaDriver(cuda_library)


def test_a_gpu_says_what_it_is(driver: CudaDriver) -> None:
    assert driver.gpus() == (Gpu(0, "Test GPU", (8, 9), "12.8"),)


@pytest.mark.parametrize("dtype", ["float32", "int64", "float16"])
def test_values_go_to_the_gpu_and_back(driver: CudaDriver, dtype: str) -> None:
    context = CudaContext(driver, driver.gpus()[0])
    values = np.arange(6).reshape(2, 3).astype(dtype)
    buffer = context.allocate(values.nbytes * 2)  # there is room for more than one batch
    buffer.upload(values)
    kept = values.copy()
    values[:] = 0
    buffer.download(kept.nbytes)
    context.wait()
    np.testing.assert_array_equal(buffer.read((2, 3), dtype), kept)
    device = np.frombuffer((ctypes.c_uint8 * kept.nbytes).from_address(buffer.address), dtype=dtype)
    np.testing.assert_array_equal(device.reshape(2, 3), kept)
    buffer.close()
    context.close()


def test_all_is_given_back_once(driver: CudaDriver, cuda_library: str) -> None:
    count = ctypes.CDLL(cuda_library).allocations
    before = count()
    context = CudaContext(driver, driver.gpus()[0])
    buffer = context.allocate(16)
    assert count() == before + 4
    for _ in range(2):
        buffer.close()
        context.close()
    assert count() == before


@pytest.mark.parametrize("calls", [0, 1])
def test_too_little_memory_is_said_and_nothing_is_left(driver: CudaDriver, cuda_library: str, calls: int) -> None:
    library = ctypes.CDLL(cuda_library)
    context = CudaContext(driver, driver.gpus()[0])
    before = library.allocations()
    library.fail_after(calls)
    with pytest.raises(MeasurementError, match=r"CUDA_ERROR_OUT_OF_MEMORY \(2\)"):
        context.allocate(16)
    assert library.allocations() == before
    context.close()


def test_a_machine_without_a_driver_says_so() -> None:
    with pytest.raises(MeasurementError, match="no NVIDIA driver") as caught:
        CudaDriver("libcuda-that-is-not-there.so.1")
    assert not caught.value.retryable


@pytest.mark.gpu
def test_a_real_gpu_copies() -> None:
    try:
        driver = CudaDriver()
    except MeasurementError:
        pytest.skip("no NVIDIA GPU")
    context = CudaContext(driver, driver.gpus()[0])
    values = np.arange(1000, dtype=np.float32)
    buffer = context.allocate(values.nbytes)
    buffer.upload(values)
    buffer.download(values.nbytes)
    context.wait()
    np.testing.assert_array_equal(buffer.read((1000,), "float32"), values)
    buffer.close()
    context.close()
