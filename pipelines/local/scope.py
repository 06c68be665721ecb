"""What runs: a scope is one DAG, a node one task in it; and what a scope gives once its tasks have ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .ir import Json, runs_on_failure, tasks_of


class State(StrEnum):
    """Where a node stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (State.WAITING, State.RUNNING)


@dataclass(eq=False)
class Scope:
    """One DAG that runs: the pipeline, a nested pipeline, a branch, one iteration of a loop.

    Args:
        component: The component whose DAG it is.
        inputs: Its inputs by name: parameter values and artifacts.
        path: The nested pipelines around it, outermost first.
        indices: The iterations around it, outermost first.
        protected: Whether it belongs to a task that runs on failure, so that a failure elsewhere does not stop it.
    """

    component: Json
    inputs: Mapping[str, Any]
    path: tuple[str, ...] = ()
    indices: tuple[int, ...] = ()
    protected: bool = False
    nodes: dict[str, Node] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = {name: Node(name, task, self) for name, task in tasks_of(self.component).items()}

    @property
    def ended(self) -> bool:
        """Whether every task has ended."""
        return all(node.state.ended for node in self.nodes.values())


@dataclass(eq=False)
class Node:
    """One task in one scope: a leaf (a component to execute), or a task with scopes of its own.

    Args:
        name: Its name in the scope's DAG.
        task: Its task spec.
        scope: The scope that it belongs to.
    """

    name: str
    task: Json
    scope: Scope
    state: State = State.WAITING
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    scopes: list[Scope] = field(default_factory=list)
    queue: list[Scope] = field(default_factory=list)
    """The iterations of a loop that wait for their turn."""

    @property
    def title(self) -> str:
        """The name in the run: nested pipelines before it, indices of iterations behind it."""
        return "/".join((*self.scope.path, self.name)) + "".join(f".{index}" for index in self.scope.indices)

    @property
    def protected(self) -> bool:
        """Whether a failure elsewhere leaves it alone: it is what runs on failure."""
        return self.scope.protected or runs_on_failure(self.task)

    @property
    def label(self) -> str:
        """The name to show."""
        return str(self.task.get("taskInfo", {}).get("name", self.name))


def outputs_of(scope: Scope) -> dict[str, Any]:
    """Return a scope's outputs by name; those of branches that were not taken are absent."""
    found: dict[str, Any] = {}
    for name, candidates in _selectors(scope.component):
        values = [scope.nodes[task].outputs[key] for task, key in candidates if key in scope.nodes[task].outputs]
        if values:
            found[name] = values[0]
    return found


def collect(component: Json, iterations: list[Scope]) -> dict[str, Any]:
    """Return a loop's outputs (``dsl.Collected``): lists in the items' order; nested loops' artifacts in one."""
    collected: dict[str, list[Any]] = {name: [] for name, _ in _selectors(component)}
    artifacts = component["dag"].get("outputs", {}).get("artifacts", {})
    for scope in sorted(iterations, key=lambda scope: scope.indices):
        for name, value in outputs_of(scope).items():
            if name in artifacts and isinstance(value, list):
                collected[name].extend(value)
            else:
                collected[name].append(value)
    return dict(collected)


def _selectors(component: Json) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the outputs of a DAG as (name, the candidates in order as (task, output)); ``dsl.OneOf`` has several."""
    outputs = component["dag"].get("outputs", {})
    for name, selector in outputs.get("parameters", {}).items():
        several = selector.get("valueFromOneof", {}).get("parameterSelectors") or [selector["valueFromParameter"]]
        yield name, [(one["producerSubtask"], one["outputParameterKey"]) for one in several]
    for name, selector in outputs.get("artifacts", {}).items():
        yield name, [(one["producerSubtask"], one["outputArtifactKey"]) for one in selector["artifactSelectors"]]
