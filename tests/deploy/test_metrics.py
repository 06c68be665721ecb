from __future__ import annotations

import importlib
import subprocess
import sys

from omniforge.deploy import DEPLOYMENT_METRICS, PRELOAD


def test_every_metric_has_a_direction() -> None:
    assert set(DEPLOYMENT_METRICS.values()) == {"min", "max"}
    assert {name for name, goal in DEPLOYMENT_METRICS.items() if goal == "max"} == {"throughput_rps"}


def test_the_names_are_known_without_loading_a_runtime() -> None:
    code = "import sys; from omniforge.deploy import DEPLOYMENT_METRICS, find_device; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"onnxruntime", "onnx", "numpy", "torch", "sklearn"} & set(loaded)


def test_what_is_to_be_preloaded_is_there() -> None:
    for module in PRELOAD:
        importlib.import_module(module)
