"""TensorRT engines: parse an ONNX model, set the profile of its batch, build, keep. None of it needs a GPU.

One code for ``tensorrt_rtx`` (TensorRT for RTX: engines that are compiled to the end where they run) and ``tensorrt``
(engines for the GPU that builds them), whichever is installed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...errors import MeasurementError, MissingDependencyError, SpecError
from ...files import replacing
from .base import RuntimeOptions, named, other_shape, unusable

_LOGGER = logging.getLogger(__name__)
_PACKAGES = ("tensorrt_rtx", "tensorrt")
_HEADERS = (b"ftrt", b"vtrt", b"ptrt")  # how serialized engines begin
_SUFFIXES = (".engine", ".plan", ".trt")


def load_tensorrt() -> Any:
    """Return the module of the TensorRT that is installed.

    Raises:
        MissingDependencyError: There is none, or its libraries are missing.
    """
    reasons = []
    for package in _PACKAGES:
        try:
            return importlib.import_module(package)
        except (ImportError, OSError) as e:
            reasons.append(f"{package}: {e}")
    raise MissingDependencyError(
        f"The runtime 'tensorrt' is not installed ({'; '.join(reasons)}).", hint="pip install 'omniforge[tensorrt]'"
    )


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is built; the entries of ``RuntimeOptions.extra``.

    Args:
        min_batch: The least rows in one prediction.
        opt_batch: The number of rows that it is tuned for.
        max_batch: The most rows.
        fp16: Let it compute in float16 where that is faster. TensorRT for RTX computes in the types of the model: give it
            a model in float16.
        tf32: Let multiplications round their inputs to 10 bits of mantissa; off, so that float32 is float32.
        workspace_bytes: The most GPU memory for scratch; ``None``: all there is.
        compute_capability: The GPU to build for, as ``"8.9"``, with TensorRT for RTX; ``None``: any that it supports.
        cache_dir: A folder to keep engines in, by model, options, versions and GPU; ``None``: they are not kept.
        gpu: The number of the GPU to run on.
    """

    min_batch: int = 1
    opt_batch: int = 1
    max_batch: int = 256
    fp16: bool = False
    tf32: bool = False
    workspace_bytes: int | None = None
    compute_capability: str | None = None
    cache_dir: str | None = None
    gpu: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.min_batch <= self.opt_batch <= self.max_batch:
            raise SpecError(
                f"min_batch, opt_batch, max_batch = {self.min_batch}, {self.opt_batch}, {self.max_batch}: "
                "expected 1 <= min_batch <= opt_batch <= max_batch."
            )

    @classmethod
    def of(cls, extra: Mapping[str, Any]) -> EngineOptions:
        """Return the options in ``RuntimeOptions.extra``.

        Raises:
            SpecError: One is unknown or impossible.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(extra) - known)
        if unknown:
            hint = f"It has {', '.join(sorted(known))}."
            raise SpecError(f"extra: the runtime 'tensorrt' has no setting {unknown[0]!r}.", hint=hint)
        try:
            return cls(**extra)
        except TypeError as e:
            raise SpecError(f"extra = {dict(extra)}: {e}.") from e


def build_engine(
    model: Path | str | bytes,
    path: Path | str | None = None,
    *,
    options: EngineOptions | RuntimeOptions | None = None,
    gpu: str = "",
) -> bytes:
    """Build a TensorRT engine for an ONNX model; no GPU is needed for TensorRT for RTX.

    Args:
        model: The ONNX file, or its content.
        path: Where to write the engine as well, whole or not at all; ``None``: nowhere.
        options: How; ``None``: the defaults, batches of 1 to 256 rows.
        gpu: The name of the GPU it is for, where it is for one alone; a part of the cache's key.

    Returns:
        The serialized engine.

    Raises:
        MeasurementError: The model is missing or broken, has an operator that TensorRT does not have (the message names
            it and its node), or cannot be built.
        MissingDependencyError: TensorRT is not installed.
        SpecError: An option is unknown, impossible, or not of this TensorRT.
    """
    trt = load_tensorrt()
    if isinstance(options, RuntimeOptions):
        options = EngineOptions.of(options.extra)
    options = options or EngineOptions()
    kept = None
    if options.cache_dir is not None:
        kept = Path(options.cache_dir) / f"{_key(trt, model, options, gpu)}.engine"
    if kept is not None and kept.is_file():
        engine = kept.read_bytes()
    else:
        engine = _build(trt, model, options)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            _write(kept, engine)
    if path is not None:
        _write(Path(path), engine)
    return engine


def is_engine(model: Path | str | bytes) -> bool:
    """Say whether this is a serialized engine and not an ONNX model."""
    if isinstance(model, bytes):
        return model[:4] in _HEADERS
    return Path(model).suffix in _SUFFIXES


def _build(trt: Any, model: Path | str | bytes, options: EngineOptions) -> bytes:
    logger = trt_logger(trt)
    with logger.building:
        logger.errors.clear()
        try:
            builder = trt.Builder(logger)
        except TypeError as e:  # its constructor returned nothing
            raise unusable(f"{trt.__name__} needs an NVIDIA GPU to build engines: {logger.reason()}") from e
        network = builder.create_network(_network_flags(trt, options))
        parser = trt.OnnxParser(network, logger)
        _parse(trt, parser, model)
        _check_shape(network, model)
        config = builder.create_builder_config()
        _configure(trt, config, options)
        profile = _profile(builder, network.get_input(0), options)
        if profile is not None and config.add_optimization_profile(profile) < 0:
            raise unusable(f"{named(model)} cannot be built by TensorRT: {logger.reason()}")
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise unusable(f"{named(model)} cannot be built by TensorRT: {logger.reason()}")
        return bytes(memoryview(engine))


def _network_flags(trt: Any, options: EngineOptions) -> int:
    """Have TensorRT keep to the model's own types, unless it may choose float16."""
    flags = trt.NetworkDefinitionCreationFlag
    if options.fp16:
        if not hasattr(trt.BuilderFlag, "FP16"):
            raise SpecError(
                f"fp16 = True: {trt.__name__} {trt.__version__} computes in the types of the model.",
                hint="Quantize the model to float16 first: omniforge export MODEL --to onnx --quantize fp16.",
            )
        return 0
    return 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0


def _parse(trt: Any, parser: Any, model: Path | str | bytes) -> None:
    """Read the model into the parser's network.

    Raises:
        MeasurementError: It is missing or broken, or has operators that TensorRT does not have; the first is named.
    """
    if isinstance(model, bytes):
        parsed = bool(model) and parser.parse(model)
    else:
        if not Path(model).is_file():
            raise unusable(f"{named(model)} cannot be loaded by TensorRT: there is no such file.")
        parsed = Path(model).stat().st_size > 0 and parser.parse_from_file(str(model))
    if parsed:
        return
    if not parser.num_errors:
        raise unusable(f"{named(model)} cannot be loaded by TensorRT: it is empty, or no ONNX file.")
    raise _refusal(trt, parser.get_error(0), model)


def _refusal(trt: Any, error: Any, model: Path | str | bytes) -> MeasurementError:
    """Return the error of a model that the parser does not take."""
    operator = error.node_operator()
    if not operator:
        return unusable(f"{named(model)} cannot be loaded by TensorRT: {error.desc()}")
    label = f"node {error.node_name()!r}" if error.node_name() else f"node number {error.node()}"
    lacking = error.code() == trt.ErrorCode.UNSUPPORTED_NODE or "Plugin not found" in error.desc()
    said = f"TensorRT has no operator {operator}" if lacking else f"its operator {operator} is refused: {error.desc()}"
    return unusable(
        f"{named(model)} cannot be loaded by TensorRT: {said} ({label}).",
        hint="The runtime 'onnxruntime' runs all of ONNX, trees and linear models (ai.onnx.ml) included.",
    )


def _check_shape(network: Any, model: Path | str | bytes) -> None:
    """Check that the network has one input and one output ``[batch, ...]``, and that only the batch is not known."""
    values = [network.get_input(at) for at in range(network.num_inputs)]
    shapes = [tuple(value.shape) for value in values]
    fits = len(shapes) == 1 and len(shapes[0]) >= 2 and -1 not in shapes[0][1:] and network.num_outputs == 1
    if not fits or -1 in tuple(network.get_output(0).shape)[1:]:
        values += [network.get_output(at) for at in range(network.num_outputs)]
        raise other_shape(model, ", ".join(f"{value.name} {tuple(value.shape)}" for value in values) or "none at all")


def _configure(trt: Any, config: Any, options: EngineOptions) -> None:
    if options.fp16:
        config.set_flag(trt.BuilderFlag.FP16)
    if not options.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if options.workspace_bytes is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    if options.compute_capability is not None:
        members = getattr(getattr(trt, "ComputeCapability", None), "__members__", {})
        wanted = f"SM{options.compute_capability.replace('.', '')}"
        if wanted not in members:
            raise SpecError(
                f"compute_capability = {options.compute_capability!r}: {trt.__name__} builds for "
                f"{', '.join(capability_names(trt)) or 'the GPU of this machine only'}."
            )
        config.num_compute_capabilities = 1
        config.set_compute_capability(members[wanted], 0)


def capability_names(trt: Any) -> list[str]:
    """Return the compute capabilities that a TensorRT can name, as ``["7.5", ...]``; none: it takes the machine's."""
    members = getattr(getattr(trt, "ComputeCapability", None), "__members__", {})
    return [f"{name[2:-1]}.{name[-1]}" for name in members if name.startswith("SM")]


def _profile(builder: Any, read: Any, options: EngineOptions) -> Any:
    """Return the profile of a batch of any size; ``None`` for a fixed one."""
    batch, *row = tuple(read.shape)
    if batch != -1:
        return None
    profile = builder.create_optimization_profile()
    sizes = ((rows, *row) for rows in (options.min_batch, options.opt_batch, options.max_batch))
    profile.set_shape(read.name, *sizes)
    return profile


def _key(trt: Any, model: Path | str | bytes, options: EngineOptions, gpu: str) -> str:
    """Return what an engine is kept under: the model, how it is built, by what, and for which GPU."""
    try:
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
    except OSError as e:
        raise unusable(f"{named(model)} cannot be read: {e.strerror or e}.") from e
    chosen = {name: value for name, value in asdict(options).items() if name not in ("cache_dir", "gpu")}
    digest = hashlib.sha256(json.dumps([trt.__name__, trt.__version__, gpu, chosen], sort_keys=True).encode())
    digest.update(content)
    beside = None if isinstance(model, bytes) else Path(f"{model}.data")
    if beside is not None and beside.is_file():
        digest.update(beside.read_bytes())
    return digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is there in full or not at all.

    Raises:
        MeasurementError: It cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as e:
        raise unusable(f"The engine cannot be written to {path}: {e.strerror or e}.") from e


_loggers: dict[str, Any] = {}


def trt_logger(trt: Any) -> Any:
    """Return the logger that TensorRT writes to: Python's, and a list of the last errors.

    TensorRT keeps the first logger that a process gives it, so there is one; ``building`` is its lock.
    """
    if trt.__name__ not in _loggers:
        severity = trt.ILogger.Severity
        levels = {severity.INTERNAL_ERROR: logging.ERROR, severity.ERROR: logging.ERROR}

        class Logger(trt.ILogger):  # type: ignore[misc]  # the module is known only now
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.errors: deque[str] = deque(maxlen=20)
                self.building = threading.Lock()

            def log(self, severity: Any, message: str) -> None:
                if severity in levels:
                    self.errors.append(message)
                    _LOGGER.debug("TensorRT: %s", message)

            def reason(self) -> str:
                """Return the first error since the list was cleared."""
                return self.errors[0] if self.errors else "it does not say why."

        _loggers[trt.__name__] = Logger()
    return _loggers[trt.__name__]
