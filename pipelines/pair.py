"""The pair that every search is made of: one job estimator and the workers, side by side."""

from __future__ import annotations

from kfp import dsl

from ..components.job_estimator.component import job_estimator
from ..components.worker.component import worker

RETRIES = 3


def search_pair(begun: dsl.PipelineTask, *, phase: str, after: dsl.PipelineTask | None = None) -> dsl.PipelineTask:
    """Declare the job estimator of ``phase`` and one worker an index, started together; return the former.

    Both are retried: a worker that was lost comes back, a job estimator goes on from the store. The job estimator
    ends only when every task is finished, so what follows needs to wait for nothing else.
    """
    estimating = settled(job_estimator(job=begun.outputs["job"], phase=phase)).set_retry(num_retries=RETRIES)
    estimating.set_display_name(f"job estimator: {phase}")
    if after is not None:
        estimating.after(after)
    with dsl.ParallelFor(begun.outputs["workers"], name=f"workers-{phase}") as index:
        working = settled(worker(job=begun.outputs["job"], phase=phase, index=index)).set_retry(num_retries=RETRIES)
        working.set_display_name(f"worker: {phase}")
        if after is not None:
            working.after(after)
    return estimating


def settled(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Turn caching off: a component's work is in the store, not only in its outputs."""
    return task.set_caching_options(enable_caching=False)
