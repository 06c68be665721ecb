"""The devices that a model can be measured on, by name: this machine, and those that the device book lists.

The book is one JSON file under the home folder, readable by its owner only, since it holds the devices' tokens. The
environment variable ``OMNIFORGE_DEVICES`` names another file, such as a mounted secret. Nothing here talks to a device.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ..errors import SpecError, UnknownNameError
from ..files import replacing

BOOK_VARIABLE = "OMNIFORGE_DEVICES"
SCHEMES = ("http", "https", "tvm-rpc")

_VERSION = 1
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,62}")  # what an objective can name: METRIC@DEVICE


@dataclass(frozen=True)
class Device:
    """One place where models run.

    Args:
        name: How objectives and reports call it.
        kind: What computes: ``"cpu"`` or ``"gpu"``.
        runtime: The name of the runtime that measures on it unless another is asked for.
        aliases: Other names that mean this device.
        url: Where it is reached: ``https://HOST:PORT`` of a device agent, ``tvm-rpc://HOST:PORT`` of a bare TVM server;
            ``None``: it is this machine.
        token: What its agent asks for.
        ca: A file with the certificate that its agent's is checked against; ``None``: the system's.
    """

    name: str
    kind: str = "cpu"
    runtime: str = "onnxruntime"
    aliases: tuple[str, ...] = ()
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    ca: str | None = None

    @property
    def is_bare(self) -> bool:
        """Whether a TVM server is all that there is: no agent, no token, only the runtime ``tvm``."""
        return self.url is not None and self.url.startswith("tvm-rpc:")


DEVICES: Mapping[str, Device] = MappingProxyType({"local": Device("local", aliases=("cpu",))})


def find_device(name: str, devices: Mapping[str, Device] = DEVICES) -> Device:
    """Return the device called ``name``, by its name or by an alias.

    Args:
        name: A name or an alias.
        devices: The devices to look among, by name.

    Raises:
        UnknownNameError: No device is called so; the hint has the nearest names.
    """
    by_name = {alias: device for device in devices.values() for alias in device.aliases} | dict(devices)
    if name not in by_name:
        raise UnknownNameError("device", name, by_name)
    return by_name[name]


def book_path(home: Path) -> Path:
    """Return where the device book is, or would be: ``devices.json`` under the home folder unless the variable says else."""
    named = os.environ.get(BOOK_VARIABLE)
    return Path(named).expanduser() if named else home / "devices.json"


def read_devices(home: Path) -> Mapping[str, Device]:
    """Return all devices by name: this machine and what the book lists.

    Args:
        home: The home folder.

    Raises:
        SpecError: The book cannot be read, or is no device book.
    """
    return MappingProxyType({**DEVICES, **_read(book_path(home))})


def add_device(home: Path, device: Device) -> None:
    """Write a device into the book.

    Args:
        home: The home folder.
        device: The device.

    Raises:
        SpecError: Its name, an alias or its address is taken or wrong, or the book cannot be written.
    """
    check_device(device)
    with _changing(book_path(home)) as book:
        known = {**DEVICES, **book}
        taken = {name: one for one in known.values() for name in (one.name, *one.aliases)}
        for name in (device.name, *device.aliases):
            if name in taken:
                at = f" at {taken[name].url}" if taken[name].url else ""
                raise SpecError(
                    f"There is a device {name!r} already: {taken[name].name}{at}.",
                    hint=f"Take another name, or first: omniforge device remove {taken[name].name}",
                )
        twin = next((one for one in known.values() if device.url is not None and one.url == device.url), None)
        if twin is not None:
            hint = f"It can be used as {twin.name!r}; to change it, first: omniforge device remove {twin.name}"
            raise SpecError(f"The device at {device.url} is in the book already, as {twin.name!r}.", hint=hint)
        book[device.name] = device


def remove_device(home: Path, name: str) -> Device:
    """Take a device out of the book and return it.

    Args:
        home: The home folder.
        name: The device's name, or an alias.

    Raises:
        UnknownNameError: The book has no such device.
        SpecError: It is this machine, or the book cannot be written.
    """
    with _changing(book_path(home)) as book:
        if any(name in (one.name, *one.aliases) for one in DEVICES.values()):
            raise SpecError(f"The device {name!r} is this machine: it cannot be removed.")
        return book.pop(find_device(name, book).name)


def check_device(device: Device) -> None:
    """Check that a device can be written into the book.

    Args:
        device: The device.

    Raises:
        SpecError: Its name or its address is wrong.
    """
    for name in (device.name, *device.aliases):
        if not _NAME.fullmatch(name):
            hint = "It starts with a letter; letters, digits, '-', '_' and '.' follow: kitchen-pi."
            raise SpecError(f"{name!r} is no device's name.", hint=hint)
    try:
        parts = urlsplit(device.url or "")
        bad = parts.scheme not in SCHEMES or not parts.hostname or (parts.port is None and parts.scheme != "https")
    except ValueError:
        bad = True
    if bad:
        raise SpecError(
            f"The address {device.url!r} of device {device.name!r} is not of the form SCHEME://HOST:PORT.",
            hint="An agent: https://HOST:9870 or http://HOST:9870; a bare TVM server: tvm-rpc://HOST:9190.",
        )


def _read(path: Path) -> dict[str, Device]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:
        raise SpecError(f"The device book {path} cannot be read: {e}.", hint="Mend it, or move it away.") from e
    try:
        if content["version"] != _VERSION:
            raise SpecError(f"The device book {path} has version {content['version']!r}; expected {_VERSION}.")
        devices = [_device(entry) for entry in content["devices"]]
    except (TypeError, KeyError, AttributeError) as e:
        hint = 'Expected {"version": 1, "devices": [{"name": ..., "url": ..., "token": ...}]}.'
        raise SpecError(f"The device book {path} is not one: {type(e).__name__} {e}.", hint=hint) from e
    return {device.name: device for device in devices}


def _device(entry: Mapping[str, Any]) -> Device:
    known = {one.name for one in fields(Device)}
    return Device(
        **{key: value for key, value in entry.items() if key in known} | {"aliases": tuple(entry.get("aliases", ()))}
    )


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Device]]:
    """Give the devices of a book to change, and write them if that goes well; others wait meanwhile.

    Raises:
        SpecError: The book cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise SpecError(f"The device book {path} cannot be changed: {e.strerror}.") from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        devices = _read(path)
        yield devices
        _write(path, devices)
    finally:
        os.close(lock)


def _write(path: Path, devices: Mapping[str, Device]) -> None:
    entries = [{key: value for key, value in asdict(device).items() if value} for device in devices.values()]
    try:
        with replacing(path) as temporary:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"version": _VERSION, "devices": entries}, file, indent=2)
    except OSError as e:
        raise SpecError(f"The device book {path} cannot be written: {e.strerror}.") from e
