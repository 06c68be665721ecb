"""TensorRT on an NVIDIA GPU, whichever is installed: ``tensorrt_rtx`` or ``tensorrt``.

Building an engine is in ``tensorrt_engine`` and works without a GPU; running one needs it. A prediction is timed with
both of its copies: from this machine's memory to the GPU and back.
"""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MeasurementError
from .base import Runtime, RuntimeOptions, Session, TensorSpec, failed_batch, named, only_on, other_shape, unusable
from .cuda_driver import CudaContext, CudaDriver, Gpu
from .tensorrt_engine import EngineOptions, build_engine, capability_names, is_engine, load_tensorrt, trt_logger

if TYPE_CHECKING:
    from ..devices import Device

    Array = np.ndarray[Any, Any]

__all__ = ["EngineOptions", "TensorRtRuntime", "TensorRtSession", "build_engine"]


class TensorRtSession(Session):
    """An engine on a GPU: one input ``[batch, ...]``, one output ``[batch, k]``."""

    def __init__(self, trt: Any, engine: Any, context: CudaContext, model: Path | str | bytes) -> None:
        context.enter()
        reads, writes = _names(trt, engine)
        if len(reads) != 1 or len(writes) != 1 or -1 in tuple(engine.get_tensor_shape(writes[0]))[1:]:
            raise other_shape(model, ", ".join([*reads, *writes]))
        self._read, self._write = reads[0], writes[0]
        first, *rest = (None if size == -1 else size for size in engine.get_tensor_shape(self._read))
        self.input = TensorSpec(tuple(rest), np.dtype(trt.nptype(engine.get_tensor_dtype(self._read))).name, first)
        self._output_dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(self._write))).name
        self._least = self._tuned = self._most = first or 1
        if first is None:
            self._least, self._tuned, self._most = (size[0] for size in engine.get_tensor_profile_shape(self._read, 0))
        self._cuda: CudaContext | None = context
        self._engine, self._context = engine, _execution(trt, engine)
        if self._context is None:
            raise unusable(f"{named(model)} does not fit into the GPU's memory: {trt_logger(trt).reason()}")
        self._running = threading.Lock()  # there is one place for a batch and one for its result
        self._shaped: tuple[int, ...] | None = None
        self._source = context.allocate(self._bytes(rest, self.input.dtype))
        self._result = context.allocate(self._bytes(list(engine.get_tensor_shape(self._write))[1:], self._output_dtype))
        self._context.set_tensor_address(self._read, self._source.address)
        self._context.set_tensor_address(self._write, self._result.address)

    def run(self, batch: Array) -> Array:  # noqa: D102  # the contract says it
        cuda = self._cuda
        if cuda is None:
            raise unusable("The session is closed.")
        misfit = self.input.misfit(batch)
        if misfit is not None or not self._least <= len(batch) <= self._most:
            cause = f"the engine takes {self._least} to {self._most} rows (extra: min_batch, max_batch)."
            raise failed_batch("TensorRT", self.input, batch, cause=cause)
        with self._running:
            cuda.enter()
            self._shape(batch)
            self._source.upload(batch)
            if not self._context.execute_async_v3(cuda.stream):
                cuda.wait()
                raise failed_batch("TensorRT", self.input, batch, cause="the execution was refused.")
            shape = tuple(self._context.get_tensor_shape(self._write))
            self._result.download(math.prod(shape) * np.dtype(self._output_dtype).itemsize)
            cuda.wait()
            result = self._result.read(shape, self._output_dtype)
        return result if result.dtype == np.float32 else result.astype(np.float32)

    def warm_up(self) -> None:
        """Predict rows of zeros, as few as the engine takes and as many as it is tuned for."""
        sizes = {self._least, self._tuned}
        for rows in sorted(sizes):
            self.run(np.zeros((rows, *(size or 1 for size in self.input.shape)), dtype=self.input.dtype))

    def close(self) -> None:
        """Free the engine and its memory, on the GPU and here."""
        cuda, self._cuda = self._cuda, None
        if cuda is None:
            return
        cuda.enter()
        self._context = self._engine = None
        self._source.close()
        self._result.close()
        cuda.close()

    def _shape(self, batch: Array) -> None:
        """Tell the engine the size of a batch, if it is another than that of the last one."""
        if batch.shape == self._shaped:
            return
        if self.input.batch is None and not self._context.set_input_shape(self._read, tuple(batch.shape)):
            raise failed_batch("TensorRT", self.input, batch, cause="its shape was refused.")
        self._shaped = batch.shape

    def _bytes(self, row: list[int | None], dtype: str) -> int:
        return max(self._most * math.prod(size or 1 for size in row) * np.dtype(dtype).itemsize, 1)


class TensorRtRuntime(Runtime):
    """TensorRT: an engine for the model, built when it is prepared unless it is in the cache."""

    name = "tensorrt"

    def __init__(self) -> None:
        self._trt = load_tensorrt()

    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> TensorRtSession:
        """Build an engine for an ONNX model, or take one (``.engine``), and load it on a GPU.

        ``options.extra`` are those of ``EngineOptions``; ``options.threads`` means nothing to a GPU. The first
        predictions of ``min_batch`` and of ``opt_batch`` rows are made here: kernels are compiled in them.

        Raises:
            MeasurementError: The model cannot be built, or there is no GPU to run it.
        """
        only_on(self.name, device, kinds=("gpu", "cpu"))  # a machine known by its processor may have a GPU as well
        settings = EngineOptions.of(options.extra)
        engine = self._engine(model, settings)
        driver, gpu = self._find_gpu(settings, engine)
        context = CudaContext(driver, gpu)
        try:
            session = self._load(model, engine, context)
        except MeasurementError:
            context.close()
            raise
        try:
            session.warm_up()
        except MeasurementError:
            session.close()
            raise
        return session

    def versions(self) -> dict[str, str]:
        """Return the versions of TensorRT and, where there is one, of the GPU's driver."""
        found = {self._trt.__name__: str(self._trt.__version__)}
        try:
            gpus = CudaDriver().gpus()
        except MeasurementError:
            return found
        return found | ({"cuda driver": gpus[0].driver} if gpus else {})

    def _engine(self, model: Path | str | bytes, settings: EngineOptions) -> bytes:
        if not is_engine(model):
            return build_engine(model, options=settings, gpu=self._gpu_name(settings))
        try:
            return model if isinstance(model, bytes) else Path(model).read_bytes()
        except OSError as e:
            raise unusable(f"{named(model)} cannot be read: {e.strerror or e}.") from e

    def _gpu_name(self, settings: EngineOptions) -> str:
        """Return the name of the GPU that an engine is built for; none, where engines are for all of them."""
        if capability_names(self._trt):
            return ""
        try:
            return CudaDriver().gpus()[settings.gpu].name
        except (MeasurementError, IndexError):
            return ""

    def _find_gpu(self, settings: EngineOptions, engine: bytes) -> tuple[CudaDriver, Gpu]:
        """Return the GPU to run on.

        Raises:
            MeasurementError: There is none, or TensorRT does not support it.
        """
        known = capability_names(self._trt)
        needed = f"an NVIDIA GPU of compute capability {', '.join(known)}" if known else "an NVIDIA GPU"
        built = f"The engine is ready ({len(engine)} bytes), but running it needs {needed}"
        try:
            driver = CudaDriver()
            gpus = driver.gpus()
        except MeasurementError as e:
            raise unusable(f"{built}. {e.message}", hint="Measure on a device that has one.") from e
        if settings.gpu >= len(gpus):
            raise unusable(f"{built}; gpu = {settings.gpu}, and this machine has {len(gpus)} of them.")
        gpu = gpus[settings.gpu]
        if known and ".".join(map(str, gpu.capability)) not in known:
            has = ".".join(map(str, gpu.capability))
            raise unusable(f"{built}; {gpu.name} has {has}.", hint="Install the package 'tensorrt' for this GPU.")
        return driver, gpu

    def _load(self, model: Path | str | bytes, engine: bytes, context: CudaContext) -> TensorRtSession:
        logger = trt_logger(self._trt)
        with logger.building:
            logger.errors.clear()
            loaded = self._trt.Runtime(logger).deserialize_cuda_engine(engine)  # which keeps the runtime alive
            if loaded is None:
                raise unusable(f"{named(model)} cannot be loaded by TensorRT: {logger.reason()}")
            return TensorRtSession(self._trt, loaded, context, model)


def _execution(trt: Any, engine: Any) -> Any:
    """Return an engine's execution context; ``None``: it does not fit into memory.

    TensorRT for RTX would compile kernels for a new batch size in the background while slower ones predict: latencies
    would fall as it is measured.
    """
    strategies = getattr(trt, "DynamicShapesKernelSpecializationStrategy", None)
    if strategies is None:
        return engine.create_execution_context()
    config = engine.create_runtime_config()
    config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
    return engine.create_execution_context(config)


def _names(trt: Any, engine: Any) -> tuple[list[str], list[str]]:
    """Return the names of an engine's inputs and outputs."""
    names = [engine.get_tensor_name(at) for at in range(engine.num_io_tensors)]
    reads = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    return reads, [name for name in names if name not in reads]
