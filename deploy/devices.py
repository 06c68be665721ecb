"""The devices that a model can be measured on, by name."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ..errors import UnknownNameError


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


def describe_host() -> dict[str, str | int]:
    """Return what a report says about the machine that measured: processor, cores, architecture, system."""
    return {
        "processor": _processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
    }


def _processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's own name; ``platform.processor()`` is empty on most Linux systems."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or "unknown"
