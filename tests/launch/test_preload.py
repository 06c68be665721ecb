from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from omniforge.launch.preload import Preloaded, preload

MODULES = {
    "quiet_module": "",
    "threaded_module": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
    "leaving_module": "raise SystemExit(3)\n",
    "failing_module": "raise ValueError('not today')\n",
}


def test_each_module_is_judged_for_itself(tmp_path: Path) -> None:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    names = ["quiet_module", "threaded_module", "leaving_module", "failing_module", "missing_module", "decimal"]
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from omniforge.launch.preload import preload
for one in preload({names!r}):
    print(one.module, len(one.threads), one.error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "quiet_module 0 None",
        "threaded_module 1 None",
        "leaving_module 0 SystemExit: 3",
        "failing_module 0 ValueError: not today",
        "missing_module 0 ModuleNotFoundError: No module named 'missing_module'",
        "decimal 0 None",
    ]


def test_warnings_name_the_module_and_the_remedy() -> None:
    assert Preloaded("m", 0.1).warning is None
    assert "'m' was not preloaded: ValueError: x" in str(Preloaded("m", 0.1, error="ValueError: x").warning)
    warning = str(Preloaded("m", 0.1, threads=("a", "b")).warning)
    assert "Preloading 'm' started 2 thread(s) (a, b)" in warning
    assert "Import it in the entry function instead." in warning


def test_it_says_how_long_a_module_took() -> None:
    [one] = preload(["json"])
    assert one.module == "json"
    assert one.duration_s >= 0
