"""Meters of energy that a machine has: RAPL, NVML, sensors on the board, or what the user names.

A meter counts joules. Where nothing can be read there is no figure, and :func:`find_meter` says why: an estimate from a
power rating would only be the latency times a constant. What a meter counts is the whole package, card or board, other
processes and idle power included: nothing is subtracted.
"""

from __future__ import annotations

import ctypes
import math
import os
import shlex
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import MeasurementError, SpecError

VARIABLE = "OMNIFORGE_ENERGY_METER"
_NVML = "libnvidia-ml.so.1"
_SAMPLE_S = 0.005
_COMMAND_S = 5.0
_BLOCK_S = 0.3
_LEAST_PREDICTIONS = 5


class EnergyMeter(ABC):
    """Counts joules from :meth:`start` on.

    Attributes:
        source: What is read and what it counts, for reports.
    """

    source: str

    @abstractmethod
    def start(self) -> None:
        """Begin to count."""

    @abstractmethod
    def stop_j(self) -> float:
        """Return the joules since :meth:`start`, and end.

        Raises:
            MeasurementError: The meter cannot be read any more.
        """


def find_meter(
    kind: str = "cpu", *, root: Path = Path("/"), environ: Mapping[str, str] = os.environ
) -> EnergyMeter | str:
    """Return the meter for a kind of device, or a sentence why there is none.

    The user's own (``OMNIFORGE_ENERGY_METER``) comes first. For a processor: RAPL, then the board's counters of energy,
    then its sensors of power. For a GPU: NVML.

    Args:
        kind: ``"cpu"`` or ``"gpu"``.
        root: What the paths of the system start from.
        environ: Where the user's own meter is named.

    Raises:
        SpecError: The user's own meter cannot be read.
    """
    if environ.get(VARIABLE):
        return _own_meter(environ[VARIABLE])
    if kind == "gpu":
        return nvml_meter()
    reasons: list[str] = []
    for find in (_rapl, _hwmon_energy, _hwmon_power):
        found = find(root)
        if isinstance(found, EnergyMeter):
            return found
        reasons.append(found)
    return f"none: {'; '.join(reasons)}"


class CounterMeter(EnergyMeter):
    """Files that count up, such as RAPL's ``energy_uj``; each may start again from 0 once while it is read.

    Args:
        counters: The range of each file's count by its path; 0 where it has none.
        unit_j: What one count is, in joules.
        source: What it is.
    """

    def __init__(self, counters: Mapping[Path, int], *, unit_j: float, source: str) -> None:
        self._counters = dict(counters)
        self._unit_j = unit_j
        self.source = source
        self._before: dict[Path, float] = {}

    def start(self) -> None:
        """Read all counters."""
        self._before = {path: _read_number(path) for path in self._counters}

    def stop_j(self) -> float:
        """Return what they counted since, together."""
        total = 0.0
        for path, size in self._counters.items():
            counted = _read_number(path) - self._before[path]
            if counted < 0 and size <= 0:
                raise MeasurementError(f"The energy counter {path} went back: it was set to 0 by another program.")
            total += counted + size if counted < 0 else counted
        return total * self._unit_j


class PowerMeter(EnergyMeter):
    """A sensor that shows the present power, read again and again by a thread and summed up over time.

    Args:
        read_w: Returns the present power in watts.
        source: What it is.
        sample_s: Time between two readings, in seconds.
    """

    def __init__(self, read_w: Callable[[], float], *, source: str, sample_s: float = _SAMPLE_S) -> None:
        self._read_w = read_w
        self._sample_s = sample_s
        self.source = source

    def start(self) -> None:
        """Start to read."""
        self._stop = threading.Event()
        self._joules = 0.0
        self._failure: MeasurementError | None = None
        self._thread = threading.Thread(target=self._sum_up, daemon=True)
        self._at, self._power = time.monotonic(), self._read_w()
        self._thread.start()

    def stop_j(self) -> float:
        """Return the sum of power over time (trapezoids)."""
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self._read_once()
        return self._joules

    def _sum_up(self) -> None:
        try:
            while not self._stop.wait(self._sample_s):
                self._read_once()
        except MeasurementError as e:
            self._failure = e

    def _read_once(self) -> None:
        power, now = self._read_w(), time.monotonic()
        self._joules += (power + self._power) / 2 * (now - self._at)
        self._at, self._power = now, power


class FunctionMeter(EnergyMeter):
    """Anything that says how many joules there have been so far.

    Args:
        read_j: Returns the joules so far.
        source: What it is.
    """

    def __init__(self, read_j: Callable[[], float], *, source: str) -> None:
        self._read_j = read_j
        self.source = source

    def start(self) -> None:
        """Read it."""
        self._before = self._read_j()

    def stop_j(self) -> float:
        """Return how much more it says."""
        joules = self._read_j() - self._before
        if joules < 0:
            raise MeasurementError(f"The energy meter went back by {-joules:g} J: {self.source}.")
        return joules


@dataclass(frozen=True)
class EnergyFigure:
    """The energy of one prediction.

    Args:
        mj: In millijoules; ``None`` where nothing measures it.
        source: What measured it and what that counts, or why there is none.
        predictions: How many predictions it comes from.
        seconds: How long they took.
    """

    mj: float | None
    source: str
    predictions: int = 0
    seconds: float = 0.0


def energy_of(
    run: Callable[[Any], Any], batches: Sequence[Any], meter: EnergyMeter | str, *, block_s: float = _BLOCK_S
) -> EnergyFigure:
    """Return the energy of one prediction: what the meter counts over a block of predictions, divided by their number.

    Args:
        run: Predicts one batch.
        batches: What it predicts, in turn.
        meter: What :func:`find_meter` returned.
        block_s: How long to predict at least, in seconds: many times what the meter needs for an update.
    """
    if isinstance(meter, str):
        return EnergyFigure(None, meter)
    count, began = 0, time.perf_counter()
    try:
        meter.start()
        while count < _LEAST_PREDICTIONS or time.perf_counter() - began < block_s:
            run(batches[count % len(batches)])
            count += 1
        joules = meter.stop_j()
    except MeasurementError as e:
        return EnergyFigure(None, f"none: {e.message}")
    seconds = time.perf_counter() - began
    if not math.isfinite(joules):
        return EnergyFigure(None, f"none: the meter's count is not a finite number ({meter.source})", count, seconds)
    if joules <= 0:
        return EnergyFigure(None, f"none: the meter did not move in {seconds:.2g} s ({meter.source})", count, seconds)
    return EnergyFigure(1e3 * joules / count, meter.source, count, seconds)


def _own_meter(named: str) -> EnergyMeter:
    """Return the meter that the user names: a file with the joules so far, or a command that prints them.

    Raises:
        SpecError: It cannot be read.
    """
    path = Path(named)
    is_file = path.is_file() and not os.access(path, os.X_OK)

    def read_j() -> float:
        return _read_number(path) if is_file else _ask_command(named)

    try:
        read_j()
    except MeasurementError as e:
        hint = f"{VARIABLE} names a file with the joules counted so far, or a command that prints them."
        raise SpecError(f"{VARIABLE} = {named!r}: {e.message}", hint=hint) from e
    return FunctionMeter(read_j, source=f"{VARIABLE}={named}: joules as that meter counts them")


def _ask_command(command: str) -> float:
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=_COMMAND_S, check=True)
        return _finite(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as e:
        raise MeasurementError(f"The energy meter {command!r} gives no number: {e}.") from e


def _rapl(root: Path) -> EnergyMeter | str:
    """Return Intel's and AMD's running average power limit counters of the packages, or why there are none."""
    counters: dict[Path, int] = {}
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        if zone.name.count(":") != 1 or not _text(zone / "name").startswith("package"):
            continue  # a part of a package, which the package counts already
        try:
            _read_number(zone / "energy_uj")
            counters[zone / "energy_uj"] = int(_read_number(zone / "max_energy_range_uj"))
        except MeasurementError:
            return f"RAPL is there but {zone / 'energy_uj'} cannot be read (it needs root)"
    if not counters:
        return "no RAPL"
    return CounterMeter(
        counters, unit_j=1e-6, source=f"RAPL: {len(counters)} processor package(s), idle power included"
    )


def _hwmon_energy(root: Path) -> EnergyMeter | str:
    """Return the board's counters of energy (``energy*_input``, microjoules) of one chip, or why there are none."""
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        found = {path: 0 for path in sorted(chip.glob("energy*_input")) if _is_readable(path)}
        if found:
            first = {next(iter(found)): 0}  # further ones count parts or other rails of the same
            label = _text(next(iter(first)).with_name(next(iter(first)).name.replace("_input", "_label")))
            source = f"hwmon {_text(chip / 'name')} {label}".strip()
            return CounterMeter(first, unit_j=1e-6, source=f"{source}: energy counter, idle power included")
    return "no energy counter in hwmon"


def _hwmon_power(root: Path) -> EnergyMeter | str:
    """Return an INA power sensor of the board (``power1_input``, or volts times amperes), or why there is none."""
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        name = _text(chip / "name")
        if not name.startswith("ina"):
            continue
        source = f"hwmon {name} {_text(chip / 'in1_label')}".strip() + ": power sensor summed up, idle power included"
        for factors in ([chip / "power1_input"], [chip / "in1_input", chip / "curr1_input"]):
            if all(map(_is_readable, factors)):  # microwatts, or millivolts times milliamperes
                return PowerMeter(partial(_product_w, factors), source=source)
    return "no power sensor in hwmon"


def _product_w(factors: Sequence[Path]) -> float:
    return math.prod(_read_number(path) for path in factors) * 1e-6


def nvml_meter(library: str = _NVML, *, index: int = 0) -> EnergyMeter | str:
    """Return the counter of an NVIDIA GPU (Volta and later), or a sentence why there is none.

    Args:
        library: NVML's shared library, a part of the driver.
        index: Which GPU.
    """
    try:
        nvml = ctypes.CDLL(library)
        start, find = nvml.nvmlInit_v2, nvml.nvmlDeviceGetHandleByIndex_v2
        count = nvml.nvmlDeviceGetTotalEnergyConsumption
    except (OSError, AttributeError):
        return f"none: no NVML ({library})"
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    if start() != 0 or find(ctypes.c_uint(index), ctypes.byref(handle)) != 0:
        return f"none: NVML has no GPU {index}"

    def read_j() -> float:
        if count(handle, ctypes.byref(millijoules)) != 0:
            raise MeasurementError(f"NVML does not count the energy of GPU {index}.")
        return millijoules.value * 1e-3

    try:
        read_j()
    except MeasurementError as e:
        return f"none: {e.message}"
    return FunctionMeter(read_j, source=f"NVML: GPU {index}, its board and idle power included")


def _read_number(path: Path) -> float:
    try:
        return _finite(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as e:
        raise MeasurementError(f"The energy meter {path} gives no number: {e}.") from e


def _finite(text: str) -> float:
    """Return the number that a meter shows.

    Raises:
        ValueError: It is none, or NaN or infinite.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text.strip()!r} is not a finite number")
    return number


def _is_readable(path: Path) -> bool:
    try:
        _read_number(path)
    except MeasurementError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
