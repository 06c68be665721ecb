"""How a device gets into the book: its agent is asked who it is, and its certificate is pinned. The book is not written here."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ...deploy.devices import Device, check_device
from ...errors import OmniForgeError, SpecError
from ...files import write_text
from .certificates import fingerprint
from .client import DeviceClient
from .connection import DeviceError

_PATIENCE_S = 3.0
_LOOK_S = 2.0
_CONNECT_S = 5.0
_AT_ONCE = 64


@dataclass(frozen=True)
class Reached:
    """Whether a device answers.

    Args:
        device: The device.
        state: ``"reachable"``, ``"refuses"`` or ``"unreachable"``; ``"this machine"`` where there is nothing to reach.
        detail: What is wrong, in one line.
    """

    device: Device
    state: str
    detail: str = ""


def join(
    url: str,
    *,
    name: str | None = None,
    aliases: tuple[str, ...] = (),
    token: str | None = None,
    ca: Path | None = None,
    client_name: str = "omniforge device add",
) -> Device:
    """Return the device at an address, as its agent describes it.

    Args:
        url: ``https://HOST:PORT`` or ``http://HOST:PORT`` of an agent, or ``tvm-rpc://HOST:PORT`` of a bare TVM server,
            which is not asked: it has nothing to say.
        name: How it is to be called here; ``None``: as it calls itself.
        aliases: Other names for it.
        token: What the agent asks for.
        ca: The certificate that the agent's is checked against.
        client_name: Who asks.

    Raises:
        SpecError: The address is wrong, or a token is missing or wrong.
        DeviceError: The agent does not answer, or refuses.
    """
    address = url.rstrip("/")
    device = Device(name or "device", aliases=aliases, url=address, token=token, ca=None if ca is None else str(ca))
    check_device(device)
    if device.is_bare:
        if name is None:
            raise SpecError("A bare TVM server has no name of its own.", hint="Give it one: --name NAME")
        return Device(name, runtime="tvm", aliases=aliases, url=address)
    asked = replace(device, name=name or address)  # errors name the address of one that has no name yet
    with DeviceClient(asked, client_name=client_name, patience_s=_PATIENCE_S) as client:
        try:
            limits = client.limits()
        except DeviceError as e:
            if e.status != 401:
                raise
            said = "asks for a token" if token is None else "does not take this token"
            raise SpecError(
                f"The device at {address} {said}.",
                hint="Copy the token file from the device, and give it: --token-file FILE",
            ) from e
    return Device(name or limits.name, limits.kind, limits.runtime, aliases, url=address, token=token, ca=device.ca)


def pin_certificate(url: str, *, expected: str, path: Path) -> Path:
    """Fetch the certificate of an agent, and keep it if it is the right one.

    Args:
        url: The agent's address, ``https://``.
        expected: Its fingerprint, as the agent printed it; colons and case do not matter.
        path: Where the certificate goes.

    Raises:
        SpecError: The certificate is another one, or cannot be written.
        DeviceError: Nothing answers with TLS there.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None:
        hint = "Leave out --fingerprint, or start the agent with --tls-self-signed and give the address that it prints."
        raise SpecError(f"The address {url!r} has no certificate: it does not begin with https://.", hint=hint)
    try:
        pem = ssl.get_server_certificate((parts.hostname, parts.port or 443), timeout=_CONNECT_S)
    except (OSError, ValueError) as e:
        raise DeviceError(
            f"The device at {url} does not answer with a certificate: {e}.",
            hint="Does `omniforge device serve --tls-self-signed` run there, at this port?",
        ) from e
    found = fingerprint(pem)
    if found != expected.replace(":", "").strip().lower().removeprefix("sha256"):
        raise SpecError(
            f"The certificate of {url} has the fingerprint {found}; expected {expected}.",
            hint="Compare it with what the agent prints at its start. If they differ, something between is not the device.",
        )
    try:
        write_text(path, pem)
    except OSError as e:
        hint = "The folder must be one where this user can write: OMNIFORGE_HOME names another one."
        raise SpecError(f"The certificate cannot be kept as {path}: {e.strerror}.", hint=hint) from e
    return path


def reach(devices: Iterable[Device]) -> list[Reached]:
    """Ask devices whether they are there, all at once.

    Args:
        devices: The devices.

    Returns:
        One answer for each, in order.
    """
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(_reach, devices))


def _reach(device: Device) -> Reached:
    if device.url is None:
        return Reached(device, "this machine")
    try:
        if device.is_bare:
            _connect(device.url)
        else:
            with DeviceClient(device, client_name="omniforge device list", patience_s=_LOOK_S) as client:
                client.limits()
    except DeviceError as e:
        return Reached(device, "unreachable" if e.retryable else "refuses", e.message)
    except OmniForgeError as e:
        return Reached(device, "refuses", e.message)
    return Reached(device, "reachable")


def _connect(url: str) -> None:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_LOOK_S).close()
    except OSError as e:
        error = DeviceError(f"Nothing listens at {url}: {e}.")
        error.retryable = True
        raise error from e
