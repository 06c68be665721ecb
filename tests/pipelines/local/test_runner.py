"""The scheduler loop, with a launcher that starts nothing: order, concurrency, retries, failure, stop."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.errors import ComponentError, SpecError, UnknownNameError
from omniforge.pipelines.local import RunStoppedError, TaskEvent, run_local
from omniforge.pipelines.local.runner import backoff_s

Compiled = Callable[[str], Path]
Fake = Callable[..., Any]
STARTED = {"start": {"workers": [0, 1, 2, 3], "info": {}}}


def test_what_can_run_at_once_runs_at_once(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    launcher = fake(outputs={**STARTED, "square": {"Output": 4}})
    result = run_local(compiled("search"), {"folder": "f"}, workspace=tmp_path, launcher=launcher)
    assert launcher.launched[0] == "start"
    assert sorted(launcher.launched[1:6]) == ["rendezvous", *(f"rendezvous-2.{i}" for i in range(4))]
    assert launcher.launched[6:] == ["square"]
    assert launcher.most_at_once == 5
    assert result.outputs == {"Output": 4}
    assert result.tasks["square"].component == "square"


def test_a_limit_of_parallelism_holds(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    waits = {"square.0": 3, "square.1": 1, "square.2": 5}
    launcher = fake(outputs=STARTED, waits=waits)
    run_local(compiled("dynamic_loop"), {"count": 4}, workspace=tmp_path, launcher=launcher)
    assert launcher.most_at_once == 2
    assert launcher.launched == ["start", "square.0", "square.1", "square.2", "square.3", "total"]


def test_folders_logs_and_payloads(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    launcher = fake()
    environment = {"SAMPLE_B": "from the caller"}
    result = run_local(compiled("environments"), {}, workspace=tmp_path, launcher=launcher, environment=environment)
    assert re.fullmatch(r"environments-\d{8}-\d{6}", result.folder.name)
    assert result.folder.parent == tmp_path
    first, second = sorted(launcher.workloads, key=lambda workload: workload.name)
    assert first.log_path == result.folder / "show-environment" / "log.txt"
    assert first.payload == {"folder": str(result.folder / "show-environment"), "function": "show_environment"}
    assert first.env == {"SAMPLE_A": "from the pipeline", "SAMPLE_B": "from the caller"}
    assert second.env == {"SAMPLE_B": "from the caller"}
    assert result.tasks["show-environment-2"].log_path.exists()


def test_two_runs_never_share_a_folder(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    folders = {run_local(compiled("leaves"), {}, workspace=tmp_path, launcher=fake()).folder for _ in range(3)}
    assert len(folders) == 3


def test_events_tell_the_run_in_order(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    events: list[TaskEvent] = []
    launcher = fake(failures={"flaky": ["not yet"]})
    run_local(compiled("retried"), {"folder": "f"}, workspace=tmp_path, launcher=launcher, on_event=events.append)
    assert [(event.task, event.state, event.attempt) for event in events] == [
        ("flaky", "started", 1), ("flaky", "retrying", 1), ("flaky", "started", 2), ("flaky", "succeeded", 2),
    ]  # fmt: skip
    assert events[1].message == "Component 'flaky' failed: ValueError: not yet"
    assert events[0].duration_s is None
    assert events[3].duration_s is not None
    assert [event.at_s for event in events] == sorted(event.at_s for event in events)
    skipped: list[TaskEvent] = []
    run_local(compiled("leaves"), {"flag": False}, workspace=tmp_path, launcher=fake(), on_event=skipped.append)
    assert ("condition-1", "skipped") in [(event.task, event.state) for event in skipped]


def test_retries_are_used_up(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    launcher = fake(failures={"flaky": ["first", "second", "third", "fourth"]})
    with pytest.raises(ComponentError, match="'flaky' failed: ValueError: third"):
        run_local(compiled("retried"), {"folder": "f"}, workspace=tmp_path, launcher=launcher)
    assert launcher.launched == ["flaky"] * 3


def test_a_failure_stops_the_others_and_runs_the_exit_task(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    events: list[TaskEvent] = []
    launcher = fake(failures={"fail": ["it broke"]}, waits={"sleep": 1000})
    with pytest.raises(ComponentError) as caught:
        run_local(compiled("failing"), {"folder": "f"}, workspace=tmp_path, launcher=launcher, on_event=events.append)
    assert caught.value.component == "fail"
    assert caught.value.message == "Component 'fail' failed: ValueError: it broke"
    assert caught.value.details.startswith("Traceback")
    assert launcher.cancelled == ["sleep"]
    assert launcher.launched == ["sleep", "wait-for-file", "fail", "note-ending"]
    assert [(event.task, event.state) for event in events if event.state in ("failed", "cancelled")] == [
        ("fail", "failed"),
        ("sleep", "cancelled"),
    ]


def test_of_two_failures_the_first_is_reported(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    launcher = fake(outputs=STARTED, failures={"rendezvous-2.1": ["first"], "rendezvous-2.2": ["second"]})
    with pytest.raises(ComponentError, match=r"'rendezvous-2\.1' failed: ValueError: first"):
        run_local(compiled("search"), {"folder": "f"}, workspace=tmp_path, launcher=launcher)
    assert "square" not in launcher.launched


def test_a_task_that_cannot_be_launched_is_named(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    launcher = fake(outputs=STARTED, refused=("rendezvous-2.2",))
    with pytest.raises(ComponentError, match=r"'rendezvous-2\.2' failed: It could not be started: no more processes"):
        run_local(compiled("search"), {"folder": "f"}, workspace=tmp_path, launcher=launcher)
    assert launcher.running() == []


def test_an_input_that_never_came_names_both_tasks(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match=r"'say' failed: .* output 'out' of task 'forget'"):
        run_local(compiled("forgetful"), {}, workspace=tmp_path, launcher=fake(outputs={"forget": {}}))


def test_an_output_that_cannot_be_read_is_a_failure(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    def spoil(tick: int) -> None:
        [folder] = tmp_path.glob("*/write-files")
        (folder / "number").write_text("not a number")

    with pytest.raises(ComponentError, match="'write-files' failed: Its output 'number' is 'not a number'"):
        run_local(compiled("files"), {}, workspace=tmp_path, launcher=fake(on_tick=spoil))


def test_a_stop_cancels_everything(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    stop = threading.Event()

    def stop_later(tick: int) -> None:
        if tick == 4:
            stop.set()

    launcher = fake(outputs=STARTED, waits={"rendezvous": 1000}, on_tick=stop_later)
    with pytest.raises(RunStoppedError, match="'search' was stopped"):
        run_local(compiled("search"), {"folder": "f"}, workspace=tmp_path, launcher=launcher, stop=stop)
    assert launcher.cancelled == ["rendezvous"]
    assert launcher.running() == []


def test_a_stop_does_not_wait_for_a_retry(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    import yaml

    document = yaml.safe_load(compiled("retried").read_text())
    document["root"]["dag"]["tasks"]["flaky"]["retryPolicy"]["backoffDuration"] = "600s"
    stop = threading.Event()

    def stop_on_retry(event: TaskEvent) -> None:
        if event.state == "retrying":
            stop.set()

    launcher = fake(failures={"flaky": ["no"]})
    with pytest.raises(RunStoppedError):
        run_local(document, {"folder": "f"}, workspace=tmp_path, launcher=launcher, stop=stop, on_event=stop_on_retry)


def test_an_interrupt_cancels_everything(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    def interrupt(tick: int) -> None:
        if tick == 2:
            raise KeyboardInterrupt

    launcher = fake(outputs=STARTED, on_tick=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_local(compiled("search"), {"folder": "f"}, workspace=tmp_path, launcher=launcher)
    assert len(launcher.cancelled) == 5
    assert launcher.running() == []


def test_a_listener_that_raises_ends_the_run(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    def break_down(event: TaskEvent) -> None:
        raise ZeroDivisionError

    launcher = fake()
    with pytest.raises(ZeroDivisionError):
        run_local(compiled("failing"), {"folder": "f"}, workspace=tmp_path, launcher=launcher, on_event=break_down)
    assert launcher.running() == []


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("unsupported", {}, SpecError),
        ("chain", {"count": "many"}, SpecError),
        ("filled", {}, SpecError),
        ("chain", {"cuont": 3}, UnknownNameError),
    ],
)
def test_nothing_is_started_or_written_on_wrong_input(
    compiled: Compiled, fake: Fake, tmp_path: Path, name: str, arguments: dict[str, Any], error: type[Exception]
) -> None:
    launcher = fake()
    with pytest.raises(error):
        run_local(compiled(name), arguments, workspace=tmp_path / "runs", launcher=launcher)
    assert launcher.launched == []
    assert not (tmp_path / "runs").exists()


def test_a_workspace_that_cannot_be_written_is_named(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match=r"Workspace .*file/runs' cannot be written: Not a directory"):
        run_local(compiled("leaves"), {}, workspace=tmp_path / "file" / "runs", launcher=fake())


def test_a_time_limit_of_kubernetes_is_one_here(compiled: Compiled, fake: Fake, tmp_path: Path) -> None:
    import yaml

    text = compiled("leaves").read_text()
    executors = {"exec-say": {"activeDeadlineSeconds": "90"}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    path = tmp_path / "p.yaml"
    path.write_text(text + "\n---\n" + yaml.safe_dump(platform))
    launcher = fake()
    run_local(path, {"flag": True}, workspace=tmp_path / "runs", launcher=launcher)
    assert [workload.limits.time_s for workload in launcher.workloads] == [90.0]


def test_the_wait_before_a_retry_grows_to_its_limit() -> None:
    policy = {"backoffDuration": "10s", "backoffFactor": 3.0, "backoffMaxDuration": "1m"}
    assert [backoff_s(policy, attempt) for attempt in (1, 2, 3)] == [10.0, 30.0, 60.0]
    assert backoff_s({}, 4) == 0.0
