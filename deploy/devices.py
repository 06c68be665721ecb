"""The devices that a model can be measured on, by name: this machine, and those that the device book lists.

The book is one JSON file under the home folder, readable by its owner only, since it holds the devices' tokens. The
environment variable ``OMNIFORGE_DEVICES`` names another file, such as a mounted secret. Nothing here talks to a device.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from ..errors import SpecError, UnknownNameError
from ..files import replacing

BOOK_VARIABLE = "OMNIFORGE_DEVICES"
SCHEMES = ("http", "https", "tvm-rpc")

KINDS = ("cpu", "gpu")

_VERSION = 1
_ELSEWHERE = f"Its folder must be one where this user can write; OMNIFORGE_HOME or {BOOK_VARIABLE} names another place."
_PINNED = re.compile(r"device-[0-9a-f]{16}\.pem")  # as `omniforge device add --fingerprint` keeps a certificate
_TOKEN = re.compile(r"[!-~]+")
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
        ca: A file with the certificate that its agent's is checked against; ``None``: the system's. In a book, a relative
            one lies beside the book, so that both can be mounted together.
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


_FIELDS = frozenset(one.name for one in fields(Device))

DEVICES: Mapping[str, Device] = MappingProxyType({"local": Device("local", aliases=("cpu",))})


def find_device(name: str, devices: Mapping[str, Device] = DEVICES) -> Device:
    """Return the device called ``name``, by its name or by an alias.

    Args:
        name: A name or an alias.
        devices: The devices to look among, by name.

    Raises:
        UnknownNameError: No device is called so; the hint has the nearest names, and how to add one.
    """
    by_name = {alias: device for device in devices.values() for alias in device.aliases} | dict(devices)
    if name not in by_name:
        error = UnknownNameError("device", name, by_name)
        error.hint = f"{error.hint or ''} Another machine: omniforge device add URL --name {name}".strip()
        raise error
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
        SpecError: The book cannot be read, is no device book, or the environment names one that is not there.
    """
    path = book_path(home)
    if os.environ.get(BOOK_VARIABLE) and not path.exists():
        raise SpecError(
            f"The device book {path} does not exist; {BOOK_VARIABLE} names it.",
            hint=f"Name one that does, or unset {BOOK_VARIABLE}; `omniforge device add` makes it here.",
        )
    return MappingProxyType({**DEVICES, **_read(path)})


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
    """Take a device out of the book and return it; the certificate that was pinned for it is removed too.

    Args:
        home: The home folder.
        name: The device's name, or an alias.

    Raises:
        UnknownNameError: The book has no such device.
        SpecError: It is this machine, or the book cannot be written.
    """
    with _changing(book_path(home)) as book:
        if any(name in (one.name, *one.aliases) for one in DEVICES.values()):
            raise SpecError(
                f"The device {name!r} is this machine: it cannot be removed.",
                hint="`omniforge device list` shows the others.",
            )
        by_name = {one: device for device in book.values() for one in (device.name, *device.aliases)}
        if name not in by_name:
            raise UnknownNameError("device", name, by_name)
        device = book.pop(by_name[name].name)
    forget_pinned(home, device.ca)
    return device


def forget_pinned(home: Path, ca: str | Path | None) -> None:
    """Remove a certificate that was pinned beside the book, unless a device of the book is checked against it.

    Args:
        home: The home folder.
        ca: The file; one that lies elsewhere, or has a name of its own, is somebody's and stays.
    """
    book = book_path(home)
    if ca is None or Path(ca).absolute().parent != book.absolute().parent or not _PINNED.fullmatch(Path(ca).name):
        return
    if str(ca) not in {device.ca for device in _read(book).values()}:
        with contextlib.suppress(OSError):  # a file that is left over harms nobody
            Path(ca).unlink()


def clean_token(token: str, *, of: str) -> str:
    """Return a token without the blanks and line breaks around it, as files that hold secrets often have them.

    Args:
        token: What was given; no error repeats it.
        of: Whose it is, for the error: ``"in the token file FILE"``.

    Raises:
        SpecError: It is empty, or has something in it that a request cannot carry.
    """
    cleaned = token.strip()
    if not _TOKEN.fullmatch(cleaned):
        raise SpecError(
            f"The token {of} is none: expected letters, digits and signs of ASCII, without blanks, in one line.",
            hint="Copy it from the device's token file again; the agent prints at its start where that is.",
        )
    return cleaned


def check_name(name: str) -> None:
    """Check that a device can be called so.

    Args:
        name: The name, or an alias.

    Raises:
        SpecError: It cannot.
    """
    if not _NAME.fullmatch(name):
        hint = "It starts with a letter; up to 62 letters, digits, '-', '_' and '.' follow: --name kitchen-pi."
        raise SpecError(f"{name!r} is no device's name.", hint=hint)


def check_device(device: Device) -> None:
    """Check that a device can be written into the book.

    Args:
        device: The device.

    Raises:
        SpecError: Its name, its address or its token is wrong.
    """
    for name in (device.name, *device.aliases):
        check_name(name)
    if device.token:
        clean_token(device.token, of=f"of device {device.name!r}")
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
    entries = content.get("devices") if isinstance(content, dict) else None
    if not isinstance(entries, list) or "version" not in content:
        hint = (
            'Expected {"version": 1, "devices": [{"name": ..., "url": ..., "token": ...}]}. Mend it, or move it away.'
        )
        raise SpecError(f"The device book {path} is not one.", hint=hint)
    if content["version"] != _VERSION:
        hint = (
            "A newer omniforge has written it: install that one here, or move the file away and add the devices again."
        )
        raise SpecError(f"The device book {path} has version {content['version']!r}; expected {_VERSION}.", hint=hint)
    devices: dict[str, Device] = {}
    taken = {name: one.name for one in DEVICES.values() for name in (one.name, *one.aliases)}
    for number, entry in enumerate(entries, start=1):
        try:
            device = _device(entry)
            device = device if device.ca is None else replace(device, ca=str(path.absolute().parent / device.ca))
            for name in (device.name, *device.aliases):
                if name in taken:
                    whose = "this machine" if taken[name] in DEVICES else repr(taken[name])
                    raise SpecError(f"name or alias = {name!r} is taken: it is {whose}.")
        except SpecError as e:
            named = entry.get("name") if isinstance(entry, dict) else None
            where = f"device {named!r}" if isinstance(named, str) else f"device number {number}"
            message = f"The device book {path}, {where}: {e.message}"
            raise SpecError(
                message, hint=e.hint or "Mend the file, or move it away and add the devices again."
            ) from None
        taken |= dict.fromkeys((device.name, *device.aliases), device.name)
        devices[device.name] = device
    return devices


def _device(entry: object) -> Device:
    """Return the device that an entry of a book is; what a newer version wrote besides is passed over.

    Raises:
        SpecError: A field is missing or wrong; the message does not repeat the token.
    """
    if not isinstance(entry, dict):
        raise SpecError(f"{entry!r} is no entry; expected an object.")
    values = {key: value for key, value in entry.items() if key in _FIELDS and value is not None}
    for name in ("name", "url"):
        if name not in values:
            raise SpecError(f"{name} is missing; expected text.")
    for name, value in values.items():
        if name == "aliases":
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise SpecError(f"aliases = {value!r}: expected a list of texts.")
        elif not isinstance(value, str):
            raise SpecError(f"{name} = {'...' if name == 'token' else repr(value)}: expected text.")
    if "token" in values:
        values["token"] = clean_token(values["token"], of="(field token)")
    if values.get("kind", "cpu") not in KINDS:
        raise SpecError(f"kind = {values['kind']!r}: expected {' or '.join(KINDS)}.")
    device = Device(**values | {"aliases": tuple(values.get("aliases", ()))})
    check_device(device)
    return device


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
        raise SpecError(f"The device book {path} cannot be changed: {e.strerror}.", hint=_ELSEWHERE) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        devices = _read(path)
        yield devices
        _write(path, devices)
    finally:
        os.close(lock)


def _write(path: Path, devices: Mapping[str, Device]) -> None:
    entries = [{key: value for key, value in asdict(device).items() if value} for device in devices.values()]
    for entry in entries:
        if "ca" in entry and Path(entry["ca"]).parent == path.absolute().parent:
            entry["ca"] = Path(entry["ca"]).name
    try:
        with replacing(path) as temporary:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"version": _VERSION, "devices": entries}, file, indent=2)
    except OSError as e:
        raise SpecError(f"The device book {path} cannot be written: {e.strerror}.", hint=_ELSEWHERE) from e
