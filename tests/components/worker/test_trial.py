from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.measured import DEVICE_LOST
from omniforge.components.spec import JobPlan
from omniforge.components.task_estimator.tte import REQUIRED
from omniforge.components.worker.trial import LOST, Outcome, Trial, TrialRequest
from omniforge.deploy.devices import Device, add_device
from omniforge.launch import ForkLauncher
from omniforge.settings import Settings
from omniforge.sidecar import Sidecar
from omniforge.sidecar.device.agent import DeviceAgent
from omniforge.store import TaskRecord

Evaluate = Callable[..., Outcome]
MB = 2**20


def never(step: int, metrics: dict[str, float]) -> bool:
    return False


@pytest.fixture
def evaluate(
    make_plan: Callable[..., JobPlan], make_task: Callable[..., TaskRecord], tmp_path: Path,
    sidecar: Sidecar, launcher: ForkLauncher,
) -> Evaluate:  # fmt: skip
    """Evaluate one task of the bundle with real processes."""

    def run(
        act: str = "fit", *, on_progress: Any = never, lost: threading.Event | None = None, strength: float = 1.0,
        plan: dict[str, Any] | None = None, **request: Any,
    ) -> Outcome:  # fmt: skip
        task = make_task(1, {"act": act, "strength": strength}, fidelity={"run_epochs": 2.0})
        values = {"folder": tmp_path, "locks": tmp_path / "locks", "devices": (), **request}
        trial = Trial(task, TrialRequest(make_plan(**(plan or {})), **values), sidecar=sidecar, launcher=launcher)
        return trial.run(stopping=on_progress, lost=lost or threading.Event())

    return run


def test_a_candidate_is_trained_and_scored(evaluate: Evaluate, tmp_path: Path) -> None:
    seen: list[int] = []
    outcome = evaluate(on_progress=lambda step, metrics: seen.append(step) is not None)
    assert outcome.state == "succeeded"
    assert outcome.rewards.keys() == {"accuracy"}
    assert outcome.rewards["accuracy"] > 0.6
    assert (outcome.cause, outcome.device, outcome.encoding, outcome.retry) == (None, None, "onehot", False)
    assert outcome.duration_s is not None
    assert (outcome.peak_memory_bytes or 0) > MB
    assert seen == [1, 2]
    assert (tmp_path / "tasks" / "search-1-1.log").is_file()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_candidate_is_measured_where_it_will_run(evaluate: Evaluate) -> None:
    outcome = evaluate(devices=("local",), export=REQUIRED)
    assert outcome.state == "succeeded", outcome.message
    assert outcome.rewards.keys() > {"accuracy", "latency_ms", "model_bytes"}
    assert outcome.device == "local"
    (report,) = outcome.deployments
    assert report["metrics"]["latency_ms"] == outcome.rewards["latency_ms"] > 0


def test_the_winners_model_and_files_are_kept(evaluate: Evaluate, tmp_path: Path) -> None:
    outcome = evaluate(export=REQUIRED, is_trainer=True, save_dir=tmp_path / "native")
    assert outcome.model_path is not None
    assert outcome.model_path.stat().st_size > 0
    assert (tmp_path / "native" / "weights.npy").is_file()


def test_a_candidate_that_is_stopped_early_has_succeeded(evaluate: Evaluate) -> None:
    outcome = evaluate(on_progress=lambda step, metrics: True)
    assert (outcome.state, outcome.cause) == ("succeeded", "early_stopped")
    assert outcome.rewards["accuracy"] > 0.6


@pytest.mark.fault
@pytest.mark.parametrize(
    ("act", "state", "cause", "says", "retry"),
    [
        ("refuse", "failed", "exception", "I would rather not", False),
        ("leave", "failed", "exception", "exit code 3", False),
        ("fill", "failed", "no_space", "No space left on device", False),
        ("kill", "failed", "killed", "signal 9", True),
    ],
)
def test_each_way_to_fail_has_its_cause(
    evaluate: Evaluate, act: str, state: str, cause: str, says: str, retry: bool
) -> None:
    outcome = evaluate(act)
    assert (outcome.state, outcome.cause, outcome.retry) == (state, cause, retry)
    assert says in (outcome.message or "")
    assert outcome.rewards == {}


@pytest.mark.fault
def test_a_candidate_that_eats_memory_is_ended_at_its_limit(evaluate: Evaluate) -> None:
    outcome = evaluate("eat", plan={"memory_bytes": 400 * MB})
    assert (outcome.state, outcome.cause, outcome.retry) == ("failed", "out_of_memory", False)
    assert outcome.message == "ended at its limit of 400 MiB"


@pytest.mark.fault
def test_a_candidate_that_hangs_is_ended_at_its_limit(evaluate: Evaluate) -> None:
    outcome = evaluate("hang", plan={"time_s": 1.0})
    assert (outcome.state, outcome.cause) == ("timeout", "timeout")
    assert outcome.message == "ended after 1 s"


def test_a_configuration_outside_of_the_space_is_named(evaluate: Evaluate) -> None:
    outcome = evaluate(strength=1e9)
    assert (outcome.state, outcome.cause) == ("failed", "invalid_configuration")
    assert "strength" in (outcome.message or "")


def test_a_space_of_the_job_takes_the_place_of_the_estimators(evaluate: Evaluate) -> None:
    wider = {"act": {"type": "choice", "range": ["fit"]}, "strength": {"type": "float", "range": [1.0, 1e10]}}
    assert evaluate(strength=1e9, space=wider).state == "succeeded"
    assert evaluate(strength=0.5, space=wider).cause == "invalid_configuration"


def test_an_export_that_predicts_something_else_is_refused(evaluate: Evaluate) -> None:
    outcome = evaluate("lie", export=REQUIRED)
    assert (outcome.state, outcome.cause) == ("failed", "export_failed")


def test_a_device_that_is_taken_out_of_the_book_is_no_fault_of_the_candidate(evaluate: Evaluate) -> None:
    outcome = evaluate(devices=("moon",), export=REQUIRED)
    assert (outcome.state, outcome.cause) == ("succeeded", DEVICE_LOST)
    assert (outcome.message or "").startswith("device moon: There is no device named 'moon'")


def test_a_metric_that_a_device_cannot_tell_is_missing(evaluate: Evaluate) -> None:
    objectives = [{"metric": "accuracy", "goal": "max"}, {"metric": "energy_mj", "goal": "min"}]
    outcome = evaluate(devices=("local",), export=REQUIRED, plan={"objectives": objectives})
    if "energy_mj" not in outcome.rewards:  # a machine with a meter can tell
        assert (outcome.state, outcome.cause) == ("succeeded", DEVICE_LOST)
        assert "no energy_mj (none: " in (outcome.message or "")


def test_a_task_that_is_lost_is_ended(evaluate: Evaluate, tmp_path: Path, until: Callable[..., Any]) -> None:
    lost = threading.Event()
    log = tmp_path / "tasks" / "search-1-1.log"

    def lose() -> None:
        until(log.exists, "the process was started")
        lost.set()

    loser = threading.Thread(target=lose)
    loser.start()
    assert evaluate("hang", lost=lost) == Outcome(LOST)
    loser.join()


@pytest.mark.fault
def test_a_device_that_vanishes_leaves_its_metrics_out_and_comes_back(
    settings: Settings, make_plan: Callable[..., JobPlan], make_task: Callable[..., TaskRecord], tmp_path: Path,
    sidecar: Sidecar, launcher: ForkLauncher,
) -> None:  # fmt: skip
    folder = tmp_path / "agent"
    folder.mkdir()
    away: set[str] = set()
    request = TrialRequest(
        make_plan(), tmp_path, tmp_path / "locks", ("local", "pi"), remote=frozenset({"pi"}), export=REQUIRED
    )

    def evaluate_one(number: int) -> Outcome:
        task = make_task(number, {"act": "fit", "strength": 1.0}, fidelity={"run_epochs": 2.0})
        trial = Trial(task, request, sidecar=sidecar, launcher=launcher)
        lost = threading.Event()
        try:
            assert trial.train(stopping=never, lost=lost) is None
            return trial.measure(lost, away=away)
        finally:
            trial.close()

    agent = DeviceAgent("kitchen", folder, token="secret").start()
    port = int(agent.url.rpartition(":")[2])
    add_device(settings.home_path, Device("pi", url=agent.url, token="secret"))
    agent.stop()
    away.add("pi")  # it is not waited for long
    gone = evaluate_one(1)
    assert (gone.state, gone.cause) == ("succeeded", DEVICE_LOST)
    assert gone.rewards.keys() > {"accuracy", "latency_ms"}
    assert "latency_ms@pi" not in gone.rewards
    assert (gone.message or "").startswith("device pi: ")
    assert away == {"pi"}
    with DeviceAgent("kitchen", folder, token="secret", port=port):
        back = evaluate_one(2)
    assert (back.state, back.cause, back.device) == ("succeeded", None, "local, pi")
    assert back.rewards["latency_ms@pi"] > 0
    assert away == set()
