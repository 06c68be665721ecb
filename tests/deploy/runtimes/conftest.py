"""Shared by the tests of runtimes: ONNX's cases of single operators, and a CUDA driver without a GPU."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import conformance
import pytest
from conformance.onnx_cases import OperatorCase, operator_cases


@pytest.fixture(scope="session")
def onnx_cases() -> Mapping[str, list[OperatorCase]]:
    from omniforge.deploy.runtimes import torch_layers  # noqa: F401  # adds its operators
    from omniforge.deploy.runtimes.torch_operators import OPERATORS

    return operator_cases(OPERATORS)


@pytest.fixture(scope="session")
def cuda_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A shared library with the driver's functions over this machine's memory."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = Path(next(iter(conformance.__path__))) / "fake_cuda.c"
    library = tmp_path_factory.mktemp("cuda") / "libcuda.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return str(library)
