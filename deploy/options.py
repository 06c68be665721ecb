"""How thorough a measurement is. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SpecError
from .runtimes import RuntimeOptions


@dataclass(frozen=True)
class MeasureOptions:
    """How thorough a measurement is.

    Args:
        budget_s: Time for latency and throughput together, in seconds; above 0. A model that is slower than the budget
            allows still gets ``min_repeats`` predictions.
        warmup_s: Time for predictions that are not counted, at least 3 of them.
        min_repeats: Predictions at batch 1 below which no figure is given.
        precision: Latency is known well enough when the confidence interval of the median and the change of the median
            from one quarter of the samples to another are within this part of it.
        batch: The most rows in one prediction of the throughput; as many as a millisecond or so has time for are taken.
        runtime: Threads, cores and the runtime's own settings.
        lock_timeout_s: How long to wait for another process that measures on this device.
        reference: Whether the model takes turns with the reference, so that the machine's drift cancels.
        pin: Whether to look for a free core and stay on it; with one thread only, and unless ``runtime.cpus`` says where.
    """

    budget_s: float = 0.4
    warmup_s: float = 0.03
    min_repeats: int = 20
    precision: float = 0.02
    batch: int = 256
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    lock_timeout_s: float = 60.0
    reference: bool = True
    pin: bool = True

    def __post_init__(self) -> None:
        for name in ("budget_s", "warmup_s", "min_repeats", "precision", "batch", "lock_timeout_s"):
            if not getattr(self, name) > 0:
                raise SpecError(f"{name} = {getattr(self, name)}: expected more than 0.")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> MeasureOptions:
        """Read what ``dataclasses.asdict`` made, also after a way through JSON.

        Raises:
            SpecError: A value is out of range, or there is no option of that name.
        """
        try:
            return cls(**{**content, "runtime": read_runtime_options(content.get("runtime", {}))})
        except TypeError as e:
            raise SpecError(f"The options of a measurement are not what is expected: {e}.") from e


def read_runtime_options(content: Mapping[str, Any]) -> RuntimeOptions:
    """Read the options of a runtime from JSON values.

    Args:
        content: What ``dataclasses.asdict`` made of them.

    Raises:
        SpecError: A value is out of range, or there is no option of that name.
    """
    values = dict(content)
    if values.get("cpus") is not None:
        values["cpus"] = tuple(values["cpus"])
    try:
        return RuntimeOptions(**values)
    except TypeError as e:
        raise SpecError(f"The options of a runtime are not what is expected: {e}.") from e
