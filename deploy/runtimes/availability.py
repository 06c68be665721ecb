"""Which runtimes can be used on this machine. It looks at what is installed and imports none of it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import MeasurementError
from .cuda_driver import CudaDriver


@dataclass(frozen=True)
class Availability:
    """Whether a runtime can be used here.

    Args:
        name: The runtime's name.
        versions: The versions of the packages that it needs, by package; empty where one is missing.
        install: The command that installs what is missing; ``None``: nothing is.
        lacks: What the machine lacks to run models with it, such as a GPU; ``None``: nothing.
    """

    name: str
    versions: Mapping[str, str] = field(default_factory=dict)
    install: str | None = None
    lacks: str | None = None

    @property
    def usable(self) -> bool:
        """Whether models can be measured with it here."""
        return self.install is None and self.lacks is None


# Runtime: the packages of which it needs all, as (module, distribution); the command that installs them.
_NEEDED: Mapping[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "onnxruntime": ((("onnxruntime", "onnxruntime"),), "pip install onnxruntime"),
    "openvino": ((("openvino", "openvino"),), "pip install 'omniforge[openvino]'"),
    "tensorrt": ((("tensorrt_rtx", "tensorrt_rtx"),), "pip install 'omniforge[tensorrt]'"),
    "torch": ((("torch", "torch"), ("onnx", "onnx")), "pip install 'omniforge[automl]'"),
    "torch-compile": ((("torch", "torch"), ("onnx", "onnx")), "pip install 'omniforge[automl]'"),
    "tvm": ((("tvm", "apache-tvm"), ("tvm_ffi", "apache-tvm-ffi")), "pip install 'omniforge[tvm]'"),
}


def available() -> dict[str, Availability]:
    """Return for each runtime whether it can be used here, by name.

    That a package is there does not say that it loads; preparing a model with it does.
    """
    return {name: _examine(name) for name in _NEEDED}


def _examine(name: str) -> Availability:
    packages, install = _NEEDED[name]
    versions = _versions(packages)
    if versions is None and name == "tensorrt":  # either package will do
        versions = _versions((("tensorrt", "tensorrt"),))
    if versions is None:
        return Availability(name, install=install)
    if name == "torch-compile":
        return _with_compiler(name, versions)
    return Availability(name, versions, lacks=_missing_gpu() if name == "tensorrt" else None)


def _versions(packages: tuple[tuple[str, str], ...]) -> dict[str, str] | None:
    """Return the versions of packages; ``None`` if one is not installed."""
    found = {}
    for module, distribution in packages:
        if importlib.util.find_spec(module) is None:
            return None
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[distribution] = "unknown"  # a module on the path that no installer put there
    return found


def _with_compiler(name: str, versions: Mapping[str, str]) -> Availability:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        return Availability(name, versions, install="apt-get install g++", lacks=f"the C++ compiler {compiler!r}")
    return Availability(name, versions)


def _missing_gpu() -> str | None:
    try:
        return None if CudaDriver().gpus() else "an NVIDIA GPU"
    except MeasurementError:
        return "an NVIDIA GPU and its driver"
