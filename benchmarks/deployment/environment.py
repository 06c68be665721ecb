"""What a table of figures says about where it was made: machine, load, versions."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omniforge.deploy.hardware import describe_host

PACKAGES = ("numpy", "onnx", "onnxruntime", "openvino", "apache-tvm", "torch", "scikit-learn", "lightgbm")


def environment() -> dict[str, Any]:
    """Return the environment as JSON values."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "python": platform.python_version(),
        "host": describe_host(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "versions": versions,
    }


def describe_environment() -> str:
    """Return the environment as a list."""
    found = environment()
    host = found["host"]
    return "\n".join(
        [
            f"- when: {found['when']}",
            f"- machine: {host['processor']}, {host['cores']} cores, {host['machine']}, {host['system']}",
            f"- load average: {', '.join(map(str, found['load']))}",
            f"- python: {found['python']}",
            *(f"- {name}: {version}" for name, version in found["versions"].items()),
        ]
    )


def write_environment(path: Path) -> None:
    """Write the environment beside a table."""
    path.write_text(json.dumps(environment(), indent=2) + "\n")
