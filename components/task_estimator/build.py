"""What the ``task_estimator`` component does: the winner is trained in full, exported, measured, registered.

The training goes through the broker and a worker like every other task (phase ``final``), so it has the same limits,
retries and causes. When the recommended configuration fails in full, the next best one is taken.
"""

from __future__ import annotations

import inspect
import logging
import platform
import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import JobFailedError
from ...settings import Settings, load_settings
from .. import leaderboard
from ..document import SEARCH, objectives_of
from ..registry import model_registry
from ..spec import JobPlan
from ..worker.run import open_worker
from ..worker.trial import Outcome, TrialRequest
from ..worker.worker import Worker
from .tte import IF_POSSIBLE, REQUIRED

if TYPE_CHECKING:
    from ...data import PreparedData
    from ...store import JobRecord, Store, TaskRecord

log = logging.getLogger(__name__)

FINAL = "final"
TRIES = 3
EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class BuiltModel:
    """What became of the winner.

    Attributes:
        name: ``family/version``; empty when the estimator cannot export its model.
        path: Its folder, when there is a model.
        metrics: What it measured, trained in full.
    """

    name: str
    path: Path | None
    metrics: dict[str, float] = field(default_factory=dict)

    def copy_to(self, path: str) -> None:
        """Copy the folder to a pipeline's artifact."""
        if self.path is not None:
            shutil.copytree(self.path, path, dirs_exist_ok=True)


class FinalWorker(Worker):
    """Trains in full, saves, always exports, and measures at least on this machine."""

    def request(self, task: TaskRecord) -> TrialRequest:
        """Return how the winner is evaluated."""
        return replace(
            super().request(task),
            devices=tuple(self.plan.devices) or ("local",),
            is_trainer=True,
            export=REQUIRED if self.plan.devices else IF_POSSIBLE,
            save_dir=self.settings.job_path(self.job_id) / FINAL / "native",
        )

    def closed(self) -> bool:
        """Whether the one task that was put has ended."""
        counts = self.store.broker.counts(self.job_id, phase=FINAL)
        return not (counts["pending"] or counts["reserved"] or counts["running"])


def build_model(job_id: str) -> BuiltModel:
    """Build and register the model of a job; a job that has one already keeps it.

    Raises:
        JobFailedError: No configuration could be trained in full; names the causes.
    """
    from ...store import open_store

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = load_settings()
    with open_store(settings.resolved_store_url) as store:
        job = store.jobs.get(job_id)
        known = (job.result or {}).get("model")
        if known:
            version = model_registry(settings).resolve(known)
            return BuiltModel(known, version.path, dict(version.metrics))
        registry = model_registry(settings)
        # MLflow takes seconds to import and to make its database; meanwhile the winner is being trained.
        threading.Thread(target=registry.prepare, name="registry", daemon=True).start()
        task, outcome = _train(store, job, settings)
        if outcome.model_path is None:
            log.warning("the estimator cannot export its model: it was searched, but nothing can be registered")
            store.jobs.set_result(job_id, {**(job.result or {}), "final_metrics": outcome.rewards})
            return BuiltModel("", None, outcome.rewards)
        outcome = _on_other_runtimes(job, outcome, settings)
        built = _register(job, task, outcome, settings)
        store.jobs.set_result(job_id, {**(job.result or {}), "model": built.name, "final_metrics": built.metrics})
        store.events.append(job_id, "model_registered", {"model": built.name})
        return built


def _train(store: Store, job: JobRecord, settings: Settings) -> tuple[TaskRecord, Outcome]:
    """Train the best configuration that can be trained in full."""
    tasks = store.broker.tasks(job.id, phase=SEARCH)
    objectives = leaderboard.known_objectives(tasks, objectives_of(job))
    if len(objectives) < len(objectives_of(job)):
        known = ", ".join(objective.key for objective in objectives)
        log.warning("no task has a value for every objective: the winner is chosen by %s alone", known or "nothing")
    board = leaderboard.ranked(tasks, objectives) if objectives else []
    failures: list[str] = []
    worker_id = f"{job.id}-{FINAL}-{secrets.token_hex(3)}"
    with open_worker(FinalWorker, store, job.id, phase=FINAL, worker_id=worker_id, settings=settings) as worker:
        for candidate in board[:TRIES]:
            task, outcome = _train_one(worker, candidate)
            if outcome is not None and outcome.state == "succeeded":
                return task, outcome
            latest = store.broker.get(task.id)
            failures.append(f"task {candidate.number}: {latest.cause}: {latest.message}")
            log.warning("could not be trained in full: %s", failures[-1])
    raise JobFailedError(
        "No configuration could be trained in full: " + ("; ".join(failures) or "none has a score") + ".",
        hint=f"omniforge jobs show {job.id} lists the tasks and their failures.",
    )


def _train_one(worker: Worker, candidate: TaskRecord) -> tuple[TaskRecord, Outcome | None]:
    from ...search import Candidate

    broker, job_id, fidelity = worker.store.broker, worker.job_id, worker.plan.final_fidelity
    left = broker.tasks(job_id, states=("pending", "reserved", "running"), phase=FINAL)
    task = next((task for task in left if task.config == candidate.config), None)  # of a build that was interrupted
    if task is None:
        (task,) = broker.put(job_id, [Candidate(candidate.config, fidelity)], phase=FINAL)
    outcomes: dict[int, Outcome] = {}  # by task, as whatever is left in the phase is evaluated
    worker.run(lambda evaluated, outcome: outcomes.update({evaluated.id: outcome}))
    return task, outcomes.get(task.id)


def _on_other_runtimes(job: JobRecord, outcome: Outcome, settings: Settings) -> Outcome:
    """Add what the runtimes measure that the user asked for besides."""
    from ...data import PreparedData
    from .finalist import measure_runtimes

    plan = JobPlan.from_dict(job.plan or {})
    if not plan.runtimes or outcome.model_path is None:
        return outcome
    data = PreparedData.load(plan.data_path)
    rows, _ = data.arrays("valid", outcome.encoding or data.usual_encoding)
    home = settings.home_path
    found = measure_runtimes(outcome.model_path, rows, plan, locks=home / "locks", cache=home / "cache")
    return replace(outcome, deployments=(*outcome.deployments, *found))


def _register(job: JobRecord, task: TaskRecord, outcome: Outcome, settings: Settings) -> BuiltModel:
    from ...data import PreparedData, tensor_transform, transform
    from ...models import write_asset

    plan = job.plan or {}
    data = PreparedData.load(plan["data_path"])
    metrics = {name: float(value) for name, value in outcome.rewards.items()}
    lineage = _lineage(job, task, data, outcome)
    folder = settings.job_path(job.id) / FINAL / "asset"
    examples, encoding = data.rows("test")[:EXAMPLE_ROWS], outcome.encoding or data.usual_encoding
    tensors = encoding == "tensor"
    if not tensors:
        examples = examples.drop(columns=[job.spec["target"]], errors="ignore")
    asset = write_asset(
        folder,
        onnx_path=outcome.model_path or "",
        plan=data.plan(encoding).to_dict(),
        transform_source=inspect.getsource(tensor_transform if tensors else transform),
        task=data.task,
        classes=data.classes,
        target=job.spec["target"],
        metrics=metrics,
        lineage=lineage,
        example_rows=examples,
    )
    primary = objectives_of(job)[0]
    version = model_registry(settings).register(
        asset, family=job.name, metrics=metrics, lineage=lineage, better_by=(primary.key, primary.goal)
    )
    return BuiltModel(version.name, version.path, metrics)


def _lineage(job: JobRecord, task: TaskRecord, data: PreparedData, outcome: Outcome) -> dict[str, Any]:
    """Return where a model comes from: enough to make it again."""
    from ... import __version__

    plan = job.plan or {}
    return {
        "job_id": job.id,
        "task_id": task.id,
        "config": task.config,
        "fidelity": task.fidelity,
        "estimator": plan["estimator"],
        "data": job.spec["data"],
        "data_version": data.data_version,
        "space_hash": plan["space_hash"],
        "objectives": plan["objectives"],
        "seed": plan["seed"],
        "code_version": __version__,
        "environment": {"python": platform.python_version(), "platform": platform.platform(), **_versions()},
        "deployments": list(outcome.deployments),
    }


def _versions(
    names: Sequence[str] = ("numpy", "scikit-learn", "lightgbm", "torch", "onnx", "onnxruntime"),
) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
