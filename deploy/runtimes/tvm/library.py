"""Compiled models as files: a shared library, and beside it a description of what goes in and what comes out.

A library is code: load only those that you, or someone you trust, made.
"""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tvm.support import cc

from ....errors import ExportError, MeasurementError, MissingDependencyError, SpecError
from ....files import replacing, write_text
from ..base import RuntimeOptions, TensorSpec, unusable
from .cache import TuningSummary
from .compiling import Lowered, compile_lowered
from .frontend import FAILURES, first_line, tvm
from .options import TvmOptions
from .runtime import TvmSession, lower_for
from .tuning import tuned

_FORMAT = 1
_DEBIAN_COMPILERS = {"aarch64-linux-gnu-gcc": "apt-get install gcc-aarch64-linux-gnu"}


@dataclass(frozen=True)
class LibraryTensor:
    """The one input or output of a library: its name, its shape with the batch, numpy's name of its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Library:
    """What is written beside a compiled model.

    Args:
        machine: The kind of processor, as ``uname -m`` says it: ``"x86_64"``, ``"aarch64"``.
        target: TVM's target.
        tvm: TVM's version; another runtime version may not load it.
        sha256: The hash of the library's bytes.
        input: What it reads: ``rows x ...``. The batch is fixed.
        output: What it computes: ``rows x k``.
        any_batch: Whether rows do not depend on each other, so that any batch can be run in parts of ``rows``.
        threads: Threads in one prediction.
        tuning: How its kernels were tuned.
    """

    machine: str
    target: str
    tvm: str
    sha256: str
    input: LibraryTensor
    output: LibraryTensor
    any_batch: bool
    threads: int
    tuning: TuningSummary


def compile_library(
    model: Path | str | bytes,
    path: Path | str,
    *,
    target: str | Mapping[str, Any] = "host",
    options: RuntimeOptions | None = None,
) -> Library:
    """Compile an ONNX model into a shared library, described in ``PATH.json``.

    Args:
        model: The ONNX file, or its content.
        path: The library to write: ``model.so``.
        target: A name of ``compiling.TARGETS`` (``"host"``, ``"aarch64"``), or a mapping of TVM's own.
        options: Threads, and in ``extra`` the settings of :class:`.options.TvmOptions`. Kernels are tuned for ``"host"``
            only: those of another processor cannot be timed here.

    Returns:
        The description.

    Raises:
        ExportError: TVM cannot compile the model, or the linker fails.
        MissingDependencyError: There is no linker for the target; the hint is the command that installs it.
        SpecError: A setting is wrong, or tuning is asked for another processor.
        UnknownNameError: There is no such target.
    """
    options = options or RuntimeOptions()
    settings = TvmOptions.read({**options.extra, "target": target})
    if settings.tuning_s > 0 and target != "host":
        raise SpecError(
            f"tuning_s = {settings.tuning_s:g} with target = {target!r}: kernels of another processor cannot be timed here.",
            hint="Leave out the tuning, or run omniforge export on the device itself.",
        )
    try:
        lowered = lower_for(model, settings=settings, threads=options.threads)
        tuning = tuned(lowered, options=settings, threads=options.threads)
        digest = link(lowered, compile_lowered(lowered, tuning.records), Path(path))
    except MeasurementError as e:
        raise ExportError(e.message, hint=e.hint) from e
    spec = lowered.model.input
    library = Library(
        machine=_machine(lowered.target),
        target=str(lowered.target),
        tvm=str(tvm.__version__),
        sha256=digest,
        input=LibraryTensor(lowered.model.input_name, (lowered.rows, *(size or 1 for size in spec.shape)), spec.dtype),
        output=LibraryTensor(lowered.model.output_name, (lowered.rows, lowered.columns), lowered.dtype),
        any_batch=spec.batch is None,
        threads=options.threads,
        tuning=tuning.summary(),
    )
    write_text(_beside(Path(path)), json.dumps({"format": _FORMAT, **asdict(library)}, indent=2) + "\n")
    return library


def link(lowered: Lowered, executable: Any, path: Path) -> str:
    """Write a compiled model as a shared library, whole or not at all.

    Args:
        lowered: What was compiled; its target says for which processor.
        executable: From :func:`.compiling.compile_lowered`.
        path: The file.

    Returns:
        The hash of its bytes.

    Raises:
        MissingDependencyError: There is no linker for the target.
        MeasurementError: The linker fails. Not retryable.
    """
    compiler = compiler_for(lowered.target)
    try:
        with replacing(path) as temporary:
            executable.export_library(str(temporary), fcompile=cc.cross_compiler(compiler))
            return hashlib.sha256(temporary.read_bytes()).hexdigest()
    except FAILURES as e:
        raise unusable(f"{lowered.model.name} cannot be linked by {compiler}: {first_line(e)}") from e


def read_library(path: Path | str) -> Library:
    """Return the description of a compiled model.

    Raises:
        MeasurementError: It is missing, or not one. Not retryable.
    """
    beside = _beside(Path(path))
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
        if found.pop("format") != _FORMAT:
            raise unusable(
                f"The description {beside} is of another version of Omniforge.", hint="Export the model again."
            )
        for name in ("input", "output"):
            found[name] = LibraryTensor(**{**found[name], "shape": tuple(found[name]["shape"])})
        return Library(**{**found, "tuning": TuningSummary(**found["tuning"])})
    except OSError as e:
        raise unusable(f"The description {beside} of the library cannot be read: {e.strerror or e}.") from e
    except (ValueError, LookupError, TypeError, AttributeError) as e:
        raise unusable(f"The description {beside} is not one of a compiled model: {first_line(e)}") from e


def load_library(path: Path | str) -> TvmSession:
    """Load a compiled model. It runs code from the file.

    Args:
        path: The library that :func:`compile_library` wrote; the description is beside it.

    Raises:
        MeasurementError: It is missing, broken, changed since, or for another processor. Not retryable.
    """
    path = Path(path).absolute()
    library = read_library(path)
    if library.machine != platform.machine():
        raise unusable(f"The library {path} is for {library.machine}, and this machine is {platform.machine()}.")
    try:
        with TemporaryDirectory(prefix="omniforge-tvm-") as folder:
            copy = Path(folder) / f"{secrets.token_hex(8)}.so"  # the system gives a name that it knows from memory
            copy.write_bytes(path.read_bytes())
            if hashlib.sha256(copy.read_bytes()).hexdigest() != library.sha256:
                raise unusable(f"The library {path} is not the one that {_beside(path).name} describes.")
            module = tvm.runtime.load_module(str(copy))
    except OSError as e:
        raise unusable(f"The library {path} cannot be read: {e.strerror or e}.") from e
    except FAILURES as e:
        if isinstance(e, MeasurementError):
            raise
        raise unusable(f"The library {path} cannot be loaded by TVM {tvm.__version__}: {first_line(e)}") from e
    rows, *sizes = library.input.shape
    return TvmSession(
        module,
        spec=TensorSpec(tuple(sizes), library.input.dtype, None if library.any_batch else rows),
        rows=rows,
        threads=library.threads,
        tuning=library.tuning,
    )


def compiler_for(target: Any) -> str:
    """Return the command that links for a target.

    Raises:
        MissingDependencyError: It is not there.
    """
    triple = str(target.attrs.get("mtriple", ""))
    if _machine(target) == platform.machine():
        found = cc.get_cc()
        if found is None:
            raise MissingDependencyError(
                "Linking a library needs a C compiler.", hint="apt-get install gcc (on Debian)"
            )
        return str(found)
    command = f"{triple}-gcc"
    if shutil.which(command) is None:
        raise MissingDependencyError(
            f"Linking for {_machine(target)} needs {command}, which is not installed.",
            hint=f"{_DEBIAN_COMPILERS.get(command, 'Install a cross compiler of this name')} (on Debian)",
        )
    return command


def _machine(target: Any) -> str:
    """Return the kind of processor of a target."""
    triple = str(target.attrs.get("mtriple", ""))
    return triple.partition("-")[0] if triple else platform.machine()


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")
