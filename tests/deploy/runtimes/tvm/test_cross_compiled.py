"""A model compiled for another processor, run by an emulator and a small C++ program: it computes the same.

How long it takes says nothing. ``make edge-tools`` installs what it needs.
"""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conformance.runtime_models import image_network

import omniforge

pytest.importorskip("tvm", reason="pip install 'omniforge[tvm]'")

from omniforge.deploy.runtimes.tvm.library import compile_library

SOURCE = Path(__file__).with_name("run_library.cc")
RUNTIME = Path(omniforge.__file__).parent / ".omniforge" / "edge-tools"
LIBRARIES = ("libtvm_runtime.so", "libtvm_ffi.so")
COMPILER, EMULATOR, SYSTEM = "aarch64-linux-gnu-g++", "qemu-aarch64", "/usr/aarch64-linux-gnu"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program that runs libraries, built for aarch64."""
    missing = [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]
    missing += [str(RUNTIME / name) for name in LIBRARIES if not (RUNTIME / name).exists()]
    if missing:
        pytest.skip(f"run 'make edge-tools' first (as root, with network); missing: {', '.join(missing)}")
    headers = Path(str(distribution("apache-tvm-ffi").locate_file("tvm_ffi")))
    program = tmp_path_factory.mktemp("aarch64") / "run_library"
    includes = [f"-I{headers / 'include'}", f"-I{headers / '3rdparty' / 'dlpack' / 'include'}"]
    libraries = ["-Wl,--no-as-needed", *(str(RUNTIME / name) for name in LIBRARIES)]
    subprocess.run([COMPILER, "-std=c++17", "-O1", "-o", program, SOURCE, *includes, *libraries], check=True)
    return program


@pytest.mark.slow
def test_a_cross_compiled_network_agrees_with_onnx_runtime(runner: Path, tmp_path: Path) -> None:
    network = image_network()
    library = compile_library(network.content, tmp_path / "model.so", target="aarch64")
    assert library.machine == "aarch64"
    session = onnxruntime.InferenceSession(network.content, providers=["CPUExecutionProvider"])
    for row in network.rows:
        row.tofile(tmp_path / "input")
        sizes = [str(size) for size in library.input.shape]
        command = [EMULATOR, "-L", SYSTEM, "-E", f"LD_LIBRARY_PATH={RUNTIME}", str(runner)]
        subprocess.run([*command, tmp_path / "model.so", tmp_path / "input", tmp_path / "output", *sizes], check=True)
        got = np.fromfile(tmp_path / "output", np.float32).reshape(library.output.shape)
        expected = session.run(None, {"features": row[np.newaxis]})[0]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
