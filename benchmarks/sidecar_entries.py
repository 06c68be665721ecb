"""What ``benchmarks/sidecar.py`` launches: a client that reports progress as fast as it can."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from omniforge.sidecar import SidecarClient


def report_progress(payload: dict[str, Any]) -> None:
    """Report ``steps`` steps; write the round trips in milliseconds to ``out``."""
    times_ms = []
    with SidecarClient(payload["url"], payload["token"]) as client:
        client.task()
        for step in range(payload["steps"]):
            began_s = time.perf_counter()
            client.progress(step, {"score": 0.5, "loss": 0.25})
            times_ms.append(1e3 * (time.perf_counter() - began_s))
    Path(payload["out"]).write_text(json.dumps(times_ms))
