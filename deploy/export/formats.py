"""The files that a model is shipped in, one writer for each: ONNX, OpenVINO's IR, a TVM library, a TensorRT engine.

A writer turns an ONNX file into its format, beside it in the same folder; what names a model's operator that the format
does not have is the format's own library.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import ExportError, MeasurementError, SpecError
from ...registry import resolve
from ..devices import DEVICES, Device
from ..runtimes import RUNTIMES, Runtime, RuntimeOptions, Session
from .onnx_model import unwritable

HOST = "host"
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """A model in a format.

    Args:
        files: The files, the one that is loaded first; the others belong beside it under their names.
        runtime: What runs it here; ``None``: nothing does.
        why_not: Why nothing does.
        notes: What a reader should know.
        device: Where it runs here.
    """

    files: tuple[Path, ...]
    runtime: Runtime | None
    why_not: str = ""
    notes: tuple[str, ...] = ()
    device: Device = DEVICES["local"]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Args:
        suffix: What its main file ends with.
        write: Writes ``(onnx_file, path, target, settings)``; raises ``ExportError``, ``MeasurementError`` or
            ``MissingDependencyError``.
        targets: The processors that it can be written for; ``None``: those that the writer knows.
    """

    suffix: str
    write: Callable[[Path, Path, str, Settings], Written]
    targets: tuple[str, ...] | None = (HOST,)


def check_format(path: Path, *, to: str, target: str = HOST) -> None:
    """Check what is asked for before anything is done.

    Args:
        path: The main file to write.
        to: A name of ``FORMATS``.
        target: The processor: ``"host"``, or what the format knows: ``"aarch64"`` for ``"tvm"``, a compute capability for
            ``"tensorrt"``.

    Raises:
        SpecError: There is no such format, it does not know the target, or the path has another suffix.
    """
    if to not in FORMATS:
        raise SpecError(f"The format {to!r} is unknown; expected {', '.join(FORMATS)}.")
    known = FORMATS[to]
    if path.suffix != known.suffix:
        raise SpecError(f"The file {path.name!r} of the format {to!r} has to end with {known.suffix!r}.")
    if known.targets is not None and target not in known.targets:
        raise SpecError(
            f"target = {target!r}: a model in the format {to!r} is not built for one processor.",
            hint="Only tvm and tensorrt take a target; an ONNX or OpenVINO file runs wherever its runtime does.",
        )


def write_format(
    model: Path, path: Path, *, to: str, target: str = HOST, settings: Settings = MappingProxyType({})
) -> Written:
    """Write an ONNX file in another format.

    Args:
        model: The ONNX file.
        path: The main file to write.
        to: A name of ``FORMATS``.
        target: The processor.
        settings: Settings of the format's runtime, such as TVM's ``tuning_s`` and ``cache``.

    Raises:
        SpecError: As :func:`check_format` says.
        ExportError: The disk is full, or the format cannot hold the model; the message names the operator where its library does.
        MissingDependencyError: Its library is not installed; the hint is the command.
    """
    check_format(path, to=to, target=target)
    try:
        return FORMATS[to].write(model, path, target, settings)
    except (ExportError, MeasurementError) as e:
        raise ExportError(e.message.replace(f"The model {model}", "The model"), hint=e.hint) from e
    except OSError as e:
        raise unwritable(path, e) from e


def _write_onnx(model: Path, path: Path, target: str, settings: Settings) -> Written:
    del target, settings
    shutil.copyfile(model, path)
    return Written((path,), RUNTIMES.get("onnxruntime")())


def _write_openvino(model: Path, path: Path, target: str, settings: Settings) -> Written:
    """Write OpenVINO's intermediate representation, weights in the precision of the model."""
    del target, settings
    runtime = RUNTIMES.get("openvino")()
    runtime.prepare(model, device=DEVICES["local"], options=RuntimeOptions()).close()  # names what OpenVINO lacks
    import openvino

    try:
        openvino.save_model(openvino.Core().read_model(str(model)), str(path), compress_to_fp16=False)
    except RuntimeError as e:
        raise ExportError(
            f"OpenVINO cannot write {path.name}: {' '.join(str(e).split())[:300]}",
            hint="Is there space left on the disk?",
        ) from e
    return Written((path, path.with_suffix(".bin")), runtime)


class _Library(Runtime):
    """A TVM library as a runtime: it loads the file that was written, and compiles nothing."""

    name = "tvm"

    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> Session:
        """Load a library from its file."""
        del device, options
        session: Session = _tvm("load_library")(model)
        return session

    def versions(self) -> dict[str, str]:
        """Return TVM's version."""
        return RUNTIMES.get("tvm")().versions()


def _tvm(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = resolve(f"..runtimes.tvm.library:{name}", package=__package__)
    return found


def _write_tvm(model: Path, path: Path, target: str, settings: Settings) -> Written:
    """Write a shared library and its description; kernels are tuned where the settings say for how long."""
    library = _tvm("compile_library")(model, path, target=target, options=RuntimeOptions(extra=settings))
    files = tuple(sorted(path.parent.glob(f"{path.name}*"), key=lambda file: len(file.name)))
    tuning = library.tuning
    notes = (
        f"tuned: {tuning.tuned_kernels} of {tuning.kernels} kernels, {tuning.trials} trials in {tuning.seconds:.0f} s",
    )
    if not tuning.complete:
        notes = ("not tuned: its speed says nothing about TVM", *(notes if tuning.tuned_kernels else ()))
    if target != HOST:
        return Written(files, None, f"it is built for {library.machine}", notes)
    return Written(files, _Library(), notes=notes)


def _write_tensorrt(model: Path, path: Path, target: str, settings: Settings) -> Written:
    """Write a TensorRT engine; the target is a GPU's compute capability, such as ``"8.9"``."""
    del settings
    build: Callable[..., Any] = resolve("..runtimes.tensorrt_engine:build_engine", package=__package__)
    build(model, path, options=RuntimeOptions(extra={} if target == HOST else {"compute_capability": target}))
    runtime = RUNTIMES.get("tensorrt")()
    gpu = Device("local", kind="gpu", runtime="tensorrt")
    try:
        runtime.prepare(path, device=gpu, options=RuntimeOptions()).close()
    except MeasurementError as e:
        return Written((path,), None, e.message)
    return Written((path,), runtime, device=gpu)


FORMATS: Mapping[str, Format] = {
    "onnx": Format(".onnx", _write_onnx),
    "openvino": Format(".xml", _write_openvino),
    "tvm": Format(".so", _write_tvm, targets=None),
    "tensorrt": Format(".engine", _write_tensorrt, targets=None),
}
