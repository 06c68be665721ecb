"""Compile a model for a processor, with or without tuned kernels. It decides nothing about tuning and runs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tvm_ffi
from tvm.s_tir import meta_schedule

from ....errors import UnknownNameError
from ..base import unusable
from .frontend import FAILURES, OnnxModel, first_line, output_type, relax, to_relax, tvm

TARGETS: dict[str, dict[str, Any]] = {
    "host": {"kind": "llvm"},
    "aarch64": {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"},
}
"""What a model can be compiled for, by name, in TVM's words; ``host`` gets the name of this machine's processor."""


@dataclass(frozen=True)
class Kernel:
    """One kernel of a model that can be tuned.

    Args:
        key: A hash of what it computes and of its sizes; the weights do not matter.
        name: TVM's name of it.
        weight: How often the model calls it.
        module: What it computes, in TVM's loops.
    """

    key: str
    name: str
    weight: int
    module: Any = field(repr=False)


@dataclass(frozen=True)
class Lowered:
    """A model as loops, for one target: what is tuned and compiled.

    Args:
        model: Where it came from.
        rows: The rows of its batch.
        columns: The width ``k`` of its output.
        dtype: Numpy's name of the output's type.
        target: TVM's target.
        threads: Threads in one prediction.
        module: TVM's module.
        kernels: What can be tuned in it.
    """

    model: OnnxModel
    rows: int
    columns: int
    dtype: str
    target: Any
    threads: int
    module: Any = field(repr=False)
    kernels: tuple[Kernel, ...] = field(repr=False)

    def key(self) -> str:
        """Return the hash under which results of tuning are kept: kernels, target and TVM's version."""
        kernels = sorted([kernel.key, kernel.weight] for kernel in self.kernels)
        described = json.dumps([kernels, str(self.target), tvm.__version__])
        return hashlib.sha256(described.encode()).hexdigest()[:32]


def find_target(name: str | Mapping[str, Any], *, threads: int = 1) -> Any:
    """Return TVM's target.

    Args:
        name: A name of ``TARGETS``, or a mapping of TVM's own.
        threads: The cores that a kernel may use.

    Raises:
        UnknownNameError: There is no such name.
        MeasurementError: TVM does not understand the mapping; not retryable.
    """
    if isinstance(name, str):
        if name not in TARGETS:
            raise UnknownNameError("target", name, TARGETS)
        described = dict(TARGETS[name])
        if name == "host":
            # "native" would fall back to a generic processor of the last century
            described["mcpu"] = tvm.get_global_func("target.llvm_get_system_cpu")()
    else:
        described = dict(name)
    try:
        return tvm.target.Target({"num-cores": threads} | described)
    except FAILURES as e:
        raise unusable(f"target = {described}: TVM does not understand it: {first_line(e)}") from e


def lower(model: OnnxModel, *, rows: int, target: Any) -> Lowered:
    """Turn a model into loops: operators are fused, constants folded, weights marked as free to be laid out anew.

    Args:
        model: The model.
        rows: The batch, at least 1; a model with a fixed batch keeps its own.
        target: From :func:`find_target`.

    Raises:
        MeasurementError: TVM cannot import or lower the model. Not retryable.
    """
    rows = model.input.batch or rows
    threads = int(target.attrs.get("num-cores", 1))
    module = to_relax(model, rows=rows)
    (got, columns), dtype = output_type(module, model=model)
    if got != rows:
        raise unusable(f"{model.name} computes {got} rows for a batch of {rows}; expected as many as it is given.")
    passes = [
        relax.transform.DecomposeOpsForInference(),
        relax.transform.CanonicalizeBindings(),
        relax.get_pipeline("zero"),
        relax.transform.DeadCodeElimination(),
        relax.transform.AttachAttrLayoutFreeBuffers(),
    ]
    try:
        with target:
            module = tvm.transform.Sequential(passes)(module)
        found = meta_schedule.relax_integration.extract_tasks(module, target)
    except FAILURES as e:
        raise unusable(f"{model.name} cannot be lowered by TVM: {first_line(e)}") from e
    kernels = tuple(
        Kernel(str(meta_schedule.utils.shash2hex(task.dispatched[0])), task.task_name, int(task.weight),
               task.dispatched[0])
        for task in found
    )  # fmt: skip
    return Lowered(model, rows, columns, dtype, target, threads, module, kernels)


def compile_lowered(lowered: Lowered, records: Mapping[str, str]) -> Any:
    """Compile a lowered model.

    Args:
        lowered: The model.
        records: Tuned kernels by their key, as :func:`dump_record` writes them; a kernel without one is compiled as it
            is, which is slow.

    Returns:
        TVM's executable.

    Raises:
        MeasurementError: TVM cannot compile it. Not retryable.
    """
    try:
        module = _apply(lowered, records) if records else lowered.module
        return tvm.compile(serial(module) if lowered.threads == 1 else module, lowered.target)
    except FAILURES as e:
        raise unusable(f"{lowered.model.name} cannot be compiled by TVM: {first_line(e)}") from e


def dump_record(record: Any) -> str:
    """Return TVM's record of a tuned kernel as JSON."""
    return json.dumps(_plain(tvm.get_global_func("s_tir.meta_schedule.TuningRecordAsJSON")(record)))


def load_record(text: str, workload: Any) -> Any:
    """Return TVM's record of a tuned kernel.

    Args:
        text: What :func:`dump_record` wrote.
        workload: The kernel, in the database that the record goes to.
    """
    return meta_schedule.database.TuningRecord.from_json(json.loads(text), workload)


def _plain(value: Any) -> Any:
    """Return what TVM's containers hold; a layout as TVM's text of it, on which the record's own method fails."""
    if isinstance(value, tvm.tirx.IndexMap):
        return str(tvm.ir.save_json(value))
    if isinstance(value, tvm.tirx.IntImm | tvm.tirx.FloatImm):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def build_kernel(module: Any, target: Any, *, threads: int) -> Any:
    """Compile one variant of a kernel, to be timed.

    Args:
        module: The kernel with its loops arranged.
        target: From :func:`find_target`.
        threads: Threads that it may use.

    Returns:
        TVM's module, ready to be exported.
    """
    module = tvm.s_tir.transform.RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(module)
    return tvm.compile(serial(module) if threads == 1 else module, target)


def serial(module: Any) -> Any:
    """Return a module whose parallel loops run one after the other.

    Tuned kernels are parallel even for one core; TVM's pool of threads would run them on every core of the machine.
    """
    module = module.clone()
    for name, function in list(module.functions.items()):
        if isinstance(function, tvm.tirx.PrimFunc):
            body = tvm_ffi.structural_map(function.body, (tvm.tirx.For, _serial_loop))
            module.update_func(name, function.with_body(body))
    return module


def _serial_loop(loop: Any) -> Any:
    if loop.kind != tvm.tirx.ForKind.PARALLEL:
        return loop
    kind = tvm.tirx.ForKind.SERIAL
    return tvm.tirx.For(loop.loop_var, loop.min, loop.extent, kind, loop.body, None, loop.annotations, loop.step)


def _apply(lowered: Lowered, records: Mapping[str, str]) -> Any:
    """Put the tuned kernels into the module, and bring the weights into the layout that these want."""
    database = meta_schedule.database.MemoryDatabase()
    for kernel in lowered.kernels:
        if kernel.key in records:
            workload = database.commit_workload(kernel.module)
            database.commit_tuning_record(load_record(records[kernel.key], workload))
    with lowered.target, database:
        passes = [
            relax.transform.MetaScheduleApplyDatabase(),
            relax.transform.SplitLayoutRewritePreproc(),
            relax.transform.FoldConstant(),
            relax.transform.DeadCodeElimination(),
        ]
        return tvm.transform.Sequential(passes)(lowered.module)
