"""The formatter: JobSpec -> JobPlan. It reads the data once, decides by rules and by earlier jobs, and says why."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SpecError, UnknownNameError
from ...estimators.metrics import METRICS
from ...settings import Settings
from ..scheduler.resources import Resources, machine_resources
from ..scheduler.scheduler import allocate
from ..spec import JobPlan, JobSpec, Phase
from . import knowledge, rules
from .data_choice import with_data
from .effort import with_effort
from .fidelity import with_fidelity
from .given_space import complete_space
from .objectives import check_devices, check_runtimes, devices_of, known_goals, resolve_objectives

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...data import DataProfile, PreparedData
    from ...deploy import Device
    from ...estimators.bundle import Bundle
    from ...search import Objective, SearchSpace
    from ...store import Store

SMOKE_TRIALS = 2
STOPPING_TRIALS = 10
TRANSFER = "of-trans"


@dataclass(frozen=True)
class CheckedSpec:
    """A request that makes sense: everything named in it exists and fits together."""

    spec: JobSpec
    bundle: Bundle
    space: SearchSpace
    data: PreparedData
    objectives: list[Objective]
    notes: tuple[str, ...] = ()

    @property
    def profile(self) -> DataProfile:
        """What the data look like."""
        return self.data.profile

    @property
    def task_type(self) -> str:
        """``classification`` or ``regression``."""
        return self.data.task


def check(spec: JobSpec, settings: Settings) -> CheckedSpec:
    """Check a request against the data, the bundle, the space, the metrics, the devices and the strategies.

    The data set is prepared here, once: the same file with the same options is found again by its content.

    Raises:
        InputError: What was given cannot be used; nothing has been written then.
    """
    from ...data import prepare
    from ...deploy.devices import read_devices
    from ...estimators.bundle import load_bundle
    from ...search import strategy

    devices = read_devices(settings.home_path)
    check_runtimes(spec.runtimes)
    bundle = load_bundle(spec.estimator)
    bundle.estimator_class()
    spec = with_data(spec, bundle, settings)
    space, notes = _space(spec, bundle)
    strategy(with_fidelity(spec.strategy, bundle, trials=spec.trials)[0])
    if spec.task != "auto":
        _objectives(spec, bundle, spec.task, devices)
    data = prepare(
        spec.data,
        spec.target,
        _data_path(spec, settings),
        task=spec.task,
        seed=spec.seed,
        drop=spec.drop,
        categorical=spec.categorical,
        delimiter=spec.delimiter,
        accept=lambda profile: check_devices(_objectives(spec, bundle, profile.task, devices), devices),
    )
    objectives = _objectives(spec, bundle, data.task, devices)
    notes = [*notes, *check_devices(objectives, devices)]
    return CheckedSpec(spec, bundle, space, data, objectives, tuple(notes))


def _objectives(spec: JobSpec, bundle: Bundle, task_type: str, devices: Mapping[str, Device]) -> list[Objective]:
    """Return the objectives for a kind of task that the bundle does."""
    if task_type not in bundle.tasks:
        raise SpecError(
            f"Estimator {bundle.name!r} does {' and '.join(bundle.tasks)}, but {spec.target!r} is a target of {task_type}.",
            hint=f"Give another estimator, or say --task {bundle.tasks[0]} if the target should be read so.",
        )
    goals = known_goals(bundle, task_type)
    try:
        default = bundle.primary_metric(task_type)
        return resolve_objectives(spec.objectives, goals=goals, default=default, devices=devices)
    except UnknownNameError as e:
        if e.kind != "metric" or e.name not in METRICS:
            raise
        raise SpecError(f"Metric {e.name!r} does not suit {task_type} of {spec.target!r}.", hint=e.hint) from e


def format_job(
    checked: CheckedSpec, settings: Settings, store: Store, *, resources: Resources | None = None
) -> JobPlan:
    """Make the plan of a checked request, fitted to what is free.

    Args:
        checked: The request.
        settings: Where things live.
        store: Asked for earlier jobs and for what runs now.
        resources: What is free; measured when not given.
    """
    from ...deploy.devices import read_devices

    spec, profile = checked.spec, checked.profile
    reasons = [f"{profile.rows} rows, {profile.contents}; {checked.task_type} of {spec.target!r}."]
    reasons += [*profile.warnings, *checked.notes]
    space = checked.space
    if spec.space is None:
        space, why = rules.narrow(space, profile)
        reasons += why
    learned = knowledge.recall(store, checked.task_type, profile.meta_features(), space=space, bundle=checked.bundle)
    chosen, why = _strategy(spec, store, checked, learned.configs)
    reasons += why
    width = checked.data.width
    memory = rules.memory_limit(profile.rows, width, asked_mb=spec.memory_mb)
    limit = rules.time_limit(profile.rows, width, asked_s=spec.trial_timeout_s)
    running = [job for job in store.jobs.list(states=("running",)) if job.plan]
    allocation = allocate(
        resources or machine_resources(),
        asked_workers=spec.workers,
        memory_bytes=memory.value,
        trials=spec.trials,
        claimed_workers=[int((job.plan or {}).get("workers", 0)) for job in running],
    )
    fidelity = checked.bundle.fidelity
    full: dict[str, float] | None = None if fidelity is None else {fidelity.name: float(fidelity.max)}
    searched_at: dict[str, float] | None = None if fidelity is None else {fidelity.name: float(fidelity.default_value)}
    stopping, why = _stopping(spec, checked)
    reasons += why
    return JobPlan(
        task_type=checked.task_type,
        estimator=spec.estimator,
        space=space.to_dict(),
        space_hash=space.hash,
        objectives=[objective.to_dict() for objective in checked.objectives],
        phases=_phases(spec, space, searched_at, checked, chosen),
        data_path=str(checked.data.root),
        data_version=checked.data.data_version,
        workers=allocation.workers,
        memory_bytes=allocation.memory_bytes,
        time_s=limit.value,
        time_budget_s=spec.time_budget_s,
        lease_s=settings.lease_s,
        wait=spec.wait,
        seed=spec.seed,
        final_fidelity=full,
        early_stopping=stopping != "none",
        stopping="median" if stopping == "none" else stopping,
        devices=devices_of(checked.objectives, read_devices(settings.home_path)),
        measure=spec.measure,
        runtimes=list(spec.runtimes),
        tuning_s=spec.tuning_s,
        warm_start=learned.configs,
        reasons=[*reasons, *learned.reasons, memory.reason, limit.reason, *allocation.reasons],
    )


def _strategy(
    spec: JobSpec, store: Store, checked: CheckedSpec, warm_start: list[dict[str, Any]]
) -> tuple[str | dict[str, Any], list[str]]:
    """Return the strategy of the search, with what it is given of earlier jobs, and sentences that say so.

    What is handed over becomes part of the plan, so that a job that is resumed goes on exactly.
    """
    from ...search.strategy import one_choice

    name, options = one_choice(spec.strategy, "strategy")
    if name == TRANSFER and "tasks" not in options:
        meta_features = checked.profile.meta_features()
        tasks, why = knowledge.earlier_tasks(store, checked.task_type, meta_features, bundle=checked.bundle)
        if tasks:
            return with_effort({TRANSFER: {**options, "tasks": tasks}}, trials=spec.trials), why
    asked, why = with_fidelity(spec.strategy, checked.bundle, trials=spec.trials)
    asked = with_effort(asked, trials=spec.trials)
    if warm_start:
        return {"seeded": {"configs": warm_start, "then": asked}}, why
    return asked, why


def _stopping(spec: JobSpec, checked: CheckedSpec) -> tuple[str, list[str]]:
    """Return the rule by which a training is cut short, ``none`` for never, and a sentence where that was chosen."""
    if checked.bundle.fidelity is None or spec.trials < STOPPING_TRIALS:
        return "none", []
    if spec.stopping != "auto":
        return spec.stopping, []
    if sum(objective.optimized for objective in checked.objectives) > 1:
        return "none", ["No training is cut short: with several objectives a lower score can be on the Pareto front."]
    return "median", []


def _phases(
    spec: JobSpec,
    space: SearchSpace,
    fidelity: dict[str, float] | None,
    checked: CheckedSpec,
    strategy: str | dict[str, Any],
) -> list[Phase]:
    search = Phase("search", spec.trials, strategy, fidelity)
    if spec.kind == "nocode":
        return [search]
    least = checked.bundle.fidelity
    smallest: dict[str, float] | None = None if least is None else {least.name: float(least.min)}
    default = {"seeded": {"configs": [space.default()], "then": "random"}}
    return [Phase("smoke", SMOKE_TRIALS, default, smallest), Phase("default", 1, default, fidelity), search]


def _space(spec: JobSpec, bundle: Bundle) -> tuple[SearchSpace, list[str]]:
    from ...search import SearchSpace

    if spec.space is None:
        return bundle.space, []
    return complete_space(SearchSpace.from_dict(spec.space), bundle.space, estimator=bundle.name)


def _data_path(spec: JobSpec, settings: Settings) -> Path:
    stat = Path(spec.data).stat() if Path(spec.data).is_file() else None
    asked = [spec.data, spec.target, spec.task, spec.seed, spec.drop, spec.categorical, spec.delimiter]
    asked += [] if stat is None else [stat.st_size, stat.st_mtime_ns]
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    return settings.home_path / "data" / key
