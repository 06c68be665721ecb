from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from omniforge.deploy.memory import PeakMemory, group_resident_bytes, resident_bytes

MIB = 1024 * 1024


def test_it_sees_memory_that_was_freed_again() -> None:
    meter = PeakMemory()
    meter.start()
    block = np.ones(64 * MIB, dtype=np.uint8)
    del block
    peak_mb = meter.read_mb()
    assert meter.source == "VmHWM"
    assert peak_mb is not None
    assert 63 <= peak_mb <= 70


def test_an_earlier_peak_is_forgotten() -> None:
    block = np.ones(64 * MIB, dtype=np.uint8)
    del block
    meter = PeakMemory()
    meter.start()
    peak_mb = meter.read_mb()
    assert peak_mb is not None
    assert peak_mb < 8


def test_without_the_kernel_s_mark_it_takes_the_growth(tmp_path: Path) -> None:
    (tmp_path / "clear_refs").mkdir()  # cannot be written to
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t  9000 kB\nVmRSS:\t  1024 kB\n")
    meter = PeakMemory(tmp_path)
    meter.start()
    (tmp_path / "status").write_text("VmHWM:\t  9000 kB\nVmRSS:\t  3072 kB\n")
    assert meter.source == "growth"
    assert meter.read_mb() == 2.0


def test_where_there_is_no_procfs_it_is_unknown(tmp_path: Path) -> None:
    meter = PeakMemory(tmp_path / "none")
    meter.start()
    assert meter.source == "none"
    assert meter.read_mb() is None


def test_what_is_resident_of_a_process_and_of_its_group() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'b = b\"x\" * 2**26; print(1); input()'])"
    leader = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert leader.stdout is not None
    leader.stdout.readline()
    assert 64 * MIB < group_resident_bytes(leader.pid) < 150 * MIB
    assert 4 * MIB < resident_bytes(leader.pid) < 60 * MIB
    leader.communicate(b"\n")
    assert resident_bytes(leader.pid) == 0
    assert resident_bytes(os.getpid()) > 10 * MIB
