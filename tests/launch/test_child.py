from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conformance.launcher_suite import ENTRIES, MIB

TESTS = str(Path(__file__).parents[1])


def run_child(tmp_path: Path, **request: Any) -> tuple[int, str, dict[str, Any] | None]:
    """Run ``python -m omniforge.launch.child`` as a server would; return its code, its output and what it reported."""
    path = tmp_path / "request.json"
    path.write_text(
        json.dumps({"name": "w", "payload": {}, "sys_path": [TESTS, *sys.path], "memory_bytes": None, **request})
    )
    reader, writer = os.pipe()
    with path.open("rb") as file:
        process = subprocess.run(
            [sys.executable, "-P", "-m", "omniforge.launch.child", str(file.fileno()), str(writer)],
            pass_fds=[file.fileno(), writer],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    os.close(writer)
    with os.fdopen(reader, "rb") as status:
        reported = status.read()
    return process.returncode, process.stdout, json.loads(reported) if reported else None


def run_code(code: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.split()


def test_success_reports_nothing(tmp_path: Path) -> None:
    code, output, reported = run_child(tmp_path, entry=f"{ENTRIES}:succeed", payload={"text": "well"})
    assert (code, reported) == (0, None)
    assert "out: well" in output


def test_failure_reports_a_cause_and_one_line(tmp_path: Path) -> None:
    code, output, reported = run_child(tmp_path, entry=f"{ENTRIES}:fail")
    assert code == 1
    assert reported == {"cause": "exception", "message": "ValueError: the value is wrong"}
    assert output.startswith("Traceback (most recent call last):\n")


def test_an_error_without_words_and_one_with_many(tmp_path: Path) -> None:
    (tmp_path / "wordy.py").write_text(
        "def short(payload): raise KeyError\ndef long(payload): raise ValueError('x' * 10_000 + '\\nsecond line')\n"
    )
    path = [str(tmp_path), *sys.path]
    assert run_child(tmp_path, entry="wordy:short", sys_path=path)[2] == {"cause": "exception", "message": "KeyError"}
    reported = run_child(tmp_path, entry="wordy:long", sys_path=path)[2]
    assert reported is not None
    assert len(reported["message"]) == 2000


@pytest.mark.fault
def test_an_allocation_beyond_the_limit_raises(tmp_path: Path) -> None:
    request = {"entry": f"{ENTRIES}:allocate_python", "payload": {"step_bytes": 8 * MIB}, "memory_bytes": 100 * MIB}
    code, output, reported = run_child(tmp_path, **request)
    assert code == 1
    assert reported is not None
    assert reported["cause"] == "out_of_memory"
    assert "MemoryError" in output


def test_an_interrupt_ends_it_by_the_signal(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text("def main(payload): raise KeyboardInterrupt\n")
    code, _, reported = run_child(tmp_path, entry="interrupted:main", sys_path=[str(tmp_path), *sys.path])
    assert (code, reported) == (-2, None)


def test_a_full_disk_under_the_log_does_not_undo_the_work(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "import os, pathlib\n"
        "def main(payload):\n"
        "    print('x', end='')\n"  # still in the buffer when the disk is full
        "    os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n"
    )
    code, _, reported = run_child(tmp_path, entry="late:main", sys_path=[str(tmp_path), *sys.path])
    assert (code, reported) == (0, None)


def test_a_full_disk_under_the_log_does_not_hide_the_cause(tmp_path: Path) -> None:
    (tmp_path / "full.py").write_text(
        "import os\n"
        "def main(payload):\n"
        "    os.dup2(os.open('/dev/full', os.O_WRONLY), 2)\n"
        "    raise ValueError('the value is wrong')\n"
    )
    code, _, reported = run_child(tmp_path, entry="full:main", sys_path=[str(tmp_path), *sys.path])
    assert (code, reported) == (1, {"cause": "exception", "message": "ValueError: the value is wrong"})


def test_the_environment_becomes_exactly_that() -> None:
    code = (
        "import os, time\n"
        "from omniforge.launch.child import apply_environment\n"
        "apply_environment({'TZ': 'UTC-5', 'A': 'b'})\n"
        "print(sorted(os.environ.items()) == [('A', 'b'), ('TZ', 'UTC-5')], time.timezone)\n"
    )
    assert run_code(code, TZ="UTC") == ["True", "-18000"]


def test_reseeding_gives_other_numbers() -> None:
    code = (
        "import numpy, torch\n"
        "from omniforge.launch.child import reseed\n"
        "def draw(): return numpy.random.random(), float(torch.rand(1))\n"
        "numpy.random.seed(0); torch.manual_seed(0); first = draw()\n"
        "numpy.random.seed(0); torch.manual_seed(0); reseed(); second = draw()\n"
        "print(first[0] != second[0], first[1] != second[1])\n"
    )
    assert run_code(code) == ["True", "True"]


def test_threads_that_are_right_already_are_left_alone() -> None:
    code = (
        "import sys\n"
        "from omniforge.launch.child import match_threads\n"
        "match_threads({'OMP_NUM_THREADS': '1'}, {})\n"  # nothing is loaded
        "import numpy\n"
        "match_threads({'OMP_NUM_THREADS': '1'}, {'OMP_NUM_THREADS': '1'})\n"
        "print('threadpoolctl' in sys.modules)\n"
        "match_threads({'OMP_NUM_THREADS': '1'}, {})\n"
        "import threadpoolctl\n"
        "print({pool['num_threads'] for pool in threadpoolctl.threadpool_info()})\n"
    )
    assert run_code(code, OMP_NUM_THREADS="2") == ["False", "{1}"]


def test_the_data_limit_leaves_room_for_what_is_there() -> None:
    code = (
        "import resource\n"
        "from omniforge.launch.child import limit_data\n"
        "from omniforge.launch.processes import data_bytes\n"
        "limit_data(None)\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY)\n"
        "held = data_bytes(); limit_data(100 * 2**20)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_DATA)\n"
        "print(soft > held + 100 * 2**20, hard == resource.RLIM_INFINITY)\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30)); limit_data(2**40)\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA) == (2**30, 2**30))\n"
    )
    assert run_code(code) == ["True", "True", "True", "True"]
