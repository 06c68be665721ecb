"""Runs a compiled pipeline: one scheduler loop that launches tasks, waits for them and hands their outputs on.

No thread per task and no patch of anything global: a task is a workload of the given launcher, its log is a file, and
what happens is told to ``on_event``. The loop sleeps on a running task for at most 20 ms at a time, so that it sees
any task end, a stop and an interrupt at once.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ComponentError, LaunchError, SpecError
from .child import ENTRY
from .failure import component_error
from .graph import Graph
from .ir import Json, PipelineIR, definitions_of, load_ir
from .result import RunResult, RunStoppedError, TaskEvent, TaskResult, TaskState
from .scope import Node
from .support import TIMEOUT, check_supported
from .task import LOG_FILE, prepare, read_failure, read_outputs
from .values import bind

if TYPE_CHECKING:
    from ...launch import Exit, Handle, Launcher

logger = logging.getLogger(__name__)

WAIT_S = 0.02
"""The longest sleep of the loop while tasks run."""

_DURATION_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def run_local(
    pipeline: Path | str | Json,
    arguments: Mapping[str, Any],
    *,
    workspace: Path,
    launcher: Launcher,
    environment: Mapping[str, str] | None = None,
    on_event: Callable[[TaskEvent], None] | None = None,
    stop: threading.Event | None = None,
) -> RunResult:
    """Run a compiled pipeline on this machine to its end.

    Every run gets a folder of its own in ``workspace``, and every task a folder in that with its log, inputs and
    outputs: ``<workspace>/<run>/worker.2/log.txt`` is the third iteration of a loop over ``worker``. Nothing is
    cached or deleted.

    Args:
        pipeline: The compiled pipeline: a file, or the parsed document.
        arguments: Values of the pipeline's parameters; defaults fill in the rest.
        workspace: Where runs are written; created if need be.
        launcher: Starts the tasks; stays open, the caller closes it.
        environment: Variables for every task; they win over those that the pipeline sets for its containers.
        on_event: Called in this thread for every change of a task's state.
        stop: When set, every task is stopped and the run ends.

    Returns:
        What every task gave.

    Raises:
        SpecError: The pipeline cannot run here, the workspace cannot be written, or an argument is missing or wrong;
            nothing has been started.
        UnknownNameError: An argument has no such parameter.
        ComponentError: A component failed, after its retries; the others were stopped. ``details`` has the traceback.
        RunStoppedError: ``stop`` was set; every task has been stopped.
        KeyboardInterrupt: Ctrl-C; every task has been stopped.
    """
    ir = load_ir(pipeline)
    check_supported(ir)
    inputs = bind(definitions_of(ir.root), arguments, pipeline=ir.name)
    folder = _new_folder(workspace, ir.name)
    run = _Run(ir, inputs, folder=folder, launcher=launcher, environment=environment or {}, on_event=on_event)
    return run.to_its_end(stop or threading.Event())


@dataclass
class _Attempt:
    """One try of one component."""

    node: Node
    number: int
    folder: Path
    log_path: Path
    handle: Handle
    started_at_s: float
    cancelled: bool = False


class _Run:
    def __init__(
        self,
        ir: PipelineIR,
        inputs: Mapping[str, Any],
        *,
        folder: Path,
        launcher: Launcher,
        environment: Mapping[str, str],
        on_event: Callable[[TaskEvent], None] | None,
    ) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        names = {
            "pipeline_job_name": folder.name,
            "pipeline_job_resource_name": folder.name,
            "pipeline_job_uuid": folder.name,
            "pipeline_job_create_time_utc": now,
            "pipeline_job_schedule_time_utc": now,
            "pipeline_root": str(folder),
        }
        self._ir = ir
        self._graph = Graph(ir, inputs, names=names)
        self._folder = folder
        self._left = f"What its tasks wrote is in {folder}."
        self._launcher = launcher
        self._environment = environment
        self._on_event = on_event
        self._began_at_s = time.monotonic()
        self._running: list[_Attempt] = []
        self._retries: list[tuple[float, Node, int]] = []  # (when, what, the attempt's number)
        self._results: dict[str, TaskResult] = {}
        self._error: ComponentError | None = None

    def to_its_end(self, stop: threading.Event) -> RunResult:
        try:
            while True:
                self._advance()
                if not self._running and not self._retries:
                    break
                self._wait(stop)
                if stop.is_set():
                    raise RunStoppedError(f"The run of pipeline {self._ir.name!r} was stopped.", hint=self._left)
                self._reap()
        finally:
            self._stop_all()
        if self._error is not None:
            raise self._error
        duration_s = time.monotonic() - self._began_at_s
        return RunResult(self._folder, self._results, self._graph.outputs(), duration_s)

    def _advance(self) -> None:
        """Start all that can start now."""
        now_s = time.monotonic()
        due = [retry for retry in self._retries if retry[0] <= now_s]
        self._retries = [retry for retry in self._retries if retry[0] > now_s]
        for _, node, number in due:
            self._try_launch(node, number)
        while True:
            failed_before = self._graph.failed
            progress = self._graph.advance()
            for node in progress.skipped:
                self._tell(node, "skipped")
            for node, reason in progress.refused:
                self._fail(node, ComponentError(node.title, reason))
            for node in progress.started:
                if self._graph.failed and not node.protected:
                    self._graph.cancel(node)
                else:
                    self._try_launch(node, 1)
            if self._graph.failed == failed_before:
                return  # else what runs on failure may start now

    def _try_launch(self, node: Node, number: int) -> None:
        try:
            self._launch(node, number)
        except (LaunchError, OSError) as e:
            self._fail(node, ComponentError(node.title, f"It could not be started: {e}"))

    def _launch(self, node: Node, number: int) -> None:
        from ...launch import Limits, Workload

        component = self._ir.component(node.task)
        python = self._ir.python_component(component)
        if python is None:  # check_supported has refused such a pipeline
            raise SpecError(f"Task {node.title!r} is not a Python component.")
        folder = self._folder.joinpath(*node.title.split("/"))
        prepare(folder, component, python, node.inputs)
        log_path = folder / LOG_FILE
        timeout_s = self._ir.kubernetes.get(self._ir.executor_label(component), {}).get(TIMEOUT)
        workload = Workload(
            name=node.title,
            entry=ENTRY,
            payload={"folder": str(folder), "function": python.function},
            env={**python.environment, **self._environment},
            limits=Limits(memory_bytes=None, time_s=float(timeout_s) if timeout_s else None),
            log_path=log_path,
            cwd=None,
        )
        handle = self._launcher.launch(workload)
        attempt = _Attempt(node, number, folder, log_path, handle, time.monotonic())
        self._running.append(attempt)
        self._tell(node, "started", attempt)

    def _wait(self, stop: threading.Event) -> None:
        if self._running:
            self._running[0].handle.wait(WAIT_S)
        else:
            stop.wait(max(0.0, min(when for when, _, _ in self._retries) - time.monotonic()))

    def _reap(self) -> None:
        """Take note of every task that has ended."""
        ended = [(attempt, attempt.handle.poll()) for attempt in self._running]
        self._running = [attempt for attempt, ending in ended if ending is None]
        for attempt, ending in ended:
            if ending is None:
                continue
            if ending.ok and not attempt.cancelled:
                self._succeed(attempt)
            elif attempt.cancelled:
                self._graph.cancel(attempt.node)
                self._tell(attempt.node, "cancelled", attempt)
            else:
                self._retry_or_fail(attempt, ending)

    def _succeed(self, attempt: _Attempt) -> None:
        node, component = attempt.node, self._ir.component(attempt.node.task)
        try:
            parameters, artifacts = read_outputs(attempt.folder, component)
        except SpecError as e:
            self._fail(node, ComponentError(node.title, e.message, hint=f"The log is {attempt.log_path}."), attempt)
            return
        self._graph.succeed(node, {**parameters, **artifacts})
        self._results[node.title] = TaskResult(
            task=node.title,
            component=str(node.task["componentRef"]["name"]).removeprefix("comp-"),
            outputs=parameters,
            artifacts=artifacts,
            folder=attempt.folder,
            log_path=attempt.log_path,
            duration_s=time.monotonic() - attempt.started_at_s,
            attempt=attempt.number,
        )
        self._tell(node, "succeeded", attempt)

    def _retry_or_fail(self, attempt: _Attempt, ending: Exit) -> None:
        node = attempt.node
        error = component_error(
            node.title,
            ending,
            record=read_failure(attempt.folder),
            log=attempt.handle.logs(),
            log_path=attempt.log_path,
        )
        policy = node.task.get("retryPolicy", {})
        wrong_input = error.exit_code == 2 and not error.retryable  # the same input will fail again
        if wrong_input or self._graph.failed or attempt.number > int(policy.get("maxRetryCount", 0)):
            self._fail(node, error, attempt)
            return
        delay_s = backoff_s(policy, attempt.number)
        self._retries.append((time.monotonic() + delay_s, node, attempt.number + 1))
        logger.warning("%s Attempt %d of task %r follows in %g s.", error, attempt.number + 1, node.title, delay_s)
        self._tell(node, "retrying", attempt, message=error.message)

    def _fail(self, node: Node, error: ComponentError, attempt: _Attempt | None = None) -> None:
        """Record a failure and stop the other tasks; the first failure is the one that the run reports."""
        self._graph.fail(node)
        self._tell(node, "failed", attempt, message=error.message)
        if self._error is not None:
            return
        self._error = error
        for _, waiting, _ in self._retries:
            self._graph.cancel(waiting)
            self._tell(waiting, "cancelled")
        self._retries = []
        for other in self._running:
            if not other.node.protected:
                other.cancelled = True
                other.handle.cancel()

    def _stop_all(self) -> None:
        """Stop what still runs; after a run that has come to its end that is nothing."""
        for attempt in self._running:
            attempt.handle.cancel()
        for attempt in self._running:
            attempt.handle.wait()
        self._running = []

    def _tell(
        self, node: Node, state: TaskState, attempt: _Attempt | None = None, *, message: str | None = None
    ) -> None:
        if self._on_event is None:
            return
        now_s = time.monotonic()
        ended = attempt is not None and state != "started"
        event = TaskEvent(
            task=node.title,
            label=node.label,
            state=state,
            at_s=now_s - self._began_at_s,
            attempt=attempt.number if attempt is not None else 1,
            log_path=attempt.log_path if attempt is not None else None,
            duration_s=now_s - attempt.started_at_s if attempt is not None and ended else None,
            message=message,
        )
        self._on_event(event)


def backoff_s(policy: Json, attempt: int) -> float:
    """Return how long to wait after a failed attempt, in seconds.

    Args:
        policy: The task's ``retryPolicy``: durations such as ``"30s"``, and a factor.
        attempt: The number of the attempt that failed, from 1.
    """
    first_s = _seconds(policy.get("backoffDuration", "0s"))
    factor = float(policy.get("backoffFactor", 2.0)) or 2.0
    longest_s = _seconds(policy.get("backoffMaxDuration", "3600s"))
    return float(min(first_s * factor ** (attempt - 1), longest_s))


def _seconds(text: str) -> float:
    unit = _DURATION_UNITS.get(text[-1:])
    return float(text) if unit is None else float(text[:-1]) * unit


def _new_folder(workspace: Path, name: str) -> Path:
    """Create the folder of a run, named after the pipeline and the time; no two runs share one."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{name}-{stamp}")
    base = workspace.expanduser().absolute()
    try:
        base.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = base / (stem if number == 1 else f"{stem}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                break
    except OSError as e:
        raise SpecError(f"Workspace {str(workspace)!r} cannot be written: {e.strerror}.") from e
    return folder
