from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.formatter.formatter import CheckedSpec, check, format_job
from omniforge.components.formatter.knowledge import remember
from omniforge.components.scheduler.resources import Resources
from omniforge.components.spec import JobPlan, JobSpec
from omniforge.deploy.devices import Device, add_device
from omniforge.errors import BundleError, DataError, SpaceError, SpecError, UnknownNameError
from omniforge.search import Objective, SearchSpace, strategy
from omniforge.settings import Settings
from omniforge.sidecar.device.agent import DeviceAgent
from omniforge.sidecar.device.connection import DeviceLostError
from omniforge.store import JobRecord, Store, TaskRecord

MACHINE = Resources(cores=4, memory_bytes=64 * 2**30)
Check = Callable[..., CheckedSpec]


@pytest.fixture
def checked(settings: Settings, iris_csv: Path) -> Check:
    """Check a request for the iris data; the tabular estimator, unless told otherwise."""

    def run(**changes: Any) -> CheckedSpec:
        return check(JobSpec.parse({"data": str(iris_csv), "target": "species", **changes}), settings)

    return run


def test_a_nocode_request_becomes_a_plan_with_reasons(checked: Check, settings: Settings, store: Store) -> None:
    request = checked(objectives=("roc_auc", "latency_ms<=5"), trials=20, strategy="sobol", seed=3, time_budget_s=60)
    plan = format_job(request, settings, store, resources=MACHINE)
    assert (plan.task_type, plan.estimator, plan.workers, plan.seed) == ("classification", "tabular", 4, 3)
    (phase,) = plan.phases
    assert (phase.name, phase.trials, phase.strategy) == ("search", 20, "sobol")
    assert phase.fidelity == plan.final_fidelity == {"run_epochs": 100.0}
    assert [(o["metric"], o["goal"], o["bound"]) for o in plan.objectives] == [
        ("roc_auc", "max", None),
        ("latency_ms", "min", 5.0),
    ]
    assert plan.devices == ["local"]
    assert not plan.early_stopping
    assert any("Pareto front" in reason for reason in plan.reasons)
    assert (plan.time_budget_s, plan.time_s, plan.lease_s) == (60.0, 120.0, settings.lease_s)
    assert SearchSpace.from_dict(plan.space).hash == plan.space_hash
    assert plan.reasons[0] == "150 rows, 4 columns used; classification of 'species'."
    assert any("workers" in reason for reason in plan.reasons)
    assert JobPlan.from_dict(plan.to_dict()) == plan


@pytest.mark.parametrize(
    ("objectives", "asked", "rule"),
    [
        (("roc_auc",), "auto", "median"),
        (("roc_auc", "latency_ms<=5*0"), "auto", "median"),
        (("roc_auc", "latency_ms"), "auto", None),
        (("roc_auc", "latency_ms"), "learning-curve", "learning-curve"),
        (("roc_auc",), "none", None),
    ],
)
def test_trainings_are_cut_short_where_the_score_is_all_that_counts(
    objectives: tuple[str, ...], asked: str, rule: str | None, checked: Check, settings: Settings, store: Store
) -> None:
    plan = format_job(checked(objectives=objectives, stopping=asked, trials=20), settings, store, resources=MACHINE)
    assert (plan.stopping if plan.early_stopping else None) == rule


def test_a_device_is_asked_before_anything_runs(
    checked: Check, settings: Settings, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    with DeviceAgent("kitchen", folder, token="secret") as agent:
        add_device(settings.home_path, Device("pi", url=agent.url, token="secret", aliases=("kp",)))
        request = checked(objectives=("accuracy", "latency_ms@kp<=5"))
        assert request.objectives[1].key == "latency_ms@pi"
        with pytest.raises(SpecError, match="given 2 times"):
            checked(objectives=("accuracy", "latency_ms@kp", "latency_ms@pi"))
        assert any("Device 'pi'" in note for note in request.notes)
        assert format_job(request, settings, store, resources=MACHINE).devices == ["pi"]
        add_device(settings.home_path, Device("bare", url="tvm-rpc://127.0.0.1:9090"))
        with pytest.raises(SpecError, match="bare TVM server"):
            checked(objectives=("accuracy", "latency_ms@bare"))
        with pytest.raises(SpecError, match="energy_mj"):
            checked(objectives=("accuracy", "energy_mj@pi"))
    with pytest.raises(DeviceLostError, match="'pi'"):
        checked(objectives=("accuracy", "latency_ms@pi"))


def test_an_hpo_request_is_tried_and_its_default_scored_first(
    probe: Path, checked: Check, settings: Settings, store: Store
) -> None:
    request = checked(kind="hpo", estimator=str(probe), trials=5)
    plan = format_job(request, settings, store, resources=MACHINE)
    assert [(phase.name, phase.trials) for phase in plan.phases] == [("smoke", 2), ("default", 1), ("search", 5)]
    # the bundle names no default fidelity: a search takes the full one
    assert [phase.fidelity for phase in plan.phases] == [{"run_epochs": 1.0}, {"run_epochs": 4.0}, {"run_epochs": 4.0}]
    assert plan.phase("default").strategy == {
        "seeded": {"configs": [{"act": "fit", "strength": 1.0}], "then": "random"}
    }
    assert not plan.early_stopping


def test_the_winners_of_earlier_jobs_are_tried_first(checked: Check, settings: Settings, store: Store) -> None:
    request = checked(strategy="random")
    config = request.space.default()
    remember(
        store, "earlier", task_type="classification", meta_features=request.profile.meta_features(),
        bundle_name="tabular", config=config, rewards={}, duration_s=None,
    )  # fmt: skip
    plan = format_job(request, settings, store, resources=MACHINE)
    assert plan.warm_start == [config]
    assert plan.phase("search").strategy == {"seeded": {"configs": [config], "then": "random"}}
    assert any("earlier" in reason for reason in plan.reasons)


def test_a_search_that_learns_from_earlier_jobs_is_given_what_they_evaluated(
    checked: Check, settings: Settings, store: Store, probe: Path, make_plan: Callable[..., JobPlan],
    make_job: Callable[..., JobRecord], add_task: Callable[..., TaskRecord],
) -> None:  # fmt: skip
    request = checked(strategy={"of-trans": {"method": "rgpe"}}, estimator=str(probe))
    assert format_job(request, settings, store, resources=MACHINE).phase("search").strategy == {
        "of-trans": {"method": "rgpe", "budget": 50}
    }
    make_job(make_plan())
    for strength in (0.5, 1.0, 50.0):
        add_task(strength=strength, rewards={"accuracy": strength / 100})
    for job_id in ("job", "job", "deleted"):
        remember(
            store, job_id, task_type="classification", meta_features=request.profile.meta_features(),
            bundle_name="probe", config={"act": "fit", "strength": 50.0}, rewards={}, duration_s=None,
        )  # fmt: skip
    plan = format_job(request, settings, store, resources=MACHINE)
    options = plan.phase("search").strategy["of-trans"]  # type: ignore[call-overload, index]
    assert options["method"] == "rgpe"
    (task,) = options["tasks"]  # type: ignore[str-unpack]
    assert (task["name"], task["space"]) == ("job", make_plan().space)
    assert [row["metrics"]["accuracy"] for row in task["observations"]] == [0.005, 0.01, 0.5]
    assert any("learns from 1 similar jobs: job (3 tasks)" in reason for reason in plan.reasons)
    made = strategy(plan.phase("search").strategy)
    made.bind_space(SearchSpace.from_dict(plan.space), [Objective("accuracy", "max")], seed=0)
    assert made.generate_tasks(1)[0].config == {"act": "fit", "strength": 50.0}
    own = checked(strategy={"of-trans": {"tasks": []}}, estimator=str(probe))  # what a person gives is taken as it is
    search = format_job(own, settings, store, resources=MACHINE).phase("search").strategy
    assert search["seeded"]["then"] == {"of-trans": {"tasks": [], "budget": 50}}  # type: ignore[call-overload, index]


def test_a_given_space_is_not_narrowed(checked: Check, settings: Settings, store: Store, tmp_path: Path) -> None:
    lines = (Path(checked().spec.data)).read_text().splitlines()
    few = tmp_path / "few.csv"
    few.write_text("\n".join([lines[0], *lines[1:151:2]]))
    own = checked(data=str(few))
    assert (
        "mlp"
        not in SearchSpace.from_dict(format_job(own, settings, store, resources=MACHINE).space).to_dict()["algorithm"][
            "range"
        ]
    )
    given = checked(data=str(few), space={"algorithm": {"type": "choice", "range": ["mlp", "linear"]}})
    plan = format_job(given, settings, store, resources=MACHINE)
    assert list(SearchSpace.from_dict(plan.space).parameters["algorithm"].domain.values) == ["mlp", "linear"]


def test_workers_of_running_jobs_are_not_given_again(
    checked: Check, settings: Settings, store: Store,
    make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord],
) -> None:  # fmt: skip
    make_job(make_plan(workers=3))
    assert format_job(checked(), settings, store, resources=MACHINE).workers == 1
    store.jobs.finish("job", "succeeded")
    assert format_job(checked(), settings, store, resources=MACHINE).workers == 4


def test_the_same_data_with_the_same_options_is_prepared_once(checked: Check) -> None:
    first, again, other = checked().data, checked().data, checked(seed=1).data
    assert first.root == again.root != other.root
    assert first.data_version == other.data_version


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"target": "speces"}, DataError, "'species'"),
        ({"task": "regression"}, DataError, "species"),
        ({"objectives": ("acuracy",)}, UnknownNameError, "'accuracy'"),
        ({"objectives": ("rmse",)}, SpecError, "does not suit classification of 'species'"),
        ({"objectives": ("accuracy", "latency_ms@moon")}, UnknownNameError, "device named 'moon'"),
        ({"objectives": ("accuracy", "energy_mj")}, SpecError, "Energy is never estimated"),
        ({"runtimes": ("onnxrntime",)}, UnknownNameError, "'onnxruntime'"),
        ({"strategy": "boo"}, UnknownNameError, "'bo'"),
        ({"strategy": {"evolution": {"speed": 3}}}, SpecError, "'speed'"),
        ({"estimator": "tabulr"}, BundleError, "'tabular'"),
        ({"space": {"algorithm": {"type": "choise", "range": ["knn"]}}}, SpaceError, "'choise'"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_and_nothing_is_written(
    changes: dict[str, Any], error: type[Exception], says: str, checked: Check, settings: Settings
) -> None:
    with pytest.raises(error) as caught:
        checked(**changes)
    assert says in str(caught.value)
    assert not (settings.home_path / "data").exists() or list((settings.home_path / "data").iterdir()) == []


def test_an_estimator_that_does_not_do_the_task_is_named(
    probe: Path, iris_csv: Path, checked: Check, settings: Settings
) -> None:
    with pytest.raises(SpecError) as caught:
        checked(target="petal width (cm)", task="regression", estimator=str(probe))
    assert "'probe' does classification" in caught.value.message
    assert "--task classification" in (caught.value.hint or "")
