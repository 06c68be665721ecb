"""Katib's side, with the stubs of its own client library: ``client.py STUBS SCENARIO PORT OPTIONS`` prints JSON."""

from __future__ import annotations

import importlib
import json
import math
import sys
import types
from pathlib import Path
from typing import Any

import grpc


def load(folder: str) -> tuple[Any, Any]:
    """Return the generated modules without running the package around them, which needs an older environment."""
    for name in ("kubeflow", "kubeflow.katib"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(folder, *name.split(".")))]
        sys.modules[name] = package
    names = ("katib_api_pb2", "katib_api_pb2_grpc")
    messages, calls = (importlib.import_module(f"kubeflow.katib.{name}") for name in names)
    return messages, calls


api, stubs = load(sys.argv[1])


def experiment(*, algorithm: str = "omniforge-auto", name: str = "exp", **settings: str) -> Any:
    made = api.Experiment(name=name)
    specs = made.spec.parameter_specs.parameters
    space = specs.add(name="--lr", parameter_type=api.DOUBLE).feasible_space
    space.min, space.max, space.distribution = "0.0001", "1", api.LOG_UNIFORM
    space = specs.add(name="layers", parameter_type=api.INT).feasible_space
    space.min, space.max, space.step = "1", "9", "2"
    specs.add(name="batch", parameter_type=api.DISCRETE).feasible_space.list.extend(["16", "32", "064"])
    specs.add(name="optimizer", parameter_type=api.CATEGORICAL).feasible_space.list.extend(["sgd", "adam", "ftrl"])
    made.spec.objective.type = api.MAXIMIZE
    made.spec.objective.goal = 0.99
    made.spec.objective.objective_metric_name = "Validation-accuracy"
    made.spec.objective.additional_metric_names.append("latency/ms")
    made.spec.algorithm.algorithm_name = algorithm
    made.spec.parallel_trial_count, made.spec.max_trial_count = 3, 24
    for key, value in settings.items():
        made.spec.algorithm.algorithm_settings.add(name=key, value=value)
    return made


def measure(found: dict[str, str]) -> float:
    layers = abs(int(found["layers"]) - 5) / 10
    penalty = {"sgd": 0.3, "adam": 0.0, "ftrl": 0.5}[found["optimizer"]]
    return (
        1.0 - abs(math.log10(float(found["--lr"])) + 2) / 4 - layers - penalty - (0.1 if found["batch"] == "16" else 0)
    )


def search(stub: Any, options: dict[str, Any]) -> Any:
    """Run an experiment as the controller does: trials finish out of order, one fails, one is killed, one stops early."""
    made = experiment(**options["experiment"])
    stub.ValidateAlgorithmSettings(api.ValidateAlgorithmSettingsRequest(experiment=made), timeout=60)
    trials: list[Any] = []
    for _ in range(options["rounds"]):
        for running in trials[-2:]:
            finish(running, len(trials))
        count = 3 if not trials else 2
        reply = stub.GetSuggestions(
            api.GetSuggestionsRequest(
                experiment=made, trials=trials, current_request_number=count, total_request_number=len(trials) + count
            ),
            timeout=60,
        )
        assert len(reply.parameter_assignments) == count
        for suggestion in reply.parameter_assignments:
            running = api.Trial(name=f"exp-{len(trials)}")
            running.spec.parameter_assignments.assignments.extend(suggestion.assignments)
            running.status.condition = api.TrialStatus.RUNNING
            trials.append(running)
    word = api.TrialStatus.TrialConditionType.Name
    return [
        {"assignments": assigned(one), "condition": word(one.status.condition), "value": measure(assigned(one))}
        for one in trials
    ]


def assigned(trial: Any) -> dict[str, str]:
    return {a.name: a.value for a in trial.spec.parameter_assignments.assignments}


def finish(trial: Any, turn: int) -> None:
    states = {5: api.TrialStatus.FAILED, 7: api.TrialStatus.KILLED, 9: api.TrialStatus.EARLYSTOPPED}
    trial.status.condition = states.get(turn, api.TrialStatus.SUCCEEDED)
    trial.status.start_time, trial.status.completion_time = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
    if trial.status.condition in (api.TrialStatus.SUCCEEDED, api.TrialStatus.EARLYSTOPPED):
        trial.status.observation.metrics.add(name="Validation-accuracy", value=str(measure(assigned(trial))))
        trial.status.observation.metrics.add(name="latency/ms", value="3.5")


def validate(stub: Any, options: dict[str, Any]) -> Any:
    """Return what is said of an experiment."""
    try:
        made = experiment(**options["experiment"])
        if options.get("min"):
            made.spec.parameter_specs.parameters[0].feasible_space.min = options["min"]
        stub.ValidateAlgorithmSettings(api.ValidateAlgorithmSettingsRequest(experiment=made), timeout=60)
    except grpc.RpcError as e:
        return [e.code().name, e.details()]
    return ["OK", ""]


def wait(stub: Any, options: dict[str, Any]) -> Any:
    """Ask an experiment for more than one time, as fast as the timeout says."""
    request = api.GetSuggestionsRequest(experiment=experiment(**options["experiment"]), current_request_number=4)
    return [len(stub.GetSuggestions(request, timeout=options["timeout_s"]).parameter_assignments) for _ in range(2)]


def main() -> None:
    scenario, port, options = sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        print(json.dumps(globals()[scenario](stubs.SuggestionStub(channel), options)))


if __name__ == "__main__":
    main()
