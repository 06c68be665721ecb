"""What the ``start`` component does: find or create the job, make its plan once, mark it as running."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import SpecError
from ...settings import Settings, load_settings
from ..formatter.formatter import check, format_job
from ..spec import JobPlan, JobSpec, parse_duration

if TYPE_CHECKING:
    from ...store import JobRecord, Store


class Started(NamedTuple):
    """The job and one index a worker."""

    job: str
    workers: list[int]


def begin(job: str, **request: Any) -> Started:
    """Start a job from the parameters of a pipeline run.

    Args:
        job: The id of a job that was created before (by the command line, or to be resumed); empty creates one.
        **request: The pipeline's parameters; empty text and zero mean "not given".
    """
    from ...store import open_store

    settings = load_settings()
    with open_store(settings.resolved_store_url) as store:
        if job:
            record = store.jobs.get(job)
        else:
            checked = check(spec_of_request(request), settings)  # a request that cannot be used leaves no job behind
            record = create_job(store, checked.spec)
        plan = plan_job(store, record, settings)
        store.jobs.start(record.id)
        store.events.append(record.id, "started", {"workers": plan.workers, "reasons": plan.reasons})
        return Started(record.id, list(range(plan.workers)))


def create_job(store: Store, spec: JobSpec) -> JobRecord:
    """Record a new job, queued."""
    name = spec.name or _name_of(spec.data) or spec.kind
    return store.jobs.create(f"{name}-{secrets.token_hex(3)}", name=name, kind=spec.kind, spec=spec.model_dump())


def _name_of(data: str) -> str:
    """Return what a data file is called, as a model family can be: ``/data/churn 2024.csv.gz`` is ``churn-2024``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(data).name.partition(".")[0]).strip("-_")[:100]


def plan_job(store: Store, record: JobRecord, settings: Settings) -> JobPlan:
    """Return the job's plan; made and stored when it has none."""
    if record.plan:
        return JobPlan.from_dict(record.plan)
    plan = format_job(check(JobSpec.parse(record.spec), settings), settings, store)
    store.jobs.set_plan(record.id, plan.to_dict())
    return plan


def spec_of_request(request: dict[str, Any]) -> JobSpec:
    """Read the parameters of a pipeline run, where nothing can be ``None``."""
    given = {key: value for key, value in request.items() if value not in ("", 0, [], None)}
    given["tuning_s"] = parse_duration(given.pop("tuning", None), name="tuning budget")
    given = {key: value for key, value in given.items() if value is not None}
    given["time_budget_s"] = parse_duration(given.pop("time_budget", None))
    given["trial_timeout_s"] = parse_duration(given.pop("trial_timeout", None), name="trial timeout")
    if str(given.get("strategy", "")).startswith("{"):
        given["strategy"] = _read_json(given["strategy"], name="strategy")
    if "space" in given:
        from ...search import SearchSpace

        given["space"] = SearchSpace.from_yaml(given["space"]).to_dict()
    return JobSpec.parse(given)


def _read_json(text: str, *, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as e:
        hint = 'Write a name, or one name with its options: {"evolution": {"population_size": 50}}.'
        raise SpecError(f"The {name} {text!r} is not JSON: {e}.", hint=hint) from e


def request_of_spec(spec: JobSpec) -> dict[str, Any]:
    """Return the parameters of the pipeline run that asks for ``spec``."""
    request: dict[str, Any] = {
        **spec.model_dump(
            include={"data", "target", "name", "task", "estimator", "trials", "wait", "stopping", "measure", "seed"}
        ),
        "runtimes": list(spec.runtimes),
        "tuning": f"{spec.tuning_s}s",
        "objectives": list(spec.objectives),
        "time_budget": "" if spec.time_budget_s is None else f"{spec.time_budget_s}s",
        "trial_timeout": "" if spec.trial_timeout_s is None else f"{spec.trial_timeout_s}s",
        "workers": spec.workers or 0,
        "memory_mb": spec.memory_mb or 0,
        "strategy": spec.strategy if isinstance(spec.strategy, str) else json.dumps(spec.strategy),
        "space": "" if spec.space is None else json.dumps(spec.space),
        "drop": list(spec.drop),
        "categorical": list(spec.categorical),
        "delimiter": spec.delimiter or "",
    }
    return request
