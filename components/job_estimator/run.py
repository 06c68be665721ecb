"""What the component's container runs: one phase, with the settings of the environment."""

from __future__ import annotations

import logging
import os
import socket
import threading

from ...settings import load_settings
from .controller import JobEstimator


def estimate_job(job_id: str, phase: str) -> dict[str, int]:
    """Drive ``phase`` of a job to its end and return its tasks by state."""
    from ...store import open_store

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with open_store(load_settings().resolved_store_url) as store:
        estimator = JobEstimator(store, job_id, phase=phase)
        started = {"phase": phase, "pid": os.getpid(), "host": socket.gethostname()}
        store.events.append(job_id, "job_estimator_started", started)
        # A model-based strategy imports for seconds; that happens while the initial design is being evaluated.
        threading.Thread(target=estimator.warm_up, name="warm-up", daemon=True).start()
        summary = estimator.run()
        logging.getLogger(__name__).info("%s ended after %.1f s: %s", phase, summary.duration_s, summary.counts)
        return summary.counts
