"""Results of tuning, kept in a folder: one file for a model's kernels on one target under one version of TVM."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ....files import write_text

_FORMAT = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuningSummary:
    """How far a model was tuned.

    Args:
        kernels: How many kernels it has.
        tuned_kernels: How many of them are tuned ones.
        seconds: How long it took, over all runs that added to it.
        trials: How many variants were timed, over all runs.
        new_trials: How many of these just now; 0: all is from the cache.
    """

    kernels: int
    tuned_kernels: int = 0
    seconds: float = 0.0
    trials: int = 0
    new_trials: int = 0

    @property
    def complete(self) -> bool:
        """Say whether every kernel is a tuned one."""
        return self.tuned_kernels >= self.kernels


@dataclass(frozen=True)
class Tuning:
    """What tuning found for the kernels of a model.

    Args:
        kernels: How many kernels the model has.
        records: Tuned kernels by key, as ``compiling.dump_record`` writes them.
        costs: The seconds that each of these takes, by key.
        seconds: How long it took, over all runs that added to it.
        trials: How many variants were timed, over all runs.
        asked_s: The longest budget that was asked for, in seconds.
        asked_trials: The most trials that were asked for; ``None``: no limit.
        new_trials: How many of the trials were made just now; 0: all is from the cache.
    """

    kernels: int
    records: Mapping[str, str] = field(default_factory=dict, repr=False)
    costs: Mapping[str, float] = field(default_factory=dict, repr=False)
    seconds: float = 0.0
    trials: int = 0
    asked_s: float = 0.0
    asked_trials: int | None = 0
    new_trials: int = 0

    @property
    def complete(self) -> bool:
        """Say whether every kernel is a tuned one."""
        return len(self.records) >= self.kernels

    def summary(self) -> TuningSummary:
        """Return what a report says of it."""
        return TuningSummary(self.kernels, len(self.records), round(self.seconds, 3), self.trials, self.new_trials)

    def covers(self, *, budget_s: float, trials: int | None) -> bool:
        """Say whether tuning for so long could not be expected to find more."""
        enough = self.asked_trials is None or (trials is not None and trials <= self.asked_trials)
        return self.complete and budget_s <= self.asked_s and (enough or budget_s == 0)

    def merged(self, other: Tuning) -> Tuning:
        """Return the faster record of each kernel from both."""
        costs = dict(self.costs)
        records = dict(self.records)
        for key, cost in other.costs.items():
            if cost < costs.get(key, float("inf")):
                costs[key], records[key] = cost, other.records[key]
        unlimited = self.asked_trials is None or other.asked_trials is None
        return Tuning(
            kernels=self.kernels,
            records=records,
            costs=costs,
            seconds=max(self.seconds, other.seconds),
            trials=max(self.trials, other.trials),
            asked_s=max(self.asked_s, other.asked_s),
            asked_trials=None if unlimited else max(self.asked_trials or 0, other.asked_trials or 0),
            new_trials=self.new_trials,
        )


def read_tuning(folder: Path, key: str, *, kernels: int) -> Tuning:
    """Return what is kept under ``key``, or nothing tuned.

    Args:
        folder: The cache.
        key: ``Lowered.key()``.
        kernels: How many kernels the model has.
    """
    path = _path(folder, key)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            return Tuning(kernels)
        costs = {str(name): float(cost) for name, cost in found["costs"].items()}
        return Tuning(
            kernels=kernels,
            records={name: str(found["records"][name]) for name in costs},
            costs=costs,
            seconds=float(found["seconds"]),
            trials=int(found["trials"]),
            asked_s=float(found["asked_s"]),
            asked_trials=None if found["asked_trials"] is None else int(found["asked_trials"]),
        )
    except FileNotFoundError:
        return Tuning(kernels)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
        _log.warning("The tuning cache %s cannot be read and is ignored: %s", path, e)
        return Tuning(kernels)


def write_tuning(folder: Path, key: str, tuning: Tuning) -> None:
    """Keep a result under ``key``, whole or not at all; what another process has found meanwhile is kept too.

    Raises:
        OSError: The folder cannot be written to.
    """
    merged = tuning.merged(read_tuning(folder, key, kernels=tuning.kernels))
    described = {
        "format": _FORMAT,
        "seconds": round(merged.seconds, 3),
        "trials": merged.trials,
        "asked_s": merged.asked_s,
        "asked_trials": merged.asked_trials,
        "costs": dict(merged.costs),
        "records": dict(merged.records),
    }
    write_text(_path(folder, key), json.dumps(described, indent=1))


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.json"
