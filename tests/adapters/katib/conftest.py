from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.adapters.katib.messages import message, number

CLIENT = "kubeflow-katib==0.19.0"


@pytest.fixture(scope="session")
def stubs() -> Path:
    """The folder of Katib's own client library, installed apart from our environment, which it does not fit."""
    folder = Path(sys.prefix) / "katib-client" / CLIENT.partition("==")[2]
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(partial), CLIENT]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            shutil.rmtree(partial)
            pytest.fail(f"{CLIENT} cannot be installed: {ended.stderr.strip()[-500:]}")
        try:
            partial.rename(folder)
        except OSError:  # another worker was faster
            shutil.rmtree(partial)
    return folder


@pytest.fixture
def katib(stubs: Path) -> Callable[..., Any]:
    """Play Katib: run a scenario of ``client.py`` with its client library, and return what it prints."""

    def play(scenario: str, port: int, **options: Any) -> Any:
        command = [sys.executable, str(Path(__file__).with_name("client.py")), str(stubs), scenario, str(port)]
        ended = subprocess.run(
            [*command, json.dumps(options)],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return play


def parameter(
    name: str, kind: str, *, values: tuple[str, ...] = (), distribution: str | None = None, **ends: str
) -> Any:
    """Return a ``ParameterSpec``."""
    spec = message("ParameterSpec")(name=name, parameter_type=number("ParameterType", kind))
    spec.feasible_space.list.extend(values)
    for end, text in ends.items():
        setattr(spec.feasible_space, end, text)
    if distribution:
        spec.feasible_space.distribution = number("Distribution", distribution)
    return spec


def experiment(
    *specs: Any,
    algorithm: str = "omniforge-random",
    goal: str = "MAXIMIZE",
    more: tuple[str, ...] = (),
    **settings: str,
) -> Any:
    """Return an ``Experiment``, by default with one parameter."""
    made = message("Experiment")(name="exp")
    made.spec.parameter_specs.parameters.extend(specs or [parameter("lr", "DOUBLE", min="0", max="1")])
    made.spec.objective.type = number("ObjectiveType", goal)
    made.spec.objective.objective_metric_name = "accuracy"
    made.spec.objective.additional_metric_names.extend(more)
    made.spec.algorithm.algorithm_name = algorithm
    for name, value in settings.items():
        made.spec.algorithm.algorithm_settings.add(name=name, value=value)
    return made


def trial(
    name: str, assignments: Any, *, condition: str = "SUCCEEDED", times: tuple[str, str] = ("", ""), **metrics: Any
) -> Any:
    """Return a ``Trial``."""
    made = message("Trial")(name=name)
    for key, value in dict(assignments).items():
        made.spec.parameter_assignments.assignments.add(name=key, value=str(value))
    made.status.condition = number("TrialStatus.TrialConditionType", condition)
    made.status.start_time, made.status.completion_time = times
    for key, value in metrics.items():
        made.status.observation.metrics.add(name=key, value=str(value))
    return made


class Make:
    """The three functions above, as a fixture."""

    parameter = staticmethod(parameter)
    experiment = staticmethod(experiment)
    trial = staticmethod(trial)


@pytest.fixture
def make() -> type[Make]:
    return Make
