"""What ``benchmarks/launch.py`` launches: a module of its own, so that importing the benchmark is not measured."""

from __future__ import annotations

import time
from typing import Any


def note_entry_with_imports(payload: dict[str, Any]) -> None:
    import numpy  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import torch  # noqa: F401

    note_entry(payload)


def note_entry(payload: dict[str, Any]) -> None:
    entered_s = time.monotonic()
    with open(payload["out"], "w") as file:  # noqa: PTH123  # not even pathlib is imported
        file.write(repr(entered_s))
