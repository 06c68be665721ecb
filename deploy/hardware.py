"""What a machine is: the facts that a report and a device tell about it. Read, never guessed: what cannot be read is absent."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

_NVIDIA_S = 10.0


def describe_host() -> dict[str, str | int]:
    """Return what a report says about the machine that measured: processor, cores, architecture, system, governor.

    The governor is the kernel's policy for the processor's frequency; anything but ``performance`` makes times vary.
    """
    host: dict[str, str | int] = {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
    }
    governor = _line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
    return host | ({"governor": governor} if governor else {})


def describe_hardware() -> dict[str, str | int]:
    """Return all that can be read about this machine: what :func:`describe_host` says, and memory, frequency, board, GPUs.

    It may start ``nvidia-smi`` and take a second: ask once, not for every measurement.
    """
    facts: dict[str, str | int] = {
        **describe_host(),
        "memory_bytes": memory_bytes(),
        "python": platform.python_version(),
    }
    khz = _line(Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"))
    if khz and khz.isdigit():
        facts["max_mhz"] = int(khz) // 1000
    board = _line(Path("/proc/device-tree/model"))
    if board:
        facts["board"] = board
    gpus = nvidia_gpus()
    return facts | ({"gpu": ", ".join(gpus)} if gpus else {})


def memory_bytes() -> int:
    """Return the machine's memory, or what the control group of this process may take if that is less."""
    import psutil

    total = int(psutil.virtual_memory().total)
    allowed = _line(Path("/sys/fs/cgroup/memory.max"))
    return min(total, int(allowed)) if allowed and allowed.isdigit() else total


def nvidia_gpus(command: str = "nvidia-smi") -> list[str]:
    """Return the names of the NVIDIA GPUs, as the driver's own tool tells them; none where there is no such tool."""
    asked = [command, "--query-gpu=name", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=_NVIDIA_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.splitlines() if line.strip()]


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
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


def _line(path: Path) -> str | None:
    """Return the text of a file that the kernel gives, or ``None`` if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None
