"""The metrics that a device can measure, and which way each is better. Names only: nothing is measured here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEPLOYMENT_METRICS: Mapping[str, str] = MappingProxyType(
    {
        "latency_ms": "min",  # median time of one prediction at batch 1
        "latency_p90_ms": "min",
        "latency_p99_ms": "min",
        "throughput_rps": "max",  # rows a second at the throughput batch
        "model_bytes": "min",  # what the model takes on disk
        "peak_memory_mb": "min",  # what loading the model and predicting at batch 1 add to the process, in MiB
        "cold_start_ms": "min",  # from the file to a session that can predict
        "energy_mj": "min",  # of one prediction at batch 1, from a meter; absent where nothing meters it
    }
)
