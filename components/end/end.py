"""What the ``end`` component does: the job succeeded, and what was only needed on the way is removed."""

from __future__ import annotations

import shutil

from ...settings import load_settings


def finish(job_id: str) -> str:
    """Mark a job as succeeded, remove its scratch folder, return its model's name."""
    from ...store import open_store

    settings = load_settings()
    with open_store(settings.resolved_store_url) as store:
        record = store.jobs.get(job_id)
        if record.state == "running":
            store.jobs.finish(job_id, "succeeded")
        shutil.rmtree(settings.job_path(job_id) / "scratch", ignore_errors=True)
        return str((record.result or {}).get("model") or "")
