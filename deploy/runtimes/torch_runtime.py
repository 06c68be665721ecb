"""torch as a runtime, eager and compiled: the references that the edge runtimes are compared with.

Both run the same ONNX file as all runtimes, imported by ``torch_import``, or a program of ``torch.export`` (``.pt2``).
Neither is meant for a device: an installation of torch takes ten times the space of ONNX Runtime.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MissingDependencyError, OmniForgeError, SpecError
from .base import Runtime, RuntimeOptions, Session, TensorSpec, failed_batch, named, only_on, other_shape, unusable

try:
    import onnx
    import torch

    from .torch_import import import_onnx, parse
except ModuleNotFoundError as e:
    raise MissingDependencyError(
        f"The runtime 'torch' needs {e.name}, which is not installed.", hint="pip install 'omniforge[automl]'"
    ) from e

if TYPE_CHECKING:
    import numpy as np

    from ..devices import Device

Module = Callable[[torch.Tensor], torch.Tensor]

_FAILURES = (RuntimeError, TypeError, ValueError, IndexError, KeyError, OSError)
_ARCHIVE = b"PK\x03\x04"  # how a .pt2 file begins: it is a zip archive


class TorchSession(Session):
    """A model as a torch module: one input ``[batch, ...]``, one output ``[batch, k]``."""

    def __init__(self, module: Module, spec: TensorSpec, *, threads: int) -> None:
        self.input = spec
        self._module = module
        self._threads = threads

    def run(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:  # noqa: D102  # the contract says it
        try:
            if self.input.misfit(batch) is not None:
                raise ValueError("it does not fit")
            with torch.inference_mode(), _threads(self._threads):
                result = self._module(torch.from_numpy(batch if batch.flags.writeable else batch.copy()))
                array: np.ndarray[Any, Any] = result.to(torch.float32).numpy()
        except OmniForgeError:
            raise
        except _FAILURES as e:
            raise failed_batch("torch", self.input, batch, cause=_first_line(e)) from e
        return array

    def close(self) -> None:
        """Drop the model."""
        self._module = _closed


class TorchRuntime(Runtime):
    """torch, each operator as it comes (eager)."""

    name = "torch"

    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> TorchSession:
        """Load an ONNX file, its content, or a ``.pt2`` of ``torch.export``; there are no ``options.extra``."""
        only_on(self.name, device)
        if options.extra:
            raise SpecError(f"extra = {dict(options.extra)}: the runtime 'torch' has no settings of its own.")
        module, spec = load_module(model)
        return TorchSession(module.forward, spec, threads=options.threads)  # a GraphModule prints what it raises

    def versions(self) -> dict[str, str]:
        """Return torch's version."""
        return {"torch": torch.__version__}


class CompiledRuntime(Runtime):
    """torch with ``torch.compile`` (TorchInductor), which writes C++ for the model and has it compiled."""

    name = "torch-compile"

    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> TorchSession:
        """Load a model and compile it for one row, and for each number of rows in ``options.extra["batches"]``.

        A batch of another size is compiled for on its first prediction, once for all sizes; that takes seconds.

        Raises:
            MissingDependencyError: There is no C++ compiler.
        """
        only_on(self.name, device)
        compiler = _find_compiler()
        batches = _batches(options)
        module, spec = load_module(model)
        session = TorchSession(_compile(module), spec, threads=options.threads)
        if None not in spec.shape:
            try:
                for batch in (spec.batch,) if spec.batch is not None else batches:
                    session.run(_zeros(spec, batch))
            except OmniForgeError as e:
                raise unusable(f"{named(model)} cannot be compiled by torch with {compiler}: {e.message}") from e
        return session

    def versions(self) -> dict[str, str]:
        """Return the versions of torch and of the C++ compiler."""
        compiler = _find_compiler()
        said = subprocess.run(
            [compiler, "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, check=False
        )
        return {"torch": torch.__version__, Path(compiler).name: said.stdout.strip() or "0 (unknown)"}


def load_module(model: Path | str | bytes) -> tuple[torch.nn.Module, TensorSpec]:
    """Load an ONNX model or a program of ``torch.export`` as a torch module.

    A ``.pt2`` file is loaded by torch's own loader: take it from people you trust only.

    Args:
        model: The file, or its content.

    Raises:
        MeasurementError: It is missing or broken, or has an operator that is not known; the message names it.
    """
    try:
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        if content.startswith(_ARCHIVE):
            return _from_program(content, model)
        proto = parse(content)
        if not isinstance(model, bytes):
            onnx.load_external_data_for_model(proto, str(Path(model).parent))
        return import_onnx(proto)
    except OmniForgeError as e:
        raise unusable(f"{named(model)} cannot be loaded by torch: {e.message}", hint=e.hint) from e
    except (*_FAILURES, onnx.checker.ValidationError) as e:
        raise unusable(f"{named(model)} cannot be loaded by torch: {_first_line(e)}") from e


def _from_program(content: bytes, model: Path | str | bytes) -> tuple[torch.nn.Module, TensorSpec]:
    """Load a program of ``torch.export``."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError("it is cut off")
    program = torch.export.load(io.BytesIO(content))
    inputs, outputs = program.graph_signature.user_inputs, program.graph_signature.user_outputs
    read = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs]
    value = read[0] if len(read) == 1 else None
    if len(outputs) != 1 or not isinstance(value, torch.Tensor) or value.dim() < 2:
        raise other_shape(model, f"{len(inputs)} inputs, {len(outputs)} outputs")
    first, *rest = (size if isinstance(size, int) else None for size in value.shape)
    spec = TensorSpec(tuple(rest), str(value.dtype).removeprefix("torch."), first)
    return program.module(), spec


def _compile(module: torch.nn.Module) -> Module:
    """Return a module that is compiled on its first use, in this process: no workers stay behind to disturb."""
    from torch._inductor import config

    compiled: Module = torch.compile(module)

    def run(batch: torch.Tensor) -> torch.Tensor:
        try:
            return compiled(batch)
        except torch._dynamo.exc.TorchDynamoException as e:
            raise unusable(f"torch.compile fails: {_first_line(e)}") from e

    config.compile_threads = 1
    return run


def _batches(options: RuntimeOptions) -> tuple[int, ...]:
    """Return the numbers of rows to compile for.

    Raises:
        SpecError: ``options.extra`` has something else than ``batches``, or these are no positive numbers.
    """
    unknown = sorted(set(options.extra) - {"batches"})
    if unknown:
        raise SpecError(f"extra: the runtime 'torch-compile' has no setting {unknown[0]!r}.", hint="It has 'batches'.")
    batches = tuple(options.extra.get("batches", (1,)))
    if not batches or not all(isinstance(rows, int) and rows > 0 for rows in batches):
        raise SpecError(f"batches = {batches}: expected numbers of rows, each at least 1.")
    return batches


def _zeros(spec: TensorSpec, rows: int) -> np.ndarray[Any, Any]:
    return torch.zeros((rows, *(size or 1 for size in spec.shape)), dtype=getattr(torch, spec.dtype)).numpy()


def _find_compiler() -> str:
    """Return the C++ compiler that torch.compile will call.

    Raises:
        MissingDependencyError: There is none.
    """
    wanted = os.environ.get("CXX", "g++")
    found = shutil.which(wanted)
    if found is None:
        raise MissingDependencyError(
            f"The runtime 'torch-compile' needs a C++ compiler, and {wanted!r} is not installed.",
            hint="apt-get install g++, or name another one in the environment variable CXX.",
        )
    return found


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute on so many threads for a while; torch has one number for the whole process."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _closed(_: torch.Tensor) -> torch.Tensor:
    raise unusable("The session is closed.")
