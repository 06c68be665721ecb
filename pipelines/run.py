"""Run a job's pipeline on this machine: the same compiled definition that Kubeflow gets."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..components.spec import JobSpec
from ..components.start.start import request_of_spec
from ..settings import Settings

if TYPE_CHECKING:
    from ..store import JobRecord

COMPILED = Path(__file__).parent / "compiled"

# What the first component needs, so that it starts soon; and what all of them need, loaded while it runs.
FIRST = (
    "omniforge.pipelines.local.warm",
    "pandas",
    "omniforge.store.store",
    "omniforge.components.formatter.formatter",
)
ALL = (
    *FIRST,
    "omniforge.sidecar.client",
    "omniforge.sidecar.server",
    "omniforge.components.job_estimator.run",
    "omniforge.components.task_estimator.build",
)


def run_job(record: JobRecord, settings: Settings, *, stop: threading.Event | None = None) -> None:
    """Run the pipeline of a job to its end.

    Args:
        record: The job, created before; a job that ran in part goes on.
        settings: Where things live; handed on to every component.
        stop: When set, everything is ended and the run returns.

    Raises:
        ComponentError: A component failed for good; carries its traceback.
    """
    from ..components.worker.run import preload_of
    from ..launch import ForkLauncher, StagedLauncher
    from .local import RunStoppedError, run_local

    spec = JobSpec.parse(record.spec)
    request = request_of_spec(spec)
    if spec.kind == "nocode" and spec.estimator == "tabular":
        request.pop("estimator")
    modules, env = preload_of(spec.estimator, deployed=True)
    first, then = ForkLauncher(preload=FIRST), ForkLauncher(preload=(*ALL, *modules), env=env)
    with StagedLauncher(first, then) as launcher, suppress(RunStoppedError):
        run_local(
            COMPILED / f"{record.kind}.yaml",
            {**request, "job": record.id},
            workspace=settings.job_path(record.id) / "pipeline",
            launcher=launcher,
            environment=settings.environment(),
            stop=stop,
        )
