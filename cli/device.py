"""``omniforge device serve|add|list|show|remove|bench``: this machine as a measuring device, and the book of such devices.

It needs the small install only; see docs/devices.md.
"""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OmniForgeError, SpecError
from . import bench
from .console import err, out, print_json

if TYPE_CHECKING:
    from ..deploy.devices import Device

app = typer.Typer(help="Measure on other machines, and let others measure on this one.", no_args_is_help=True)

_PORT = 9870
_LOOK_S = 0.5
_MIB = 2**20
_ALL_ADDRESSES = ("0.0.0.0", "::", "")  # noqa: S104  # compared, not bound

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The device's name, as `omniforge device list` prints it.", metavar="NAME")]
Port = Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.", min=0, max=65535)]


@app.command("serve")
def serve(
    name: Annotated[str | None, typer.Option("--name", help="What the device calls itself; default: its host.")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="Holds the token; made if it is missing. Default: device/token at home."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to bind; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Port = _PORT,
    max_upload_mb: Annotated[
        float, typer.Option("--max-upload-mb", help="The largest model, in MiB.", min=0.001)
    ] = 256,
    store_mb: Annotated[float, typer.Option("--store-mb", help="What all uploads may take, in MiB.", min=0.001)] = 2048,
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds for one measurement.", min=0.1)] = 120,
    memory_mb: Annotated[
        float | None, typer.Option("--memory-mb", help="Memory of one measurement, in MiB; default: 3/4.", min=1)
    ] = None,
    max_queued: Annotated[int, typer.Option("--max-queued", help="Measurements that may wait.", min=1)] = 1000,
    kind: Annotated[str, typer.Option("--kind", help="What computes: cpu or gpu.")] = "cpu",
    runtime: Annotated[str, typer.Option("--runtime", help="Measures unless another is asked for.")] = "onnxruntime",
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="A certificate (PEM): HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its key (PEM).")] = None,
    tls_self_signed: Annotated[
        bool, typer.Option("--tls-self-signed", help="Make a certificate, and print its fingerprint.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines in without TLS: the token can be read on the way.")
    ] = False,
) -> None:
    """Make this machine a device that others measure on, until it is told to stop (SIGTERM, Ctrl-C)."""
    from ..deploy.devices import check_name
    from ..settings import load_settings
    from ..sidecar.device.agent import AgentOptions, DeviceAgent
    from ..sidecar.device.tokens import make_token

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    home = load_settings().home_path
    folder = home / "device"
    kept = token_file or folder / "token"
    name = _own_name() if name is None else name
    check_name(name)
    agent = DeviceAgent(
        name,
        folder,
        token=make_token(kept),
        options=AgentOptions(
            max_upload_bytes=round(max_upload_mb * _MIB),
            max_store_bytes=round(max(store_mb, max_upload_mb) * _MIB),
            max_queued=max_queued,
            time_limit_s=time_limit,
            memory_limit_bytes=None if memory_mb is None else round(memory_mb * _MIB),
        ),
        host=host,
        port=port,
        certificate=_certificate(tls_cert, tls_key, folder if tls_self_signed else None, host=host),
        kind=_one_of("--kind", kind, "cpu", "gpu"),
        runtime=runtime,
        insecure=insecure,
        lock_dir=home / "locks",  # the one of jobs and `omniforge bench`: one measurement at a time on this machine
    )
    stopped = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stopped.set())
    with agent:
        own_port = agent.url.rpartition(":")[2]
        at = f"{agent.url.partition(':')[0]}://{_host_name()}:{own_port}" if host in _ALL_ADDRESSES else agent.url
        err().print(f"Device {name} listens on {at}; its token is in {kept}.", markup=False)
        while not stopped.wait(_LOOK_S):  # a signal that another thread takes does not wake this one
            pass
        err().print("Stopping.")


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(help="https://HOST:9870 of an agent, or tvm-rpc://HOST:9190.", metavar="URL")],
    name: Annotated[str | None, typer.Option("--name", help="What to call it; default: as it calls itself.")] = None,
    aliases: Annotated[list[str] | None, typer.Option("--alias", help="Another name for it.")] = None,
    token_file: Annotated[Path | None, typer.Option("--token-file", help="A copy of the device's token file.")] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="The certificate (PEM) to check the device's against.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="The fingerprint that the agent printed: pins its certificate.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a device into the book, after asking it who it is."""
    from ..deploy.devices import add_device, book_path, forget_pinned
    from ..settings import load_settings
    from ..sidecar.device.joining import join, pin_certificate
    from ..sidecar.device.tokens import read_token

    home = load_settings().home_path
    if ca is not None and fingerprint is not None:
        raise SpecError("--ca and --fingerprint are two ways to say whom to trust.", hint="Give one of them.")
    if fingerprint is not None:
        pinned = fingerprint.replace(":", "").lower()[:16]
        ca = pin_certificate(url, expected=fingerprint, path=book_path(home).with_name(f"device-{pinned}.pem"))
    try:
        token = None if token_file is None else read_token(token_file)
        device = join(url, name=name, aliases=tuple(aliases or ()), token=token, ca=ca and ca.absolute())
        add_device(home, device)
    except OmniForgeError:
        forget_pinned(home, ca and ca.absolute())
        raise
    if json:
        print_json(_entry(device))
        return
    if url.startswith("http:") and not _is_here(url):
        err().print("Without TLS its token and your models can be read on the way.", style="yellow")
    out().print(f"Device {device.name} is added. Use it: --objective latency_ms@{device.name}", markup=False)


@app.command("list")
def list_devices(json: Json = False) -> None:
    """List the devices, and whether they answer."""
    from rich.markup import escape
    from rich.table import Table

    from ..deploy.devices import read_devices
    from ..settings import load_settings
    from ..sidecar.device.joining import reach

    found = reach(read_devices(load_settings().home_path).values())
    if json:
        print_json([_entry(one.device) | {"state": one.state, "detail": one.detail} for one in found])
        return
    styles = {"reachable": "green", "this machine": "green", "refuses": "red", "unreachable": "yellow"}
    table = Table("device", "kind", "runtime", "address", "state", box=None, pad_edge=False)
    for one in found:
        names = ", ".join((one.device.name, *one.device.aliases))
        state = f"[{styles[one.state]}]{one.state}[/]" + (f"  {escape(one.detail)}" if one.detail else "")
        table.add_row(escape(names), one.device.kind, one.device.runtime, escape(one.device.url or ""), state)
    out().print(table)


@app.command("show")
def show(name: Name, json: Json = False) -> None:
    """Show one device: hardware, runtimes, versions, energy meters, limits."""
    from ..deploy.devices import find_device, read_devices
    from ..settings import load_settings
    from ..sidecar.device.agent import describe_here
    from ..sidecar.device.client import DeviceClient

    device = find_device(name, read_devices(load_settings().home_path))
    if device.is_bare:
        info: dict[str, Any] = {"name": device.name}
    elif device.url is None:
        info = describe_here(device.name)
    else:
        with DeviceClient(device, client_name="omniforge device show", patience_s=3.0) as client:
            info = client.info()
    document = _entry(device) | {key: value for key, value in info.items() if key != "name"}
    if json:
        print_json(document)
    else:
        _show(document)


@app.command("remove")
def remove(name: Name, json: Json = False) -> None:
    """Take a device out of the book."""
    from ..deploy.devices import remove_device
    from ..settings import load_settings

    device = remove_device(load_settings().home_path, name)
    if json:
        print_json(_entry(device))
    else:
        out().print(f"Device {device.name} is removed.", markup=False)


app.command("bench")(bench.bench)


def _certificate(cert: Path | None, key: Path | None, made_in: Path | None, *, host: str) -> tuple[Path, Path] | None:
    """Return the certificate to serve with, and print the fingerprint of one that the device makes for itself."""
    if made_in is not None:
        if cert is not None or key is not None:
            raise SpecError("--tls-self-signed makes its own certificate.", hint="Leave out --tls-cert and --tls-key.")
        from ..sidecar.device.certificates import fingerprint, self_signed

        made = self_signed(made_in, host=host)
        err().print(
            f"Certificate {made[0]}, fingerprint {fingerprint(made[0].read_text(encoding='ascii'))}", markup=False
        )
        return made
    if (cert is None) != (key is None):
        raise SpecError("A certificate needs its key.", hint="Give both: --tls-cert FILE --tls-key FILE")
    return None if cert is None or key is None else (cert, key)


def _one_of(option: str, value: str, *known: str) -> str:
    if value not in known:
        raise SpecError(f"{option} {value!r}: expected one of {', '.join(known)}.")
    return value


def _host_name() -> str:
    import socket

    return socket.gethostname().partition(".")[0] or "device"


def _own_name() -> str:
    """Return what this machine is called, made a device's name: many hosts begin with a digit."""
    import re

    host = re.sub(r"[^A-Za-z0-9_.-]", "-", _host_name())[:50]
    return host if host[0].isalpha() else f"device-{host}"


def _is_here(url: str) -> bool:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _entry(device: Device) -> dict[str, Any]:
    """Return what is told of an entry of the book: not its token."""
    return {
        "name": device.name,
        "aliases": list(device.aliases),
        "kind": device.kind,
        "runtime": device.runtime,
        "url": device.url,
        "ca": device.ca,
        "token": device.token is not None,
    }


def _show(document: dict[str, Any]) -> None:
    from rich.table import Table

    facts = Table(box=None, pad_edge=False, show_header=False)
    limits = document.get("limits") or {}
    rows: dict[str, Any] = {key: document.get(key) for key in ("name", "kind", "runtime", "url", "version")}
    rows |= document.get("hardware", {})
    rows |= {key: value for key, value in limits.items() if key not in ("name", "kind", "runtime")}
    for key, value in rows.items():
        if value is not None:
            shown = f"{value / _MIB:.0f} MiB" if key.endswith("_bytes") else str(value)
            shown = f"{value:g} s" if key.endswith("_s") else shown
            facts.add_row(key.removesuffix("_bytes").removesuffix("_s").replace("_", " "), shown)
    out().print(facts)
    runtimes = Table("runtime", "version", "install", box=None, pad_edge=False)
    for name, one in document.get("runtimes", {}).items():
        versions = ", ".join(f"{package} {version}" for package, version in one["versions"].items())
        runtimes.add_row(
            name, versions or "not installed", one["command"] or (one["lacks"] and f"needs {one['lacks']}") or ""
        )
    if runtimes.row_count:
        out().print("", runtimes, sep="\n")
    for kind, meter in document.get("meters", {}).items():
        out().print(f"\nenergy ({kind}): {meter}", markup=False)
