"""The runtime ``tvm``: a model is compiled when it is prepared, and tuned first if that is asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import Runtime, RuntimeOptions, Session, TensorSpec, failed_batch, only_on, unusable
from .cache import TuningSummary
from .compiling import Lowered, compile_lowered, find_target, lower
from .frontend import FAILURES, first_line, read_model, relax, tvm
from .options import TvmOptions
from .tuning import tuned

if TYPE_CHECKING:
    from ...devices import Device

    Array = np.ndarray[Any, Any]

_ALIGNMENT = 64  # bytes; compiled kernels take it for granted
_BIG_CORES = 1  # TVM's word for: any core
_pool = threading.local()


class TvmSession(Session):
    """A compiled model. Batches are run in parts of the compiled size; the last part is filled up with its last row.

    Args:
        module: TVM's compiled module.
        spec: What a row is.
        rows: Rows in one call of the compiled program.
        threads: Threads in one call.
        tuning: What tuning found.

    Attributes:
        tuned: Whether every kernel of the model is a tuned one. The times of a model that is not tuned say nothing about
            TVM and must not be a reward.
        tuning: Seconds and trials of the tuning, and how many of the kernels it reached.
    """

    def __init__(self, module: Any, *, spec: TensorSpec, rows: int, threads: int = 1, tuning: TuningSummary) -> None:
        self.input = spec
        self.tuning = tuning
        self.tuned = tuning.complete
        self._rows, self._threads = rows, threads
        self._part = _aligned((rows, *(size or 1 for size in spec.shape)), spec.dtype)
        self._tensor = tvm.runtime.from_dlpack(self._part)
        self._main: Callable[[Any], Any] | None = relax.VirtualMachine(module, tvm.cpu())["main"]
        self._lock = threading.Lock()  # the virtual machine and the part of a batch serve one call at a time

    def run(self, batch: Array) -> Array:  # noqa: D102  # the contract says it
        with self._lock:
            if self._main is None:
                raise unusable("The session is closed.")
            if self._threads > 1:
                _use_threads(self._threads)
            try:
                if batch.shape == self._part.shape and batch.dtype == self._part.dtype:
                    return self._run_part(self._main, batch)
                if self.input.misfit(batch) is None:
                    starts = range(0, len(batch), self._rows)
                    parts = [self._run_part(self._main, batch[start : start + self._rows]) for start in starts]
                    return np.concatenate(parts)
            except FAILURES as e:
                raise failed_batch("TVM", self.input, batch, cause=first_line(e)) from e
        raise failed_batch("TVM", self.input, batch, cause="")

    def _run_part(self, main: Callable[[Any], Any], rows: Array) -> Array:
        count = len(rows)
        self._part[:count] = rows
        if count < self._rows:
            self._part[count:] = rows[-1]
        return np.array(np.from_dlpack(main(self._tensor))[:count], np.float32)

    def close(self) -> None:
        """Drop the model; TVM frees it at once."""
        with self._lock:
            self._main = None


class TvmRuntime(Runtime):
    """Apache TVM on the processor; ``options.extra`` are the settings of :class:`.options.TvmOptions`."""

    name = "tvm"

    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> Session:
        """Compile a model, and tune it first if ``options.extra`` has ``tuning_s``.

        Args:
            model: The ONNX file, or its content.
            device: This machine, or a bare TVM server: ``tvm-rpc://HOST:PORT``.
            options: How it runs.

        Raises:
            SpecError: A setting is unknown or out of range.
            MeasurementError: As the contract says; or the server does not answer (then a retry can help).
            MissingDependencyError: Tuning needs a C compiler, which is not there.
        """
        only_on(self.name, device)
        settings = TvmOptions.read(options.extra)
        if device.url is not None:
            from .remote import prepare_remote

            return prepare_remote(model, device=device, settings=settings, threads=options.threads)
        lowered = lower_for(model, settings=settings, threads=options.threads)
        tuning = tuned(lowered, options=settings, threads=options.threads)
        return TvmSession(
            compile_lowered(lowered, tuning.records),
            spec=lowered.model.input,
            rows=lowered.rows,
            threads=options.threads,
            tuning=tuning.summary(),
        )

    def versions(self) -> dict[str, str]:
        """Return TVM's version."""
        return {"tvm": str(tvm.__version__)}


def lower_for(model: Path | str | bytes, *, settings: TvmOptions, threads: int) -> Lowered:
    """Read and lower a model for the target of the settings.

    Raises:
        MeasurementError: The model cannot be read or lowered. Not retryable.
        UnknownNameError: There is no such target.
    """
    target = find_target(settings.target, threads=threads)
    return lower(read_model(model), rows=settings.batch, target=target)


def _aligned(shape: tuple[int, ...], dtype: str) -> Array:
    """Return an array of zeros whose first byte is where TVM's kernels want it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def _use_threads(threads: int) -> None:
    """Let this thread's pool of TVM use so many threads, on any core that this process may use."""
    if getattr(_pool, "threads", None) == threads:
        return
    os.environ.setdefault("TVM_NUM_THREADS", str(os.cpu_count() or 1))  # the most, read when a pool is made
    os.environ.setdefault("TVM_BIND_THREADS", "0")  # else TVM moves the calling thread to a core of its choice
    tvm.get_global_func("runtime.config_threadpool")(_BIG_CORES, threads)
    _pool.threads = threads
