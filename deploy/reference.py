"""The model that every measurement takes turns with, and what it takes on a device: the unit that latencies are given in.

It is a small convolutional network with fixed weights, written here byte by byte, as the devices that measure have no
``onnx`` package. It computes a lot and reads little (40 KB), so that it feels the machine's speed and not its caches. How
long it takes is measured once for a device, a runtime's version and a number of threads, and then kept in a file: from
then on, a model's latency is its ratio to the reference times that.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MeasurementError
from .devices import Device
from .interleaving import Clock, Lane, lane_of, take_turns
from .report import Reference
from .runtimes import RUNTIMES, Runtime, RuntimeOptions, Session

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

NAME = "conv-6x16x12x12"
BLOCK_NS = 2e6
_CHANNELS, _SIDE, _LAYERS, _OUTPUTS = 16, 12, 6, 8
_OPSET, _IR_VERSION = 13, 8
_FLOAT, _INTS = 1, 7
_WARM_UPS = 3
_ROUNDS = 8
_ROUND_NS = 20e6

# Runtimes that need long to prepare a model, or prepare it badly without tuning: on this machine the reference runs on
# another one, which the clock frequency reaches just as well.
_BORROWED = {"tvm": "onnxruntime", "torch-compile": "onnxruntime"}


@cache
def reference_model() -> bytes:
    """Return the ONNX file: one input ``image`` float32 ``[1, 1, 12, 12]``, one output ``scores`` ``[1, 8]``."""
    nodes: list[bytes] = []
    weights: list[bytes] = []
    value, given = "image", 1
    for layer in range(_LAYERS):
        fan_in = 9 * given
        weights.append(_tensor(f"w{layer}", (_CHANNELS, given, 3, 3), fan_in=fan_in, seed=layer))
        nodes.append(_node("Conv", [value, f"w{layer}"], f"c{layer}", pads=[1, 1, 1, 1]))
        nodes.append(_node("Relu", [f"c{layer}"], f"r{layer}"))
        value, given = f"r{layer}", _CHANNELS
    nodes.append(_node("GlobalAveragePool", [value], "pooled"))
    nodes.append(_node("Flatten", ["pooled"], "flat"))
    weights.append(_tensor("head", (_CHANNELS, _OUTPUTS), fan_in=_CHANNELS, seed=_LAYERS))
    nodes.append(_node("MatMul", ["flat", "head"], "scores"))
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, b"reference"),
            *(_field(5, tensor) for tensor in weights),
            _field(11, _value("image", (1, 1, _SIDE, _SIDE))),
            _field(12, _value("scores", (1, _OUTPUTS))),
        ]
    )
    return _number(1, _IR_VERSION) + _field(7, graph) + _field(8, _number(2, _OPSET))


@cache
def reference_row() -> Array:
    """Return the row that it predicts, float32 ``1 x 1 x 12 x 12``, always the same."""
    return _values(_SIDE * _SIDE, seed=99).reshape(1, 1, _SIDE, _SIDE)


@dataclass(frozen=True)
class ReferenceModel:
    """The reference, loaded.

    Args:
        session: The model.
        runtime: What runs it.
    """

    session: Session
    runtime: Runtime

    def lane(self, clock: Clock) -> Lane:
        """Return its lane, warmed up."""
        row = reference_row()
        for _ in range(_WARM_UPS):
            self.session.run(row)
        before = clock()
        self.session.run(row)
        return lane_of(self.session, [row], block_ns=BLOCK_NS, estimate_ns=clock() - before)


def prepare_reference(runtime: Runtime, *, device: Device, options: RuntimeOptions) -> ReferenceModel | str:
    """Load the reference in the runtime that a model is measured with, or in one that stands in for it.

    Args:
        runtime: What measures the model.
        device: Where.
        options: Its threads and cores; the runtime's own settings are not the reference's.

    Returns:
        The reference, or why there is none.
    """
    if device.url is not None:
        return f"the bare device {device.name!r} serves one model at a time"
    borrowed = _BORROWED.get(runtime.name)
    try:
        by = RUNTIMES.get(borrowed)() if borrowed else runtime
        settings = RuntimeOptions(threads=options.threads, cpus=options.cpus)
        return ReferenceModel(by.prepare(reference_model(), device=device, options=settings), by)
    except MeasurementError as e:
        return f"{runtime.name} cannot run the reference: {e.message}"


def calibrated_ms(lane: Lane, *, lock_dir: Path, key: Mapping[str, Any], clock: Clock) -> float:
    """Return how long the reference takes on this device, in milliseconds: from its file, or measured once and kept.

    It is the lowest median of several rounds, hence about what the machine can do when nothing else runs.

    Args:
        lane: The reference's lane; its times are not touched.
        lock_dir: The folder of the file.
        key: What the time holds for: device, runtime, versions, threads, processor.
        clock: Nanoseconds, never going back.

    Raises:
        MeasurementError: The file cannot be read or written.
    """
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:12]
    path = lock_dir / f"reference-{key['device']}-{digest}.json"
    known = _read(path)
    if known is None:
        rounds_ms = list(_rounds_ms(lane, clock))
        content = {"key": dict(key), "latency_ms": min(rounds_ms), "rounds_ms": rounds_ms, "measured_at": time.time()}
        known = _write_once(path, content)
    return known


def calibration_key(device: Device, runtime: Runtime, *, threads: int, host: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a calibration holds for."""
    return {
        "device": device.name,
        "reference": f"{NAME} {hashlib.sha256(reference_model()).hexdigest()[:12]}",
        "runtime": runtime.name,
        "versions": runtime.versions(),
        "threads": threads,
        "processor": host["processor"],
    }


def describe_reference(runtime: Runtime, lane: Lane, *, calibrated: float | None) -> Reference:
    """Return what a report says about the reference."""
    import numpy as np

    measured_ms = float(np.median(lane.blocks)) / 1e6
    return Reference(
        name=NAME,
        runtime=runtime.name,
        measured_ms=measured_ms,
        latency_ms=measured_ms if calibrated is None else calibrated,
        calibrated=calibrated is not None,
    )


def _rounds_ms(lane: Lane, clock: Clock) -> Iterable[float]:
    for _ in range(_ROUNDS):
        alone = lane.anew(lane.block_ns)
        take_turns([alone], budget_ns=_ROUND_NS, min_repeats=3, clock=clock)
        yield sorted(alone.blocks)[len(alone.blocks) // 2] / 1e6


def _read(path: Path) -> float | None:
    try:
        value = float(json.loads(path.read_text(encoding="utf-8"))["latency_ms"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise MeasurementError(
            f"The calibration {path} cannot be read: {type(e).__name__} {e}.",
            hint="Remove it between two jobs: latencies of one job have one calibration.",
        ) from e
    return value


def _write_once(path: Path, content: Mapping[str, Any]) -> float:
    """Write the calibration unless another process was first; return the one that counts."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(temporary).chmod(0o644)
            os.link(temporary, path)
        finally:
            Path(temporary).unlink()
    except FileExistsError:
        pass
    except OSError as e:
        raise MeasurementError(f"The calibration {path} cannot be written: {e.strerror or e}.") from e
    known = _read(path)
    return float(content["latency_ms"]) if known is None else known


# ONNX is protocol buffers: a message is its fields, one after another, each a key and a number or a length and bytes.


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _node(op: str, inputs: list[str], output: str, *, pads: list[int] | None = None) -> bytes:
    content = b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode())
    content += _field(3, output.encode()) + _field(4, op.encode())
    if pads is not None:
        values = b"".join(_number(8, value) for value in pads)
        content += _field(5, _field(1, b"pads") + values + _number(20, _INTS))
    return content


def _tensor(name: str, shape: tuple[int, ...], *, fan_in: int, seed: int) -> bytes:
    count = 1
    for size in shape:
        count *= size
    scale = (6.0 / fan_in) ** 0.5  # He: activations keep their size from layer to layer
    data = (_values(count, seed=seed) * scale).astype("<f4").tobytes()
    dims = b"".join(_number(1, size) for size in shape)
    return dims + _number(2, _FLOAT) + _field(8, name.encode()) + _field(9, data)


def _values(count: int, *, seed: int) -> Array:
    """Return numbers from -1 to 1, the same on every machine: Knuth's multiplicative hash of their places."""
    import numpy as np

    places = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed * 1_000_003)
    hashed = (places * np.uint64(2654435761)) % np.uint64(2**32)
    hashed = ((hashed ^ (hashed >> np.uint64(15))) * np.uint64(2246822519)) % np.uint64(2**32)
    return (hashed.astype(np.float64) / 2**31 - 1.0).astype(np.float32)


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(1, _number(1, size)) for size in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, _FLOAT) + _field(2, dims)))
