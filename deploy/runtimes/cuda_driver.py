"""The little of CUDA's driver that running an engine takes: a GPU, a stream, memory on both sides, copies.

It calls ``libcuda`` directly (https://docs.nvidia.com/cuda/cuda-driver-api/), which is there wherever an NVIDIA driver
is: neither CUDA's toolkit nor a Python package of it is needed. Calls are on the device's primary context, the one that
TensorRT uses.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MeasurementError
from .base import unusable

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_LIBRARY = "libcuda.so.1"
_NAME_BYTES = 256
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: it does not wait for the default stream


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Args:
        index: Its number among those of this machine, from 0.
        name: What its maker calls it.
        capability: Its compute capability, as ``(8, 9)``.
        driver: The CUDA version of the driver, as ``"13.0"``.
    """

    index: int
    name: str
    capability: tuple[int, int]
    driver: str


class CudaDriver:
    """CUDA's driver, initialized.

    Args:
        library: The driver's shared library.

    Raises:
        MeasurementError: There is no driver, or it does not start.
    """

    def __init__(self, library: str = _LIBRARY) -> None:
        try:
            self._library = ctypes.CDLL(library)
        except OSError as e:
            raise unusable(f"There is no NVIDIA driver on this machine: {e}.") from e
        self.call("cuInit", ctypes.c_uint(0))

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver.

        Raises:
            MeasurementError: It fails; the message has the function and CUDA's name of the error.
        """
        function = getattr(self._library, name)
        function.restype = ctypes.c_int
        code = function(*arguments)
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorName(ctypes.c_int(code), ctypes.byref(text))
            raise unusable(f"CUDA fails in {name}: {(text.value or b'unknown error').decode()} ({code}).")

    def gpus(self) -> tuple[Gpu, ...]:
        """Return the GPUs of this machine."""
        count, version = ctypes.c_int(), ctypes.c_int()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        self.call("cuDriverGetVersion", ctypes.byref(version))
        driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
        return tuple(self._gpu(index, driver) for index in range(count.value))

    def _gpu(self, index: int, driver: str) -> Gpu:
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        name = ctypes.create_string_buffer(_NAME_BYTES)
        self.call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(index))
        self.call("cuDeviceGetName", name, ctypes.c_int(_NAME_BYTES), device)
        self.call("cuDeviceGetAttribute", ctypes.byref(major), ctypes.c_int(_CAPABILITY_MAJOR), device)
        self.call("cuDeviceGetAttribute", ctypes.byref(minor), ctypes.c_int(_CAPABILITY_MINOR), device)
        return Gpu(index, name.value.decode(errors="replace"), (major.value, minor.value), driver)


class CudaContext:
    """The primary context of one GPU, with a stream of its own.

    Args:
        driver: The driver.
        gpu: The GPU.
    """

    def __init__(self, driver: CudaDriver, gpu: Gpu) -> None:
        self._driver = driver
        self._device = ctypes.c_int()
        self._context, self._stream = ctypes.c_void_p(), ctypes.c_void_p()
        driver.call("cuDeviceGet", ctypes.byref(self._device), ctypes.c_int(gpu.index))
        driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        self.enter()
        driver.call("cuStreamCreate", ctypes.byref(self._stream), ctypes.c_uint(_NON_BLOCKING))

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return self._stream.value or 0

    def enter(self) -> None:
        """Make the context that of the calling thread; each thread needs it once, and twice does no harm."""
        self._driver.call("cuCtxSetCurrent", self._context)

    def wait(self) -> None:
        """Wait until all that was put on the stream is done."""
        self._driver.call("cuStreamSynchronize", self._stream)

    def allocate(self, size_bytes: int) -> CudaBuffer:
        """Return memory on the GPU with as much pinned memory of this machine to copy from and to."""
        return CudaBuffer(self._driver, self._stream, size_bytes)

    def close(self) -> None:
        """Give the stream and the context back; twice does no harm."""
        if self._stream.value is None:
            return
        self.enter()
        self._driver.call("cuStreamDestroy_v2", self._stream)
        self._driver.call("cuDevicePrimaryCtxRelease_v2", self._device)
        self._stream = ctypes.c_void_p()


class CudaBuffer:
    """A piece of GPU memory and a piece of pinned memory of the same size.

    Args:
        driver: The driver.
        stream: The stream that copies are put on.
        size_bytes: How much, at least 1.
    """

    def __init__(self, driver: CudaDriver, stream: ctypes.c_void_p, size_bytes: int) -> None:
        self._driver, self._stream = driver, stream
        self._device, self._host = ctypes.c_uint64(), ctypes.c_void_p()
        driver.call("cuMemAlloc_v2", ctypes.byref(self._device), ctypes.c_size_t(size_bytes))
        try:
            driver.call("cuMemHostAlloc", ctypes.byref(self._host), ctypes.c_size_t(size_bytes), ctypes.c_uint(0))
        except MeasurementError:
            driver.call("cuMemFree_v2", self._device)
            raise
        assert self._host.value is not None  # noqa: S101  # the call succeeded
        content = (ctypes.c_uint8 * size_bytes).from_address(self._host.value)
        self._bytes: Array = np.ctypeslib.as_array(content)

    @property
    def address(self) -> int:
        """Where it is on the GPU."""
        return self._device.value

    def upload(self, values: Array) -> None:
        """Put a copy of values to the GPU on the stream; they may change once this returns."""
        size = values.nbytes
        self._bytes[:size].view(values.dtype).reshape(values.shape)[...] = values
        self._driver.call("cuMemcpyHtoDAsync_v2", self._device, self._host, ctypes.c_size_t(size), self._stream)

    def download(self, size_bytes: int) -> None:
        """Put a copy from the GPU on the stream; it is there after the stream was waited for."""
        self._driver.call("cuMemcpyDtoHAsync_v2", self._host, self._device, ctypes.c_size_t(size_bytes), self._stream)

    def read(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Return a copy of what was downloaded."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self._bytes[:size].view(dtype).reshape(shape).copy()

    def close(self) -> None:
        """Free the memory; twice does no harm."""
        if self._host.value is None:
            return
        self._bytes = np.empty(0, dtype=np.uint8)
        self._driver.call("cuMemFree_v2", self._device)
        self._driver.call("cuMemFreeHost", self._host)
        self._host = ctypes.c_void_p()
