"""A job as JSON: the documented, stable form that ``jobs list|show --json`` print and the Python client returns."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import leaderboard
from .measured import unmeasured
from .tradeoff import explain_knee

if TYPE_CHECKING:
    from ..search import Objective
    from ..store import JobRecord, Store, TaskRecord, WorkerRecord

SEARCH = "search"
ALIVE = ("starting", "idle", "busy")


def objectives_of(job: JobRecord) -> list[Objective]:
    """Return the objectives of a job's plan; none before the formatter made it."""
    from ..search import Objective

    return [Objective.from_dict(values) for values in (job.plan or {}).get("objectives", [])]


def job_summary(store: Store, job: JobRecord) -> dict[str, Any]:
    """Return ``{id, name, kind, state, created_at, best, tasks}``; ``tasks`` counts the search's tasks by state."""
    objectives = objectives_of(job)
    tasks = store.broker.tasks(job.id, phase=SEARCH)
    return _summary(job, objectives, tasks, counts=store.broker.counts(job.id, phase=SEARCH))


def job_document(store: Store, job: JobRecord, *, top: int | None = None) -> dict[str, Any]:
    """Return the whole job.

    Args:
        store: The record of work.
        job: The job.
        top: At most this many rows of the leaderboard; ``None`` is all.
    """
    objectives = objectives_of(job)
    tasks = store.broker.tasks(job.id, phase=SEARCH)
    result = job.result or {}
    board = leaderboard.ranked(tasks, objectives) if objectives else []
    front = leaderboard.pareto(tasks, objectives) if objectives else []
    return {
        **_summary(job, objectives, tasks, counts=store.broker.counts(job.id, phase=SEARCH)),
        "workers": [_worker(worker, silent_s=_silent_s(job)) for worker in store.workers.list(job.id)],
        "objectives": [{**objective.to_dict(), "key": objective.key} for objective in objectives],
        "leaderboard": [leaderboard.row(task) for task in board[:top]],
        "pareto": [task.number for task in front],
        "model": result.get("model"),
        "report": result.get("report"),
        "phases": {name: store.broker.counts(job.id, phase=name) for name in _phases(job)},
        "started_at": _iso(job.started_at),
        "finished_at": _iso(job.finished_at),
        "failures": [_failure(task) for task in tasks if task.state in ("failed", "timeout")],
        "unmeasured": [{"task": t.number, "cause": t.cause, "message": t.message} for t in unmeasured(tasks)],
        "knee": _knee(tasks, objectives),
        "reasons": (job.plan or {}).get("reasons", []),
        "space": _space(job),
        "error": job.error,
    }


def _summary(
    job: JobRecord, objectives: list[Objective], tasks: list[TaskRecord], *, counts: dict[str, int]
) -> dict[str, Any]:
    best = leaderboard.winner(tasks, objectives) if objectives else None
    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "state": job.state,
        "created_at": _iso(job.created_at),
        "best": None if best is None else leaderboard.row(best),
        "tasks": counts,
    }


def _knee(tasks: list[TaskRecord], objectives: list[Objective]) -> dict[str, Any] | None:
    """Return which task of the front is recommended, and why; None for one objective, and without a front."""
    if len(objectives) < 2:
        return None
    explained = explain_knee(tasks, objectives)
    return None if explained is None else {"task": explained.task.number, "reason": explained.reason}


def _phases(job: JobRecord) -> list[str]:
    return [phase["name"] for phase in (job.plan or {}).get("phases", [])]


def _space(job: JobRecord) -> dict[str, Any] | None:
    """Return the version of the space that is searched, from 1, and its hash; None before the formatter made the plan."""
    plan = job.plan or {}
    if "space_hash" not in plan:
        return None
    return {"version": len(plan.get("space_versions", [])) + 1, "hash": plan["space_hash"]}


def _silent_s(job: JobRecord) -> float:
    """Return after how many seconds without a sign of life a worker is lost: its lease, which it renews far sooner."""
    return float((job.plan or {}).get("lease_s", math.inf))


def _worker(worker: WorkerRecord, *, silent_s: float) -> dict[str, Any]:
    silent = worker.state in ALIVE and worker.heartbeat_age_s > silent_s
    return {
        "id": worker.id,
        "pid": worker.pid,
        "host": worker.host,
        "state": "lost" if silent else worker.state,
        "heartbeat_age_s": round(worker.heartbeat_age_s, 3),
    }


def _failure(task: TaskRecord) -> dict[str, Any]:
    return {
        "task": task.number,
        "state": task.state,
        "cause": task.cause,
        "message": task.message,
        "attempt": task.attempt,
        "config": task.config,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
