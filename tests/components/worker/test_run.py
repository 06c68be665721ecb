from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest

from omniforge.components.spec import JobPlan
from omniforge.components.worker.run import open_worker, preload_of, work
from omniforge.components.worker.worker import Worker
from omniforge.errors import LaunchError
from omniforge.launch import Workload
from omniforge.settings import Settings
from omniforge.store import JobRecord, Store, TaskRecord


def close_when_done(store: Store) -> None:
    """Do what the job estimator does at the end."""
    assert store.broker.wait("job", lambda counts: counts["succeeded"] + counts["failed"] == 1, 60, phase="search")
    store.broker.close_phase("job", "search")


def test_one_worker_with_the_settings_of_the_environment(
    store: Store,
    make_plan: Callable[..., JobPlan],
    make_job: Callable[..., JobRecord],
    add_task: Callable[..., TaskRecord],
) -> None:
    make_job(make_plan())
    task = add_task("fit")
    closing = threading.Thread(target=close_when_done, args=(store,), daemon=True)
    closing.start()
    assert work("job", "search", 1) == 1
    done = store.broker.get(task.id)
    assert done.state == "succeeded"
    assert (done.worker_id or "").startswith("job-search-1-")
    assert (done.fidelity, done.device) == ({"run_epochs": 2.0}, None)


def test_what_a_worker_opened_is_closed_with_it(
    store: Store, settings: Settings, make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord]
) -> None:
    make_job(make_plan())
    with open_worker(Worker, store, "job", phase="search", worker_id="w", settings=settings) as worker:
        url = worker.sidecar.url
        assert httpx.get(f"{url}/v1/health", trust_env=False).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/v1/health", trust_env=False)
    with pytest.raises(LaunchError, match="closed"):
        worker.launcher.launch(Workload("late", "os:getpid", log_path=settings.home / "log"))


def test_a_server_is_warm_for_the_estimator_and_for_measuring(probe: object) -> None:
    modules, env = preload_of(str(probe), deployed=False)
    assert modules[0] == "sklearn.linear_model"
    assert env["OMNIFORGE_BUNDLE"] == str(probe)
    deployed, _ = preload_of(str(probe), deployed=True)
    assert set(deployed) > set(modules)
    assert any("measurement" in module for module in deployed)
