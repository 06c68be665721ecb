"""What the component's container runs: one worker with its sidecar and its warm launcher."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ...settings import Settings, load_settings
from .worker import Worker

if TYPE_CHECKING:
    from ...store import Store

W = TypeVar("W", bound=Worker)

TASK_MODULES = (
    "omniforge.components.task_estimator.tte",
    "omniforge.components.deployment_estimator.dte",
    "omniforge.sidecar.client",
    "omniforge.data.prepared",
    "omniforge.estimators.preloaded",
)


def preload_of(estimator: str, *, deployed: bool) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return what a server loads before it forks the estimator's tasks: modules, and environment variables."""
    from ...deploy import PRELOAD
    from ...estimators import load_bundle

    bundle = load_bundle(estimator)
    modules = (*bundle.preload, *(PRELOAD if deployed else ()), *TASK_MODULES)
    return modules, {"OMNIFORGE_BUNDLE": estimator, "OMP_NUM_THREADS": "1"}


def work(job_id: str, phase: str, index: int) -> int:
    """Evaluate tasks of a phase until it is closed; return how many."""
    from ...store import open_store

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = load_settings()
    worker_id = f"{job_id}-{phase}-{index}-{secrets.token_hex(3)}"
    with (
        open_store(settings.resolved_store_url) as store,
        open_worker(Worker, store, job_id, phase=phase, worker_id=worker_id, settings=settings) as worker,
    ):
        return worker.run()


@contextmanager
def open_worker(
    kind: type[W], store: Store, job_id: str, *, phase: str, worker_id: str, settings: Settings
) -> Iterator[W]:
    """Give a worker its sidecar and a launcher that has the estimator's imports preloaded."""
    from ...launch import ForkLauncher
    from ...sidecar import Sidecar

    plan = store.jobs.get(job_id).plan or {}
    modules, env = preload_of(plan["estimator"], deployed=bool(plan["devices"]))
    with Sidecar() as sidecar, ForkLauncher(preload=modules, env=env) as launcher:
        yield kind(
            store, job_id, phase=phase, worker_id=worker_id, settings=settings, sidecar=sidecar, launcher=launcher
        )
