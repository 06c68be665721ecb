"""What a Katib experiment wants: the strategy, its options, the seed and the objectives. Not its parameters or trials."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

from ...errors import SpecError
from ...search.objective import Objective, check_objectives
from ...search.strategy import strategies
from ..following import Choice, Follower
from ..foreign_names import names_for
from .messages import word

PREFIX = "omniforge"
_GOALS = {"MAXIMIZE": "max", "MINIMIZE": "min"}


@dataclass(frozen=True)
class Algorithm:
    """How to search for an experiment.

    Args:
        choice: The strategy, with its options.
        seed: At least 0.
        objectives: What to optimize, the experiment's own metric first.
        metrics: The name of each objective's metric in Katib, by `Objective.key`.
    """

    choice: Choice
    seed: int
    objectives: tuple[Objective, ...]
    metrics: dict[str, str]


def algorithm_names() -> list[str]:
    """Return the names of algorithms that are served."""
    return [PREFIX, *(f"{PREFIX}-{name}" for name in strategies())]


def read_algorithm(experiment: Any) -> Algorithm:
    """Read the algorithm and the objective of an ``Experiment`` message.

    The algorithm is ``omniforge-STRATEGY``; ``omniforge`` alone is ``auto``. Settings are options of the strategy, written as
    JSON or as plain text, but for two:

    - ``random_state`` is the seed, by default one that follows from the experiment's name;
    - ``objectives`` says which additional metrics are to be optimized too, ``latency_ms:min, size_mb:min<=10``, in the form of
      `Objective.parse`. Katib only records those that it does not name.

    Raises:
        SpecError: A name, a setting or the objective cannot be used.
    """
    spec = experiment.spec
    settings = {item.name: _value(item.value) for item in spec.algorithm.algorithm_settings}
    name = spec.algorithm.algorithm_name
    if name not in algorithm_names():
        raise SpecError(f"There is no algorithm {name!r}.", hint=f"Known: {', '.join(algorithm_names())}.")
    seed = settings.pop("random_state", zlib.crc32(experiment.name.encode()))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise SpecError(f"The setting random_state is {seed!r}, expected an integer of at least 0.")
    objectives, metrics = _objectives(spec.objective, str(settings.pop("objectives", "")))
    choice: Choice = {name.removeprefix(PREFIX).lstrip("-") or "auto": settings}
    Follower(choice, seed=0)  # which checks the name and the options
    return Algorithm(choice, seed, objectives, metrics)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _objectives(spec: Any, more: str) -> tuple[tuple[Objective, ...], dict[str, str]]:
    goal = _GOALS.get(word("ObjectiveType", spec.type))
    if goal is None:
        raise SpecError("The objective has no type.", hint="Write spec.objective.type: maximize, or minimize.")
    if not spec.objective_metric_name:
        raise SpecError("The objective has no metric.", hint="Write spec.objective.objectiveMetricName.")
    foreign = list(dict.fromkeys([spec.objective_metric_name, *spec.additional_metric_names]))
    names = names_for(foreign)
    found = [Objective(names[spec.objective_metric_name], "max" if goal == "max" else "min")]
    for text in filter(None, (part.strip() for part in more.split(","))):
        objective = Objective.parse(text)
        if objective.metric not in list(names.values())[1:]:
            known = ", ".join(list(names.values())[1:]) or "none"
            hint = f"Additional metrics: {known}. Name it under spec.objective.additionalMetricNames."
            raise SpecError(f"The setting objectives names {objective.metric!r}, which is none of them.", hint=hint)
        found.append(objective)
    back = {name: katib for katib, name in names.items()}
    return check_objectives(found), {objective.key: back[objective.metric] for objective in found}
