"""The device agent: an HTTP service that makes this machine a place where others measure their models.

It runs what it is given in fresh processes with limits on time and memory. That protects it against broken models, not
against hostile ones: whoever has the token can run models here with the rights of this process.
"""

from __future__ import annotations

import dataclasses
import fcntl
import ipaddress
import os
import shutil
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ... import __version__
from ...deploy.devices import Device, check_name
from ...deploy.energy import find_meter
from ...deploy.hardware import describe_hardware, memory_bytes
from ...deploy.isolated import measure_isolated
from ...deploy.measurement import MeasureOptions
from ...deploy.report import DeploymentReport
from ...deploy.runtimes import RUNTIMES
from ...deploy.runtimes.availability import available
from ...errors import LaunchError, OmniForgeError, SpecError, UnknownNameError
from ..listener import Listener
from .app import Parts, build_app
from .measurements import Measurements
from .messages import DeviceMessage, Limits, MeasurementRequest, RuntimeMessage
from .tokens import Token
from .uploads import Uploads

_MIB = 2**20
_MEMORY_SHARE = 0.75  # of the machine's, for one measurement: the agent and the system need the rest


@dataclass(frozen=True)
class AgentOptions:
    """What an agent takes.

    Args:
        max_upload_bytes: The largest model or table of rows.
        max_store_bytes: What all uploads together may take on disk.
        max_queued: Measurements that may wait.
        time_limit_s: How long one measurement may take, in seconds.
        memory_limit_bytes: How much memory one measurement may take; ``None``: three quarters of the machine's.
        keep_s: How long a result is kept that its client does not fetch, in seconds.
        abandon_s: A measurement, waiting or running, whose client does not ask for so many seconds is cancelled; clients
            ask every 10 s or more often.
    """

    max_upload_bytes: int = 256 * _MIB
    max_store_bytes: int = 2048 * _MIB
    max_queued: int = 1000
    time_limit_s: float = 120.0
    memory_limit_bytes: int | None = None
    keep_s: float = 3600.0
    abandon_s: float = 45.0

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if value is not None and not value > 0:
                raise SpecError(f"{one.name} = {value}: expected more than 0.")


class DeviceAgent:
    """Serve this machine as a device.

    Args:
        name: What it calls itself; one that a device book takes.
        folder: Where it keeps uploads; a restart finds them there. No other agent may use it at the same time.
        token: What clients have to send.
        options: What it takes; ``None``: the defaults.
        host: Where to listen.
        port: The port; 0 takes a free one.
        certificate: Files with a certificate and its key (PEM); ``None``: without encryption.
        kind: What computes: ``"cpu"`` or ``"gpu"``.
        runtime: The runtime that measures unless another is asked for.
        insecure: Whether other machines may reach it without encryption: its token can be read on the way then.
        lock_dir: The folder of locks that all who measure on this machine agree on; ``None``: ``folder / "locks"``.

    Raises:
        UnknownNameError: There is no such runtime.
        SpecError: Other machines could reach it without encryption, or its name is none.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        token: str,
        options: AgentOptions | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: tuple[Path, Path] | None = None,
        kind: str = "cpu",
        runtime: str = "onnxruntime",
        insecure: bool = False,
        lock_dir: Path | None = None,
    ) -> None:
        options = options or AgentOptions()
        check_name(name)
        if runtime not in RUNTIMES:
            raise UnknownNameError("runtime", runtime, RUNTIMES)
        if certificate is None and not insecure and not _is_loopback(host):
            raise SpecError(
                f"Other machines can reach {host or 'all addresses'!r}; without TLS the token could be read on the way.",
                hint="--tls-self-signed or --tls-cert FILE --tls-key FILE encrypts; --insecure goes without.",
            )
        self._name = name
        self._device = Device("local", kind=kind, runtime=runtime)
        self._folder = folder
        self._lock_dir = lock_dir or folder / "locks"
        self._limits = Limits(
            name=name,
            kind=kind,
            runtime=runtime,
            max_upload_bytes=options.max_upload_bytes,
            max_store_bytes=options.max_store_bytes,
            max_queued=options.max_queued,
            time_limit_s=options.time_limit_s,
            memory_limit_bytes=options.memory_limit_bytes or int(_MEMORY_SHARE * memory_bytes()),
            keep_s=options.keep_s,
        )
        uploads = Uploads(
            folder / "uploads", max_file_bytes=options.max_upload_bytes, max_total_bytes=options.max_store_bytes
        )
        self._measurements = Measurements(
            uploads, self._measure, max_queued=options.max_queued, keep_s=options.keep_s, abandon_s=options.abandon_s
        )
        self._lock: int | None = None
        self._hardware: dict[str, str | int] | None = None
        parts = Parts(self.describe, self._limits, uploads, self._measurements)
        self._app = build_app(parts, token=Token(token))
        self._listener = Listener(self._app, host, port, name="The device agent", certificate=certificate)

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            LaunchError: It is not started.
        """
        return self._listener.url

    def describe(self) -> DeviceMessage:
        """Return what the device is and has."""
        if self._hardware is None:
            self._hardware = describe_hardware()
        return DeviceMessage(
            name=self._name,
            version=__version__,
            hardware=self._hardware,
            runtimes=_runtimes(),
            meters=_meters(self._device.kind),
            queued=self._measurements.queued,
            limits=self._limits,
        )

    def openapi(self) -> dict[str, Any]:
        """Return the description of the interface as an OpenAPI document; the agent need not run."""
        return self._app.openapi()

    def start(self) -> Self:
        """Listen and measure; returns when requests are answered.

        Raises:
            LaunchError: The address cannot be listened on, or another agent uses the folder.
            SpecError: The certificate cannot be used.
        """
        self._own_folder()
        shutil.rmtree(self._folder / "work", ignore_errors=True)  # of a measurement that was killed with the agent
        self._hardware = describe_hardware()
        try:
            self._listener.start()
        except BaseException:
            self._leave_folder()
            raise
        self._measurements.start()
        return self

    def stop(self) -> None:
        """Stop listening and measuring. A measurement that runs is ended: its client asks for it again."""
        self._listener.stop(before=self._measurements.stop)
        self._leave_folder()

    def _own_folder(self) -> None:
        self._lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._leave_folder()
            hint = "Stop it, or give this one a home of its own: OMNIFORGE_HOME."
            raise LaunchError(f"Another device agent uses {self._folder}.", hint=hint) from None

    def _leave_folder(self) -> None:
        if self._lock is not None:
            os.close(self._lock)  # gives the lock up
            self._lock = None

    def _measure(
        self, request: MeasurementRequest, model: Path, rows: Path, cancelled: threading.Event
    ) -> DeploymentReport:
        """Measure one model in a process of its own."""
        work = self._folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work) as name:
            folder = Path(name)
            linked = _linked(model, folder / "model.onnx"), _linked(rows, folder / "rows.npy")
            try:
                report = measure_isolated(
                    linked[0],
                    rows=linked[1],
                    device=self._device,
                    runtime=request.runtime,
                    options=MeasureOptions.from_dict(request.options),
                    lock_dir=self._lock_dir,
                    limit_s=self._limits.time_limit_s,
                    memory_bytes=self._limits.memory_limit_bytes,
                    cancelled=cancelled,
                    scratch_dir=folder,
                )
            except OmniForgeError as e:
                e.message = e.message.replace(
                    f"{folder}{os.sep}", ""
                )  # a folder of this machine says nothing elsewhere
                raise
        return dataclasses.replace(report, device=self._name)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def describe_here(name: str) -> dict[str, Any]:
    """Return what an agent would say of this machine, without one: hardware, runtimes with versions, meters.

    Args:
        name: What to call it.
    """
    return {
        "name": name,
        "version": __version__,
        "hardware": describe_hardware(),
        "runtimes": {key: one.model_dump() for key, one in _runtimes().items()},
        "meters": _meters("cpu"),
    }


def _runtimes() -> dict[str, RuntimeMessage]:
    return {
        name: RuntimeMessage(
            installed=not one.install, versions=dict(one.versions), command=one.install, lacks=one.lacks
        )
        for name, one in available().items()
    }


def _meters(kind: str) -> dict[str, str]:
    """Return what meters a kind of device's energy, or why nothing does."""
    try:
        found = find_meter(kind)
    except SpecError as e:
        return {kind: f"none: {e.message}"}
    return {kind: found if isinstance(found, str) else found.source}


def _is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    if not host:
        return False  # all addresses
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return True  # listening there fails, and says why
    return all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in addresses)


def _linked(file: Path, path: Path) -> Path:
    """Give a file another name, without a copy where the disk can; runtimes go by the ending of a name."""
    try:
        os.link(file, path)
    except OSError:
        shutil.copyfile(file, path)
    return path
