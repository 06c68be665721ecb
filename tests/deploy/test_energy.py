from __future__ import annotations

import stat
import threading
import time
from pathlib import Path

import pytest

from omniforge.deploy.energy import (
    VARIABLE,
    CounterMeter,
    EnergyMeter,
    FunctionMeter,
    PowerMeter,
    energy_of,
    find_meter,
    nvml_meter,
)
from omniforge.errors import MeasurementError, SpecError


def write(path: Path, text: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")
    return path


def rapl(root: Path, *, packages: int = 1) -> list[Path]:
    """Write a tree as the kernel's powercap has it: packages, and the cores as a part of each."""
    counters = []
    for package in range(packages):
        zone = root / f"sys/class/powercap/intel-rapl:{package}"
        write(zone / "name", f"package-{package}")
        write(zone / "max_energy_range_uj", 1_000_000)
        counters.append(write(zone / "energy_uj", 900_000))
        part = root / f"sys/class/powercap/intel-rapl:{package}:0"
        write(part / "name", "core")
        write(part / "energy_uj", 5)
    return counters


def test_a_machine_without_a_meter_says_what_is_missing(tmp_path: Path) -> None:
    found = find_meter(root=tmp_path, environ={})
    assert isinstance(found, str)
    assert found == "none: no RAPL; no energy counter in hwmon; no power sensor in hwmon"
    figure = energy_of(lambda batch: None, [1], found)
    assert figure.mj is None
    assert figure.source == found


def test_rapl_packages_are_added_and_wrap_around(tmp_path: Path) -> None:
    first, second = rapl(tmp_path, packages=2)
    meter = find_meter(root=tmp_path, environ={})
    assert isinstance(meter, CounterMeter)
    assert "2 processor package(s)" in meter.source
    meter.start()
    write(first, 950_000)
    write(second, 100_000)  # past its range of one joule
    assert meter.stop_j() == pytest.approx(0.05 + 0.2)


def test_rapl_that_only_root_reads_is_said_so(tmp_path: Path) -> None:
    [counter] = rapl(tmp_path)
    counter.unlink()
    counter.mkdir()  # reading fails for every user, root included
    found = find_meter(root=tmp_path, environ={})
    assert isinstance(found, str)
    assert "needs root" in found


def test_a_board_s_energy_counter_is_read(tmp_path: Path) -> None:
    chip = tmp_path / "sys/class/hwmon/hwmon1"
    write(chip / "name", "board")
    counter = write(chip / "energy1_input", 1_000_000)
    meter = find_meter(root=tmp_path, environ={})
    assert isinstance(meter, CounterMeter)
    meter.start()
    write(counter, 3_500_000)
    assert meter.stop_j() == pytest.approx(2.5)
    meter.start()
    write(counter, 0)
    with pytest.raises(MeasurementError, match="went back"):
        meter.stop_j()


@pytest.mark.parametrize("values", [{"power1_input": 2_000_000}, {"in1_input": 5_000, "curr1_input": 400}])
def test_a_power_sensor_is_summed_up_over_time(tmp_path: Path, values: dict[str, int]) -> None:
    chip = tmp_path / "sys/class/hwmon/hwmon0"
    write(chip / "name", "ina226")
    for name, value in values.items():
        write(chip / name, value)
    meter = find_meter(root=tmp_path, environ={})
    assert isinstance(meter, PowerMeter)
    began = time.monotonic()
    meter.start()
    threading.Event().wait(0.05)
    joules = meter.stop_j()
    assert 0.1 <= joules <= 2.0 * (time.monotonic() - began) + 1e-6  # two watts


def test_a_sensor_that_goes_away_leaves_no_figure(tmp_path: Path) -> None:
    chip = tmp_path / "sys/class/hwmon/hwmon0"
    write(chip / "name", "ina219")
    sensor = write(chip / "power1_input", 1)
    meter = find_meter(root=tmp_path, environ={})
    figure = energy_of(lambda batch: sensor.unlink(missing_ok=True), [1], meter, block_s=0.02)
    assert figure.mj is None
    assert "power1_input" in figure.source


def test_the_user_s_own_file_comes_first(tmp_path: Path) -> None:
    rapl(tmp_path)
    counted = write(tmp_path / "joules", 10.0)
    meter = find_meter(root=tmp_path, environ={VARIABLE: str(counted)})
    assert isinstance(meter, FunctionMeter)
    meter.start()
    write(counted, 10.25)
    assert meter.stop_j() == pytest.approx(0.25)


def test_the_user_s_own_command_is_asked(tmp_path: Path) -> None:
    script = write(tmp_path / "meter.sh", f"#!/bin/sh\ncat {tmp_path}/joules")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    counted = write(tmp_path / "joules", 1)
    meter = find_meter(root=tmp_path, environ={VARIABLE: str(script)})
    assert isinstance(meter, EnergyMeter)
    meter.start()
    write(counted, 4)
    assert meter.stop_j() == 3.0


@pytest.mark.parametrize("named", ["/nowhere/meter", "true", "echo nan", "echo inf", "echo -inf"])
def test_an_own_meter_that_gives_no_number_is_refused(tmp_path: Path, named: str) -> None:
    with pytest.raises(SpecError, match=VARIABLE):
        find_meter(root=tmp_path, environ={VARIABLE: named})


def test_energy_is_what_a_counted_block_takes(tmp_path: Path) -> None:
    joules = 0.0
    seen = []

    def predict(batch: int) -> None:
        nonlocal joules
        joules += 0.002
        seen.append(batch)
        time.sleep(0.001)

    figure = energy_of(predict, [7, 8], FunctionMeter(lambda: joules, source="a test"), block_s=0.03)
    assert figure.mj == pytest.approx(2.0)
    assert figure.predictions == len(seen) >= 5
    assert figure.seconds >= 0.03
    assert seen[:3] == [7, 8, 7]


@pytest.mark.parametrize("later", ["nan", "inf", "-inf", "1e999"])
def test_a_meter_whose_count_is_no_finite_number_any_more_gives_no_figure(tmp_path: Path, later: str) -> None:
    counted = write(tmp_path / "joules", 1.0)
    meter = find_meter(root=tmp_path, environ={VARIABLE: str(counted)})
    figure = energy_of(lambda batch: write(counted, later), [1], meter, block_s=0.001)
    assert figure.mj is None
    assert "not a finite number" in figure.source
    figure = energy_of(lambda batch: None, [1], FunctionMeter(lambda: float(later), source="x"), block_s=0.001)
    assert figure.mj is None
    assert "not a finite number" in figure.source


def test_a_meter_that_stands_still_gives_no_figure() -> None:
    figure = energy_of(lambda batch: None, [1], FunctionMeter(lambda: 5.0, source="stuck"), block_s=0.001)
    assert figure.mj is None
    assert "did not move" in figure.source


def test_a_gpu_without_a_driver_has_no_meter() -> None:
    found = nvml_meter("libnvidia-ml-is-not-here.so.1")
    assert isinstance(found, str)
    assert found.startswith("none: no NVML")


NVML = """
typedef unsigned long long u64;
static u64 used = 1000;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = &used; return index > 0 ? 2 : 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, u64 *mj) { *mj = *(u64 *)device; used += 2500; return 0; }
"""


def test_nvml_counts_millijoules(tmp_path: Path) -> None:
    import shutil
    import subprocess

    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build a driver's stand-in with")
    (tmp_path / "nvml.c").write_text(NVML)
    library = tmp_path / "libnvml.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "nvml.c"], check=True)
    meter = nvml_meter(str(library))
    assert isinstance(meter, EnergyMeter)
    meter.start()
    assert meter.stop_j() == pytest.approx(2.5)
    assert "no GPU 3" in str(nvml_meter(str(library), index=3))
