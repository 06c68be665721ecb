"""Objectives as the user wrote them, against the metrics and devices that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...errors import MissingDependencyError, SpecError, UnknownNameError

if TYPE_CHECKING:
    from ...deploy import Device
    from ...estimators.bundle import Bundle
    from ...search import Objective

REACH_S = 5.0
TUNED = ("tvm",)


def known_goals(bundle: Bundle, task_type: str) -> dict[str, str]:
    """Return metric name to goal: what the estimator reports for this task type, and what a deployment measures."""
    from ...deploy import DEPLOYMENT_METRICS
    from ...estimators.metrics import metrics_of

    own = dict(bundle.metrics) if bundle.name != "tabular" else dict(metrics_of(task_type))
    return {**DEPLOYMENT_METRICS, **own}


def resolve_objectives(
    texts: tuple[str, ...], *, goals: Mapping[str, str], default: str, devices: Mapping[str, Device] | None = None
) -> list[Objective]:
    """Return the objectives; without any, the default metric alone. The first is the primary one.

    Args:
        texts: As the user wrote them.
        goals: The goal of each known metric.
        default: The metric to take without any.
        devices: The known devices by name; ``None``: this machine.

    Raises:
        UnknownNameError: A metric or a device does not exist; with near names.
        SpecError: An objective does not parse, is given twice, or the first one is only measured on a device.
    """
    from ...deploy import DEPLOYMENT_METRICS, DEVICES
    from ...search import Objective

    known = DEVICES if devices is None else devices
    found = [_named(Objective.parse(text, goals=goals), known) for text in (texts or (default,))]
    keys = [objective.key for objective in found]
    for objective in found:
        if objective.metric not in goals:
            raise UnknownNameError("metric", objective.metric, goals)
        if objective.device is not None and objective.metric not in DEPLOYMENT_METRICS:
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


def _named(objective: Objective, devices: Mapping[str, Device]) -> Objective:
    """Return an objective with its device's own name in place of an alias."""
    from ...deploy import find_device

    if objective.device is None:
        return objective
    return replace(objective, device=find_device(objective.device, devices).name)


def devices_of(objectives: Sequence[Objective], devices: Mapping[str, Device] | None = None) -> list[str]:
    """Return the devices to measure on, in the order of the objectives; empty when no objective needs one.

    Args:
        objectives: The resolved objectives.
        devices: The known devices by name; ``None``: this machine.
    """
    from ...deploy import DEPLOYMENT_METRICS, DEVICES, find_device

    known = DEVICES if devices is None else devices
    named = [find_device(o.device or "local", known).name for o in objectives if o.metric in DEPLOYMENT_METRICS]
    return list(dict.fromkeys(named))


def check_devices(objectives: Sequence[Objective], devices: Mapping[str, Device]) -> list[str]:
    """Check that every device that an objective names is there and can tell what is asked of it; return what they are.

    Args:
        objectives: The resolved objectives.
        devices: The known devices by name.

    Raises:
        SpecError: A device is away, refuses the token, cannot run a candidate in a search, or has no meter for its energy.
    """
    reasons = []
    for name in devices_of(objectives, devices):
        device = devices[name]
        if device.runtime in TUNED and not device.is_bare:
            raise SpecError(
                f"Device {name!r} measures with {device.runtime!r}, which has to be tuned for each model, for minutes.",
                hint="Let the device measure with onnxruntime, and give --runtime tvm for the winner.",
            )
        info = {} if device.url is None else _ask(device)
        if info:
            reasons.append(f"Device {name!r}: {info.get('hardware', {}).get('processor', 'unknown processor')}.")
        asked = [o.metric for o in objectives if (o.device or "local") in (name, *device.aliases)]
        why = _no_meter(info) if "energy_mj" in asked else None
        if why is not None:
            raise SpecError(
                f"Device {name!r} cannot measure energy_mj: {why}.",
                hint="Energy is never estimated. Take another objective, or a device with a meter (docs/measuring.md).",
            )
    return reasons


def _ask(device: Device) -> dict[str, Any]:
    """Return what a device says of itself."""
    if device.is_bare:
        raise SpecError(
            f"Device {device.name!r} is a bare TVM server: it cannot measure the candidates of a search.",
            hint="TVM has to be tuned for each model first, which takes minutes. Run a device agent there, or see omniforge bench.",
        )
    from ...sidecar.device.client import DeviceClient

    with DeviceClient(device, client_name="formatter", patience_s=REACH_S) as client:
        return dict(client.info())


def _no_meter(info: Mapping[str, Any]) -> str | None:
    """Return why a device has no meter of energy; None where it has one. Nothing was asked of this machine: it is looked at."""
    if not info:
        from ...deploy.energy import find_meter

        meter = find_meter()
        return meter if isinstance(meter, str) else None
    told = [str(source) for source in info.get("meters", {}).values()]
    missing = [source for source in told if source.startswith("none")]  # as a report without energy says it
    return None if len(missing) < len(told) else missing[0] if missing else "it has no meter"


def check_runtimes(names: Sequence[str]) -> None:
    """Check that the runtimes that the winner is to be measured with can be used here.

    Raises:
        UnknownNameError: There is no such runtime.
        MissingDependencyError: One is not installed; the hint is the command.
    """
    from ...deploy.runtimes.availability import available

    known = available() if names else {}
    for name in names:
        if name not in known:
            raise UnknownNameError("runtime", name, known)
        if known[name].install is not None:
            raise MissingDependencyError(f"The runtime {name!r} is not installed.", hint=known[name].install)
