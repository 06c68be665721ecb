"""The settings of the runtime ``tvm`` in ``RuntimeOptions.extra``, read and checked. It does not import Apache TVM."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ....errors import SpecError


@dataclass(frozen=True)
class TvmOptions:
    """How a model is compiled and tuned.

    Args:
        tuning_s: How long a model may be tuned, in seconds; 0: not at all.
        tuning_trials: How many variants of its kernels may be timed at most; ``None``: as many as the seconds allow.
        tuning_threads: Threads that look for variants, never while one is timed; ``None``: every core of this process.
        cache: A folder with the results of earlier tuning, made if it is missing; ``None``: nothing is kept.
        seed: Of the search for variants. What is chosen also depends on the times, which never repeat exactly.
        batch: Rows in one call of the compiled program, at least 1. Other batches are run in parts of this size.
        target: What to compile for: a name of ``compiling.TARGETS``, or a mapping of TVM's own.
        allow_remote_rpc: Whether ``tvm-rpc://`` may lead to another machine.
    """

    tuning_s: float = 0.0
    tuning_trials: int | None = None
    tuning_threads: int | None = None
    cache: Path | None = None
    seed: int = 0
    batch: int = 1
    target: str | Mapping[str, Any] = "host"
    allow_remote_rpc: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.tuning_s < float("inf"):
            raise SpecError(f"tuning_s = {self.tuning_s}: expected seconds, at least 0.")
        for name in ("tuning_trials", "tuning_threads", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SpecError(f"{name} = {value}: expected at least 1.")
        if self.seed < 0:
            raise SpecError(f"seed = {self.seed}: expected at least 0.")

    @classmethod
    def read(cls, extra: Mapping[str, Any]) -> TvmOptions:
        """Read settings by name.

        Args:
            extra: Values by the names of this class's arguments; text is converted.

        Raises:
            SpecError: A name is unknown, or a value is of the wrong kind or out of range.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(extra) - set(known))
        if unknown:
            raise SpecError(f"The runtime 'tvm' has no setting {unknown[0]!r}.", hint=f"Known: {', '.join(known)}.")
        return cls(**{name: _convert(name, value) for name, value in extra.items() if value is not None})

    def search_threads(self) -> int:
        """Return how many threads look for variants."""
        return self.tuning_threads or len(os.sched_getaffinity(0))


def _convert(name: str, value: Any) -> Any:
    """Return a setting's value in its type."""
    try:
        if name in ("tuning_trials", "tuning_threads", "seed", "batch"):
            if int(value) != float(value):
                raise ValueError(value)
            return int(value)
        if name == "tuning_s":
            return float(value)
        if name == "cache":
            return Path(value)
    except (TypeError, ValueError) as e:
        kind = {"tuning_s": "a number", "cache": "a folder"}.get(name, "a whole number")
        raise SpecError(f"{name} = {value!r}: expected {kind}.") from e
    if name == "allow_remote_rpc" and not isinstance(value, bool):
        raise SpecError(f"allow_remote_rpc = {value!r}: expected true or false.")
    if name == "target" and not isinstance(value, str | Mapping):
        raise SpecError(f"target = {value!r}: expected a name or a mapping.")
    return value
