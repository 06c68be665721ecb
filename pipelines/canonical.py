"""One name for each component of a compiled pipeline, whatever order kfp met them in.

When a pipeline nests another, kfp numbers the components of the same name (``comp-say``, ``comp-say-2``) in the order
of a protobuf map, and in some orders lets two of them share an executor: the same source compiles to other bytes from
process to process. Here components are numbered in the order of a walk through the tasks, and each has an executor of
its own. A pipeline that nests none keeps what kfp wrote: there, names are those of the tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

Document = dict[str, Any]


def canonical(pipeline: Document, platform: Document) -> tuple[Document, Document]:
    """Rename the components and executors of a compiled pipeline.

    Args:
        pipeline: The pipeline spec as JSON.
        platform: Its platform settings, empty when there are none.

    Returns:
        Both with the new names; equal to what was given when the names are canonical already.
    """
    names = _component_names(pipeline)
    result = {**pipeline, "root": _rename_tasks(pipeline["root"], names)}
    labels: dict[str, str] = {}  # of executors, from the new one to the old one
    components: Document = {}
    for old, spec in pipeline.get("components", {}).items():
        renamed = _rename_tasks(spec, names)
        if "executorLabel" in spec:
            label = f"exec-{names[old].removeprefix('comp-')}"
            labels[label] = spec["executorLabel"]
            renamed = {**renamed, "executorLabel": label}
        components[names[old]] = renamed
    if components:
        result["components"] = components
    if "deploymentSpec" in pipeline:
        result["deploymentSpec"] = _relabel(pipeline["deploymentSpec"], labels)
    return result, _relabel_platform(platform, labels)


def _component_names(pipeline: Document) -> dict[str, str]:
    """Map old names of components to new ones, those of outer pipelines first."""
    known = pipeline.get("components", {})
    names: dict[str, str] = {}
    taken: set[str] = set()
    waiting = deque([pipeline["root"]])
    while waiting:
        for task, old in _references(waiting.popleft()):
            if old not in names:
                names[old] = _free(f"comp-{task}", taken)
                waiting.append(known.get(old, {}))
    return names | {old: _free(old, taken) for old in sorted(set(known) - set(names))}


def _references(component: Document) -> Iterator[tuple[str, str]]:
    for name, task in sorted(component.get("dag", {}).get("tasks", {}).items()):
        yield name, task["componentRef"]["name"]


def _free(name: str, taken: set[str]) -> str:
    free = name
    number = 1
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free)
    return free


def _rename_tasks(component: Document, names: Mapping[str, str]) -> Document:
    if "dag" not in component:
        return component
    tasks = {
        name: {**task, "componentRef": {**task["componentRef"], "name": names[task["componentRef"]["name"]]}}
        for name, task in component["dag"]["tasks"].items()
    }
    return {**component, "dag": {**component["dag"], "tasks": tasks}}


def _relabel(deployment: Document, labels: Mapping[str, str]) -> Document:
    """Give every component its own executor; ``labels`` maps the new label of each to the old one."""
    old = deployment.get("executors")
    if old is None:
        return deployment
    return {**deployment, "executors": {label: old[source] for label, source in labels.items() if source in old}}


def _relabel_platform(platform: Document, labels: Mapping[str, str]) -> Document:
    if "platforms" not in platform:
        return platform
    platforms = {
        name: {**settings, "deploymentSpec": _relabel(settings["deploymentSpec"], labels)}
        if "deploymentSpec" in settings
        else settings
        for name, settings in platform["platforms"].items()
    }
    return {**platform, "platforms": platforms}
