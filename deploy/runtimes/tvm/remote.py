"""A bare device with TVM's RPC server: the model is compiled here, sent there and run there.

TVM's RPC has no authentication and no encryption, and whoever reaches it runs any code there. So only servers on this
machine are accepted (``python -m tvm.exec.rpc_server --host 127.0.0.1 --port 9190``, or the end of an authenticated tunnel),
unless the user says otherwise.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import secrets
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from tvm import rpc
from tvm.s_tir import meta_schedule
from tvm.support import cc

from ....errors import MeasurementError, SpecError
from ..base import Session, TensorSpec, failed_batch, unusable
from .cache import TuningSummary
from .compiling import Lowered, build_kernel, compile_lowered
from .frontend import FAILURES, first_line, relax, tvm
from .library import compiler_for, link
from .options import TvmOptions
from .runtime import lower_for
from .tuning import tuned

if TYPE_CHECKING:
    from ...devices import Device

    Array = np.ndarray[Any, Any]

_SCHEME = "tvm-rpc"
_BIG_CORES = 1  # TVM's word for: any core
_CONNECT_S = 20.0
_TIMING_MS = 5
_TUNING_MS = 7
_TUNINGS = 3


class TvmRpcSession(Session):
    """A compiled model on a TVM server.

    ``run`` takes the way there and back too; the latency on the device itself is :meth:`latencies_ms`.

    Args:
        server: TVM's session with the server.
        name: The name of the library that was sent.
        spec: What a row is.
        rows: Rows in one call of the compiled program.
        columns: The width ``k`` of its output.
        tuning: How its kernels were tuned.

    Attributes:
        tuned: Whether every kernel of the model is a tuned one; the times of any other must not be a reward.
        tuning: Seconds and trials of the tuning, and how many of the kernels it reached.
    """

    def __init__(
        self, server: Any, name: str, *, spec: TensorSpec, rows: int, columns: int, tuning: TuningSummary
    ) -> None:
        self.input = spec
        self.tuning = tuning
        self.tuned = tuning.complete
        self._rows, self._columns = rows, columns
        self._server, self._name = server, name
        self._device = server.cpu()
        self._machine = relax.VirtualMachine(server.load_module(name), self._device)
        self._input = tvm.runtime.empty((rows, *(size or 1 for size in spec.shape)), spec.dtype, self._device)

    def run(self, batch: Array) -> Array:  # noqa: D102  # the contract says it
        self._check(batch)
        result = np.empty((len(batch), self._columns), np.float32)
        try:
            main = self._machine["main"]
            for start in range(0, len(batch), self._rows):
                rows = batch[start : start + self._rows]
                self._input.copyfrom(self._filled(rows))
                result[start : start + len(rows)] = main(self._input).numpy()[: len(rows)]
        except FAILURES as e:
            raise self._lost(e, batch) from e
        return result

    def latencies_ms(self, batch: Array, *, repeats: int = 20) -> list[float]:
        """Time predictions on the device, without the way there and back.

        Args:
            batch: As many rows as the program is compiled for (1 unless told otherwise).
            repeats: How many times to return, at least 1; each is the mean over 5 ms of predictions.

        Returns:
            Milliseconds of one call.

        Raises:
            MeasurementError: The batch does not fit (not retryable), or the server is gone (retryable).
        """
        self._check(batch)
        if len(batch) != self._rows:
            raise unusable(f"The batch has {len(batch)} rows; the program on the device is compiled for {self._rows}.")
        try:
            self._input.copyfrom(np.ascontiguousarray(batch))
            self._machine.set_input("main", self._input)
            evaluator = self._machine.time_evaluator(
                "invoke_stateful", self._device, number=1, repeat=repeats, min_repeat_ms=_TIMING_MS
            )
            return [1000.0 * float(value) for value in evaluator("main").results]
        except FAILURES as e:
            raise self._lost(e, batch) from e

    def close(self) -> None:
        """Remove the library from the server and end the session there."""
        server, self._server = self._server, None
        self._machine = self._input = self._device = None
        if server is not None:
            with contextlib.suppress(*FAILURES):  # the server may be gone
                server.remove(self._name)

    def _check(self, batch: Array) -> None:
        if self._server is None:
            raise unusable("The session is closed.")
        if self.input.misfit(batch) is not None:
            raise failed_batch("TVM", self.input, batch, cause="")

    def _filled(self, rows: Array) -> Array:
        """Return rows, filled up with the last one to what the program is compiled for."""
        missing = self._rows - len(rows)
        return np.ascontiguousarray(np.concatenate([rows, rows[-1:].repeat(missing, axis=0)]) if missing else rows)

    def _lost(self, error: Exception, batch: Array) -> MeasurementError:
        """Return what a failure means: a server that is gone can come back, a program that fails will fail again."""
        try:
            self._server.get_function("runtime.NumThreads")()
        except FAILURES:
            return MeasurementError(f"The TVM server does not answer any more: {first_line(error)}")
        return failed_batch("TVM", self.input, batch, cause=first_line(error))


def prepare_remote(model: Path | str | bytes, *, device: Device, settings: TvmOptions, threads: int) -> TvmRpcSession:
    """Compile a model here and load it on a TVM server.

    Args:
        model: The ONNX file, or its content.
        device: Its ``url`` is ``tvm-rpc://HOST:PORT``.
        settings: ``target`` says what the device is; kernels are tuned there.
        threads: Threads in one prediction.

    Raises:
        SpecError: The address is wrong, or leads to another machine without ``allow_remote_rpc``.
        MeasurementError: The model cannot be compiled (not retryable), or the server does not answer (retryable).
        MissingDependencyError: There is no linker for the device's processor.
    """
    link_to_server = _Connection(*_address(device, allow_remote=settings.allow_remote_rpc))
    lowered = lower_for(model, settings=settings, threads=threads)
    stopwatch = _RemoteStopwatch(link_to_server, lowered, threads=threads)
    tuning = tuned(lowered, options=settings, threads=threads, stopwatch=stopwatch)
    executable = compile_lowered(lowered, tuning.records)
    name = f"omniforge-{secrets.token_hex(8)}.so"
    server = link_to_server.take()
    try:
        with TemporaryDirectory(prefix="omniforge-tvm-") as folder:
            link(lowered, executable, Path(folder) / name)
            server.upload(str(Path(folder) / name))
        server.get_function("runtime.config_threadpool")(_BIG_CORES, threads)
        return TvmRpcSession(
            server,
            name,
            spec=lowered.model.input,
            rows=lowered.rows,
            columns=lowered.columns,
            tuning=tuning.summary(),
        )
    except FAILURES as e:
        if isinstance(e, MeasurementError):
            raise
        raise unusable(f"The TVM server {device.url} cannot load {lowered.model.name.lower()}: {first_line(e)}") from e


class _Connection:
    """One session with a TVM server, made when it is needed, and anew when a variant of a kernel broke it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._server: Any = None

    def server(self) -> Any:
        if self._server is None:
            self._server = connect_to(*self._address)
        return self._server

    def take(self) -> Any:
        """Return the session and forget it: it ends with its last user, and the server serves no other before."""
        server, self._server = self.server(), None
        return server

    def drop(self) -> None:
        self._server = None


class _RemoteStopwatch:
    """Builds variants of kernels here and times them on a TVM server."""

    def __init__(self, connection: _Connection, lowered: Lowered, *, threads: int) -> None:
        self._connection, self._target, self._threads = connection, lowered.target, threads
        self._compiler = ""

    def __enter__(self) -> _RemoteStopwatch:
        self._compiler = compiler_for(self._target)
        self._connection.server()
        self._folder = TemporaryDirectory(prefix="omniforge-tvm-")
        return self

    def time(self, candidate: Any) -> Any:
        path = Path(self._folder.name) / f"variant-{secrets.token_hex(8)}.so"
        try:
            kernel = build_kernel(candidate.sch.mod, self._target, threads=self._threads)
            kernel.export_library(str(path), fcompile=cc.cross_compiler(self._compiler))
            return meta_schedule.runner.RunnerResult([self._seconds(path, candidate.args_info)], None)
        except FAILURES as e:
            if isinstance(e, MeasurementError):
                raise
            self._connection.drop()  # a variant may take the server's process with it; the next gets a new one
            return meta_schedule.runner.RunnerResult(None, first_line(e))
        finally:
            path.unlink(missing_ok=True)

    def _seconds(self, path: Path, arguments: Any) -> float:
        """Return what one call of the kernel in a library takes on the server."""
        server = self._connection.server()
        device = server.cpu()
        server.get_function("runtime.config_threadpool")(_BIG_CORES, self._threads)
        server.upload(str(path))
        module = server.load_module(path.name)
        fill = server.get_function("tvm.contrib.random.random_fill_for_measure")
        tensors = [tvm.runtime.empty(tuple(info.shape), info.dtype, device) for info in arguments]
        for tensor in tensors:
            fill(tensor)
        evaluator = module.time_evaluator(
            module.entry_name, device, number=1, repeat=_TUNINGS, min_repeat_ms=_TUNING_MS
        )
        seconds = min(float(value) for value in evaluator(*tensors).results)
        server.remove(path.name)
        return seconds

    def __exit__(self, *exc_info: object) -> None:
        self._folder.cleanup()


def _address(device: Device, *, allow_remote: bool) -> tuple[str, int]:
    """Return the host and the port of a TVM server."""
    url = urlsplit(device.url or "")
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    if url.scheme != _SCHEME or host is None or port is None:
        raise SpecError(f"url = {device.url!r} of the device {device.name!r}: expected {_SCHEME}://HOST:PORT.")
    if not allow_remote and not _is_loopback(host):
        raise SpecError(
            f"The device {device.name!r} is at {host}, not on this machine. TVM's RPC has no authentication: whoever reaches "
            "its port runs any code there, and whoever is on the way changes what runs.",
            hint=f"Make a tunnel (ssh -L {port}:127.0.0.1:{port} {host}) and use {_SCHEME}://127.0.0.1:{port}; or, in a "
            "network that you trust, set allow_remote_rpc.",
        )
    return host, port


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def connect_to(host: str, port: int, *, timeout_s: float = _CONNECT_S) -> Any:
    """Return TVM's session with a server; a server serves one at a time and lets the others wait without a word.

    Args:
        host: Where it listens.
        port: Its port.
        timeout_s: How long to wait for the server's other sessions to end.

    Raises:
        MeasurementError: It is busy, or does not answer; a retry can help.
    """
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def connect() -> None:
        try:
            found.put(rpc.connect(host, port))
        except (*FAILURES, OSError) as e:
            found.put(e)

    threading.Thread(target=connect, daemon=True).start()
    try:
        session = found.get(timeout=timeout_s)
    except queue.Empty:
        raise MeasurementError(
            f"The TVM server {host}:{port} was busy with another session for {timeout_s:g} s.",
            hint="Measure one model at a time on a bare device; a device agent has a queue.",
        ) from None
    if isinstance(session, Exception):
        raise MeasurementError(
            f"The TVM server {host}:{port} does not answer: {first_line(session)}",
            hint=f"Start it there: python -m tvm.exec.rpc_server --host 127.0.0.1 --port {port}",
        ) from session
    return session
