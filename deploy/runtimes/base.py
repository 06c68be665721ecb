"""The contract of a runtime: prepare a model once, then run batches. It knows nothing of measuring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import MeasurementError, SpecError

if TYPE_CHECKING:
    import numpy as np

    from ..devices import Device


@dataclass(frozen=True)
class RuntimeOptions:
    """How a runtime runs a model.

    Args:
        threads: Threads in one prediction, at least 1. One is the default because its times repeat; more do not.
        cpus: The cores to stay on; ``None``: wherever the system puts it.
        extra: Settings of one runtime, by the runtime's own names.
    """

    threads: int = 1
    cpus: tuple[int, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise SpecError(f"threads = {self.threads}: expected at least 1.")
        if self.cpus is not None and not self.cpus:
            raise SpecError("cpus = (): expected at least one core, or None for any.")


@dataclass(frozen=True)
class TensorSpec:
    """What a model reads.

    Args:
        shape: The shape of one row, without the batch: ``(d,)`` for a table, ``(c, h, w)`` for an image; ``None`` where any
            size fits.
        dtype: Numpy's name of the type of the values: ``"float32"``, ``"int64"``.
        batch: The only number of rows that the model takes; ``None``: any.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    batch: int | None = None

    def misfit(self, batch: np.ndarray[Any, Any]) -> str | None:
        """Say why a batch does not fit, as ``"[2, 4], expected [batch, 3]"``; ``None`` if it does."""
        sizes = (self.batch, *self.shape)
        fits = len(batch.shape) == len(sizes) and all(
            want is None or have == want for have, want in zip(batch.shape, sizes, strict=True)
        )
        if fits and str(batch.dtype) == self.dtype:
            return None
        asked = ", ".join("any" if size is None else str(size) for size in self.shape)
        first = "batch" if self.batch is None else str(self.batch)
        return f"{batch.dtype} {list(batch.shape)}, expected {self.dtype} [{first}{', ' if asked else ''}{asked}]"


class Session(ABC):
    """A model, loaded and ready. A context manager: leaving it frees the model.

    Attributes:
        input: What a row is.
    """

    input: TensorSpec

    @abstractmethod
    def run(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Predict a batch.

        Args:
            batch: C-contiguous ``n x input.shape`` of the type ``input.dtype``, ``n`` at least 1.

        Returns:
            Float32 ``n x k``: probabilities of the ``k`` classes, or the prediction (``k`` = 1).

        Raises:
            MeasurementError: The batch does not fit the model, or the runtime fails.
        """

    def close(self) -> None:  # noqa: B027  # most runtimes free a model when nothing refers to it
        """Free the model; nothing may be run afterwards."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Runtime(ABC):
    """Loads models for a device."""

    name: ClassVar[str]

    @abstractmethod
    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> Session:
        """Load a model.

        Args:
            model: The ONNX file, or its content.
            device: Where it runs.
            options: How it runs.

        Raises:
            MeasurementError: The file is missing or broken, its operators are not known to the runtime, or the runtime
                does not serve this kind of device. Such an error is not retryable.
            MissingDependencyError: The runtime is not installed; the hint is the command that installs it.
        """

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the version of the runtime and of what its speed depends on, by package."""


def unusable(message: str, *, hint: str | None = None) -> MeasurementError:
    """Return the error of a model that no retry can measure."""
    error = MeasurementError(message, hint=hint)
    error.retryable = False
    return error


def named(model: Path | str | bytes) -> str:
    """Return how an error begins that is about a model: with its file's name, if it has one."""
    return "The model" if isinstance(model, bytes) else f"The model {model}"


def only_on(runtime: str, device: Device, *, kinds: tuple[str, ...] = ("cpu",)) -> None:
    """Refuse a device that a runtime does not serve.

    Raises:
        MeasurementError: The device is of none of these kinds.
    """
    if device.kind not in kinds:
        served = " or ".join(repr(kind) for kind in kinds)
        raise unusable(f"The runtime {runtime!r} serves devices of kind {served}, not {device.kind!r}.")


def other_shape(model: Path | str | bytes, found: str) -> MeasurementError:
    """Return the error of a model whose inputs and outputs, as ``found`` tells, are not what the contract says."""
    return unusable(
        f"{named(model)} has other inputs and outputs than one tensor [batch, ...] and one output [batch, k]: {found}.",
        hint="Export it with omniforge.deploy.export_onnx.",
    )


def failed_batch(runtime: str, spec: TensorSpec, batch: np.ndarray[Any, Any], *, cause: str) -> MeasurementError:
    """Return the error of a batch that failed: that it does not fit, if so, else the runtime's own words."""
    misfit = spec.misfit(batch)
    if misfit is not None:
        return unusable(f"The batch does not fit the model: {misfit}.")
    return unusable(f"{runtime} cannot run a batch of shape {list(batch.shape)}: {cause}")
