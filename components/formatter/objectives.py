"""Objectives as the user wrote them, against the metrics and devices that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...errors import SpecError, UnknownNameError

if TYPE_CHECKING:
    from ...estimators.bundle import Bundle
    from ...search import Objective


def known_goals(bundle: Bundle, task_type: str) -> dict[str, str]:
    """Return metric name to goal: what the estimator reports for this task type, and what a deployment measures."""
    from ...deploy import DEPLOYMENT_METRICS
    from ...estimators.metrics import metrics_of

    own = dict(bundle.metrics) if bundle.name != "tabular" else dict(metrics_of(task_type))
    return {**DEPLOYMENT_METRICS, **own}


def resolve_objectives(texts: tuple[str, ...], *, goals: Mapping[str, str], default: str) -> list[Objective]:
    """Return the objectives; without any, the default metric alone. The first is the primary one.

    Raises:
        UnknownNameError: A metric or a device does not exist; with near names.
        SpecError: An objective does not parse, is given twice, or the first one is only measured on a device.
    """
    from ...deploy import DEPLOYMENT_METRICS, find_device
    from ...search import Objective

    found = [Objective.parse(text, goals=goals) for text in (texts or (default,))]
    keys = [objective.key for objective in found]
    for objective in found:
        if objective.metric not in goals:
            raise UnknownNameError("metric", objective.metric, goals)
        if objective.device is not None:
            find_device(objective.device)
            if objective.metric not in DEPLOYMENT_METRICS:
                raise SpecError(
                    f"Objective {str(objective)!r}: {objective.metric} is a score of the data and has no device.",
                    hint=f"Measured on a device: {', '.join(sorted(DEPLOYMENT_METRICS))}.",
                )
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise SpecError(f"Objective {twice[0]!r} is given {keys.count(twice[0])} times; give each once.")
    if all(objective.metric in DEPLOYMENT_METRICS for objective in found):
        raise SpecError(
            f"The objectives {', '.join(map(str, found))} say nothing of how well the model predicts.",
            hint=f"Add a score, such as --objective {default}.",
        )
    return found


def devices_of(objectives: list[Objective]) -> list[str]:
    """Return the devices to measure on, in the order of the objectives; empty when no objective needs one."""
    from ...deploy import DEPLOYMENT_METRICS, find_device

    named = [find_device(o.device or "local").name for o in objectives if o.metric in DEPLOYMENT_METRICS]
    return list(dict.fromkeys(named))
