"""One task, evaluated in two steps: a task estimator is launched beside the sidecar, then a deployment estimator for every device.

The steps are apart so that a worker can train its next task while a device still measures this one.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...deploy import DEPLOYMENT_METRICS
from ...launch import Limits, Workload
from ...sidecar.messages import FailureMessage, ResultMessage, TaskMessage
from ..deployment_estimator.dte import AWAY_PATIENCE_S, PATIENCE_S
from ..measured import DEVICE_LOST, SKIPPED, as_predicted

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...launch import Exit, Handle, Launcher
    from ...sidecar import Session, Sidecar
    from ...store import TaskRecord
    from ..spec import JobPlan
    from .early_stopping import EarlyStopping

log = logging.getLogger(__name__)

TTE = "omniforge.components.task_estimator.tte:main"
DTE = "omniforge.components.deployment_estimator.dte:main"
MEASURING_LIMIT_S = 120.0
REMOTE_LIMIT_S = 900.0  # others may be before it in the device's queue
POLL_S = 0.5
LOST = "lost"


@dataclass(frozen=True)
class Outcome:
    """How an evaluation ended.

    Attributes:
        state: ``succeeded``, ``failed``, ``timeout``, or ``lost``: the task is not this worker's any more.
        retry: The task itself did nothing wrong; it may be tried again.
    """

    state: str
    rewards: dict[str, float] = field(default_factory=dict)
    cause: str | None = None
    message: str | None = None
    device: str | None = None
    duration_s: float | None = None
    peak_memory_bytes: int | None = None
    retry: bool = False
    encoding: str | None = None
    model_path: Path | None = None
    deployments: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class TrialRequest:
    """What one evaluation needs besides the task.

    Attributes:
        devices: Where the model is measured; empty for nowhere.
        remote: Which of them are other machines.
        is_trainer: Train in full and save to ``save_dir``.
        export: ``required`` or ``if_possible``: whether the model is wanted as ONNX.
        space: The space that configurations are checked against, where it is not the estimator's own.
    """

    plan: JobPlan
    folder: Path
    locks: Path
    devices: tuple[str, ...]
    remote: frozenset[str] = frozenset()
    is_trainer: bool = False
    export: str | None = None
    save_dir: Path | None = None
    space: dict[str, Any] | None = None


class Trial:
    """Evaluate one task: :meth:`train`, then :meth:`measure` or :meth:`skip`, then :meth:`close`; or :meth:`run` for all.

    Args:
        task: The task, held by the caller.
        request: How it is evaluated.
        sidecar: The worker's sidecar.
        launcher: Starts the processes.
    """

    def __init__(self, task: TaskRecord, request: TrialRequest, *, sidecar: Sidecar, launcher: Launcher) -> None:
        self.task = task
        self.request = request
        self.sidecar = sidecar
        self.launcher = launcher
        self.scratch = request.folder / "scratch" / f"{task.number}-{task.attempt}-{task.phase}"
        self.log_path = request.folder / "tasks" / f"{task.phase}-{task.number}-{task.attempt}.log"
        self._session: Session | None = None
        self._trained: Exit | None = None
        self._training_s: float | None = None

    def run(
        self, *, stopping: EarlyStopping, lost: threading.Event, on_launched: Callable[[], None] = lambda: None
    ) -> Outcome:
        """Train, measure, collect; ends early when ``lost`` is set. ``on_launched`` is called while the process starts."""
        try:
            ended = self.train(stopping=stopping, lost=lost, on_launched=on_launched)
            return ended if ended is not None else self.measure(lost)
        finally:
            self.close()

    def train(
        self, *, stopping: EarlyStopping, lost: threading.Event, on_launched: Callable[[], None] = lambda: None
    ) -> Outcome | None:
        """Launch the task estimator and wait for it.

        Returns:
            How the evaluation ended; ``None`` when a model is there to be measured.
        """
        begun = time.monotonic()
        self.scratch.mkdir(parents=True, exist_ok=True)
        message = self._message()
        session = self._session = self.sidecar.open(message, on_progress=stopping, spool_dir=self.scratch)
        task = {"task": message.model_dump(mode="json")}
        handle = self._launch(TTE, session, limit_s=self.request.plan.time_s, payload=task)
        on_launched()
        exited = self._trained = _await(handle, lost)
        self._training_s = time.monotonic() - begun
        failed = self._failure(session, exited, lost)
        if failed is not None:
            return failed
        return None if self.request.devices and session.model is not None else self._collect()

    @property
    def scores(self) -> dict[str, float]:
        """What the task estimator found."""
        result = self._session.outcome if self._session is not None else None
        return dict(result.metrics) if isinstance(result, ResultMessage) else {}

    def measure(self, lost: threading.Event, *, away: set[str] | None = None) -> Outcome:
        """Measure the model on every device, one after the other.

        A device that is away leaves its metrics out; what is known of the candidate counts.

        Args:
            lost: Ends it early.
            away: The devices that were away the last time, which are not waited for long; kept up to date here.
        """
        session = self._opened()
        away = set() if away is None else away
        missing: dict[str, str] = {}
        for device in self.request.devices:
            payload = {
                "device": device,
                "encoding": _details(session).get("encoding"),
                "job": self.task.job_id,
                "patience_s": AWAY_PATIENCE_S if device in away else PATIENCE_S,
                "scratch": str(self.scratch),
                "thorough": self.request.is_trainer,
            }
            limit_s = REMOTE_LIMIT_S if device in self.request.remote else MEASURING_LIMIT_S
            exited = _await(self._launch(DTE, session, limit_s=limit_s, payload=payload), lost)
            if lost.is_set():
                return Outcome(LOST)
            if exited.cause == "timeout" and device in self.request.remote:
                missing[device] = f"no measurement within {limit_s:g} s"
            elif not exited.ok:
                return self._not_measured(device, exited)
        missing |= self._missing(session)
        away.clear()
        away.update(missing)
        outcome = self._collect()
        if not missing:
            return outcome
        said = "; ".join(f"device {device}: {why}" for device, why in missing.items())
        return replace(outcome, cause=DEVICE_LOST, message=said)

    def _missing(self, session: Session) -> dict[str, str]:
        """Return why devices did not measure what an objective asks of them, by name."""
        asked: dict[str, list[str]] = {}
        for objective in self.request.plan.objectives:
            asked.setdefault(objective.get("device") or "local", []).append(objective["metric"])
        missing = {}
        for report in session.deployments:
            wanted = [name for name in asked.get(report["device"], ()) if name in DEPLOYMENT_METRICS]
            absent = [name for name in wanted if name not in report["metrics"]]
            if "lost" in report:
                missing[str(report["device"])] = str(report["lost"])
            elif absent:
                why = report.get("energy_source") if absent == ["energy_mj"] else None
                missing[str(report["device"])] = f"it measured no {', '.join(absent)}{f' ({why})' if why else ''}"
        return missing

    def skip(self, predicted: Mapping[str, float], why: str) -> Outcome:
        """End without measuring.

        Args:
            predicted: What a model of earlier measurements expects, by metric; recorded as such, not as measurements.
            why: A sentence for the person.
        """
        outcome = self._collect()
        return replace(outcome, rewards=outcome.rewards | as_predicted(predicted), cause=SKIPPED, message=why)

    def close(self) -> None:
        """End the session; what a search candidate wrote is removed. Closing twice is fine."""
        if self._session is not None:
            self._session.close()
        if not self.request.is_trainer:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _opened(self) -> Session:
        assert self._session is not None  # noqa: S101  # train() comes first
        return self._session

    def _message(self) -> TaskMessage:
        request, plan, task = self.request, self.request.plan, self.task
        options: dict[str, Any] = {"threads": 1, "scratch": str(self.scratch / "export")}
        if request.export is not None:
            options["export"] = request.export
        if request.save_dir is not None:
            options["save_dir"] = str(request.save_dir)
        if request.space is not None:
            options["space"] = request.space
        return TaskMessage(
            job=task.job_id,
            task=task.id,
            attempt=task.attempt,
            phase=task.phase,
            estimator=plan.estimator,
            config=task.config,
            fidelity=task.fidelity or {},
            data_path=plan.data_path,
            seed=plan.seed,
            is_trainer=request.is_trainer,
            options=options,
        )

    def _launch(self, entry: str, session: Session, *, limit_s: float | None, payload: dict[str, Any]) -> Handle:
        common = {"url": self.sidecar.url, "token": session.token, "data_path": self.request.plan.data_path}
        workload = Workload(
            f"task {self.task.number}",
            entry,
            {**common, "lock_dir": str(self.request.locks), **payload},
            env={"OMP_NUM_THREADS": "1"},
            limits=Limits(self.request.plan.memory_bytes, limit_s),
            log_path=self.log_path,
        )
        return self.launcher.launch(workload)

    def _failure(self, session: Session, exited: Exit, lost: threading.Event) -> Outcome | None:
        """Return why there is no score; ``None`` when there is one."""
        spent: dict[str, Any] = {"duration_s": exited.duration_s, "peak_memory_bytes": exited.peak_memory_bytes}
        if lost.is_set():
            return Outcome(LOST)
        if exited.cause == "timeout":
            limit_s = self.request.plan.time_s
            return Outcome("timeout", cause="timeout", message=f"ended after {limit_s:g} s", **spent)
        if exited.cause in ("killed", "cancelled"):
            return Outcome("failed", cause="killed", message=str(exited), retry=True, **spent)
        told = session.outcome if isinstance(session.outcome, FailureMessage) else None
        if exited.cause == "out_of_memory":
            limit_mb = (self.request.plan.memory_bytes or 0) / 2**20
            message = told.message if told else f"ended at its limit of {limit_mb:.0f} MiB"
            return Outcome("failed", cause="out_of_memory", message=message, **spent)
        if told is not None:
            return Outcome("failed", cause=told.cause, message=told.message, **spent)
        if not exited.ok or session.outcome is None:
            return Outcome("failed", cause="exception", message=exited.message or str(exited), **spent)
        return None

    def _not_measured(self, device: str, exited: Exit) -> Outcome:
        said = exited.message or str(exited)
        return Outcome(
            "failed",
            cause="out_of_memory" if exited.cause == "out_of_memory" else "measurement_failed",
            message=f"device {device}: {said}",
            duration_s=self._training_s,
            retry=exited.cause == "killed",
        )

    def _collect(self) -> Outcome:
        session, exited = self._opened(), self._trained
        rewards, details = self.scores, _details(session)
        measured = [report for report in session.deployments if "lost" not in report]
        for report in measured:
            suffix = "" if report["device"] == "local" else f"@{report['device']}"
            rewards.update({f"{name}{suffix}": value for name, value in report["metrics"].items()})
        return Outcome(
            "succeeded",
            rewards=rewards,
            cause="early_stopped" if details.get("stopped") else None,
            device=", ".join(report["device"] for report in measured) or None,
            duration_s=self._training_s,
            peak_memory_bytes=None if exited is None else exited.peak_memory_bytes,
            encoding=details.get("encoding"),
            model_path=session.model_path,
            deployments=tuple(measured),
        )


def _await(handle: Handle, lost: threading.Event) -> Exit:
    """Wait until it has ended; end it when ``lost`` is set."""
    while True:
        exited = handle.wait(POLL_S)
        if exited is not None:
            return exited
        if lost.is_set():
            handle.cancel()


def _details(session: Session) -> dict[str, Any]:
    return dict(session.outcome.details) if isinstance(session.outcome, ResultMessage) else {}
