"""Tasks, plans, jobs and workers as the components see them: a real store, real data, a bundle that does as it is told."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.spec import JobPlan, Phase
from omniforge.data import PreparedData, prepare
from omniforge.errors import StaleAttemptError
from omniforge.estimators import load_bundle
from omniforge.launch import ForkLauncher
from omniforge.search import Candidate, SearchSpace
from omniforge.settings import Settings
from omniforge.sidecar import Sidecar
from omniforge.store import JobRecord, Store, TaskRecord, open_store

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
PROBE = Path(__file__).parent / "probe"
PATIENCE_S = 60.0


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace.from_dict(
        {
            "algorithm": {
                "type": "choice",
                "range": ["tree", "linear", "forest"],
                "submodule": {
                    "tree": {"depth": {"type": "int", "range": [1, 10]}},
                    "linear": {"strength": {"type": "float", "range": [0.01, 1.0], "log": True}},
                },
            },
        }
    )


@pytest.fixture
def make_task() -> Callable[..., TaskRecord]:
    def make(number: int, config: dict[str, Any], rewards: dict[str, float] | None = None, **fields: Any) -> TaskRecord:
        begun = EPOCH + timedelta(seconds=number)
        values: dict[str, Any] = {
            "id": 100 + number, "job_id": "job", "number": number, "phase": "search", "config": config, "fidelity": None,
            "state": "succeeded" if rewards is not None else "failed", "attempt": 1, "max_attempts": 3, "worker_id": "w",
            "lease_expires_at": None, "created_at": EPOCH, "reserved_at": begun, "started_at": begun,
            "finished_at": begun + timedelta(seconds=1), "duration_s": 1.0, "cause": None, "message": None,
            "rewards": rewards or {}, "device": None, "changed": number,
        }  # fmt: skip
        return TaskRecord(**{**values, **fields})

    return make


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait for the first result of a function that is true; fail after a minute."""

    def wait(look: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := look()):
            assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
            time.sleep(0.01)
        return found

    return wait


# -- the bundle and its data


@pytest.fixture(scope="session")
def probe() -> Path:
    """The folder of the bundle that does what its configuration says."""
    return PROBE


@pytest.fixture(scope="session")
def iris_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The iris data as a file; the target is ``species``, three words."""
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame
    frame["species"] = frame.pop("target").map(lambda index: ("setosa", "versicolor", "virginica")[index])
    path = tmp_path_factory.mktemp("iris") / "iris.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def iris(iris_csv: Path) -> PreparedData:
    """The iris data, prepared."""
    return prepare(iris_csv, "species", iris_csv.parent / "prepared")


@pytest.fixture(scope="session")
def sidecar() -> Iterator[Sidecar]:
    with Sidecar() as sidecar:
        yield sidecar


@pytest.fixture(scope="session")
def launcher() -> Iterator[ForkLauncher]:
    """A launcher that is warm for the bundle and for measuring its models."""
    from omniforge.components.worker.run import preload_of

    modules, env = preload_of(str(PROBE), deployed=True)
    with ForkLauncher(preload=modules, env=env) as launcher:
        yield launcher


# -- a home with a store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "template.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def settings(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home of its own, in the environment too: a component reads its settings from there."""
    for name in [name for name in os.environ if name.startswith("OMNIFORGE_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_store, home / "omniforge.db")
    monkeypatch.setenv("OMNIFORGE_HOME", str(home))
    return Settings(home=home)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings.resolved_store_url) as store:
        yield store


@pytest.fixture
def make_plan(iris: PreparedData) -> Callable[..., JobPlan]:
    """Make a plan for the bundle; ``trials`` and ``strategy`` are those of its search."""

    def make(*, trials: int = 8, strategy: Any = "random", **changes: Any) -> JobPlan:
        space = load_bundle(PROBE).space
        values: dict[str, Any] = {
            "task_type": "classification", "estimator": str(PROBE), "space": space.to_dict(), "space_hash": space.hash,
            "objectives": [{"metric": "accuracy", "goal": "max"}],
            "phases": [Phase("search", trials, strategy, {"run_epochs": 2.0})],
            "data_path": str(iris.root), "data_version": iris.data_version, "workers": 2, "memory_bytes": None,
            "time_s": 60.0, "time_budget_s": None, "lease_s": 30.0, "wait": "adaptive", "seed": 0,
            "final_fidelity": {"run_epochs": 4.0}, "early_stopping": False, "devices": [],
        }  # fmt: skip
        return JobPlan(**{**values, **changes})

    return make


@pytest.fixture
def make_job(store: Store, iris_csv: Path) -> Callable[..., JobRecord]:
    """Record a running job with a plan."""

    def make(plan: JobPlan | None = None, job_id: str = "job") -> JobRecord:
        spec = {"data": str(iris_csv), "target": "species", "estimator": str(PROBE), "name": "probe"}
        store.jobs.create(job_id, name="probe", kind="nocode", spec=spec)
        if plan is not None:
            store.jobs.set_plan(job_id, plan.to_dict())
        return store.jobs.start(job_id)

    return make


@pytest.fixture
def add_task(store: Store) -> Callable[..., TaskRecord]:
    """Add a task of the bundle; with ``reserve`` it is held by worker ``w``, with ``rewards`` it has succeeded."""

    def add(
        act: str = "fit",
        *,
        strength: float = 1.0,
        phase: str = "search",
        reserve: bool = False,
        rewards: dict[str, float] | None = None,
        lease_s: float = 30.0,
        max_attempts: int = 3,
    ) -> TaskRecord:
        candidate = Candidate({"act": act, "strength": strength}, {"run_epochs": 2.0})
        (task,) = store.broker.put("job", [candidate], phase=phase, max_attempts=max_attempts)
        if not reserve and rewards is None:
            return task
        held = store.broker.reserve("job", "w", lease_s=lease_s, phase=phase)
        assert held is not None
        assert held.id == task.id
        if rewards is not None:
            assert store.broker.report(store.broker.start(held), "succeeded", rewards)
            return store.broker.get(task.id)
        return held

    return add


# -- workers without processes


class PlayedWorkers:
    """Threads that take tasks from the broker and report what ``play`` returns, as workers would.

    Args:
        store: The record of work.
        play: From a task to the arguments of ``report``; ``None`` never reports and holds on until told otherwise.
        count: How many.
    """

    def __init__(
        self,
        store: Store,
        play: Callable[[TaskRecord], dict[str, Any] | None],
        *,
        count: int = 2,
        phase: str = "search",
    ) -> None:
        self._broker = store.broker
        self._play = play
        self._phase = phase
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(f"played-{i}",), daemon=True) for i in range(count)]
        self.errors: list[BaseException] = []

    def __enter__(self) -> PlayedWorkers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert self.errors == []

    def _run(self, name: str) -> None:
        try:
            while not self._stop.is_set():
                task = self._broker.reserve("job", name, lease_s=30.0, phase=self._phase)
                if task is None:
                    self._stop.wait(0.01)
                    continue
                with suppress(StaleAttemptError):  # ended by the other side: no worker minds
                    self._work(self._broker.start(task))
        except BaseException as e:
            self.errors.append(e)

    def _work(self, task: TaskRecord) -> None:
        played = self._play(task)
        if played is not None:
            self._broker.report(task, **{"state": "succeeded", "duration_s": 0.01, **played})
            return
        while not self._stop.wait(0.02) and self._broker.heartbeat(task, lease_s=30.0):
            pass


@pytest.fixture
def played_workers(store: Store) -> Callable[..., PlayedWorkers]:
    return lambda play, **options: PlayedWorkers(store, play, **options)
