"""The state of a run: which tasks wait, run and have ended. It starts nothing itself and knows no clock.

:meth:`Graph.advance` moves everything forward that can move and says which components to execute now, so that all
siblings whose dependencies are met start at once: all iterations of a loop too, unless the loop limits its
parallelism. After a failure nothing new starts except tasks that run once their upstream tasks have ended in any way
(``dsl.ExitHandler``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import SpecError
from .condition import holds
from .flow import input_values, items_of, iteration_inputs
from .ir import PipelineIR, dependencies_of, is_group, is_loop, runs_on_failure
from .scope import Node, Scope, State, collect, outputs_of


@dataclass(frozen=True)
class Progress:
    """What one call of :meth:`Graph.advance` has changed.

    Args:
        started: Components to execute now.
        skipped: Tasks whose condition does not hold.
        refused: Tasks that have failed since their inputs cannot be made, each with the reason.
    """

    started: list[Node] = field(default_factory=list)
    skipped: list[Node] = field(default_factory=list)
    refused: list[tuple[Node, str]] = field(default_factory=list)


class Graph:
    """A run of one pipeline.

    Args:
        ir: The pipeline.
        inputs: The pipeline's parameters, complete.
        names: What stands for the placeholders of the run, such as ``pipeline_job_name``.
    """

    def __init__(self, ir: PipelineIR, inputs: Mapping[str, Any], *, names: Mapping[str, str]) -> None:
        self.ir = ir
        self.root = Scope(ir.root, inputs)
        self.failed = False
        self._names = names

    @property
    def ended(self) -> bool:
        """Whether nothing runs and nothing more will."""
        return self.root.ended

    def advance(self) -> Progress:
        """Move forward all that can move."""
        progress = Progress()
        while self._advance(self.root, progress):
            pass
        return progress

    def succeed(self, node: Node, outputs: Mapping[str, Any]) -> None:
        """Record the outputs of a component that was executed."""
        node.outputs = dict(outputs)
        node.state = State.SUCCEEDED

    def fail(self, node: Node) -> None:
        """Record that a task has failed; from now on only what runs on failure starts."""
        node.state = State.FAILED
        self.failed = True

    def cancel(self, node: Node) -> None:
        """Record that a component was stopped, or not started after all."""
        node.state = State.CANCELLED

    def outputs(self) -> dict[str, Any]:
        """Return the pipeline's own outputs."""
        return outputs_of(self.root)

    def _advance(self, scope: Scope, progress: Progress) -> bool:
        moved = False
        for node in scope.nodes.values():
            if node.state is State.WAITING:
                moved |= self._try_begin(node, progress)
            elif node.state is State.RUNNING and (node.scopes or node.queue):
                for inner in node.scopes:
                    moved |= self._advance(inner, progress)
                moved |= self._settle(node)
        return moved

    def _try_begin(self, node: Node, progress: Progress) -> bool:
        upstream = [node.scope.nodes[name].state for name in dependencies_of(node.task)]
        blocked = State.FAILED in upstream or State.CANCELLED in upstream
        if not runs_on_failure(node.task) and (blocked or (self.failed and not node.protected)):
            node.state = State.CANCELLED
            return True
        if not all(state.ended for state in upstream):
            return False
        try:
            self._begin(node)
        except SpecError as e:
            self.fail(node)
            progress.refused.append((node, e.message))
            return True
        if node.state is State.SKIPPED:
            progress.skipped.append(node)
        elif node.state is State.RUNNING and "dag" not in self.ir.component(node.task):
            progress.started.append(node)
        return True

    def _begin(self, node: Node) -> None:
        component = self.ir.component(node.task)
        path, indices = node.scope.path, node.scope.indices
        if is_loop(node.task):
            inputs = [iteration_inputs(self.ir, node, item, names=self._names) for item in items_of(node)]
            node.queue = [
                Scope(component, one, path=path, indices=(*indices, index), protected=node.protected)
                for index, one in enumerate(inputs)
            ]
            node.state = State.RUNNING
            self._settle(node)
            return
        node.inputs = input_values(self.ir, node, names=self._names)
        condition = node.task.get("triggerPolicy", {}).get("condition")
        if condition and not holds(condition, node.inputs):
            node.state = State.SKIPPED
            return
        if "dag" in component:
            inner = path if is_group(node.name, node.task) else (*path, node.name)
            node.scopes = [Scope(component, node.inputs, path=inner, indices=indices, protected=node.protected)]
        node.state = State.RUNNING

    def _settle(self, node: Node) -> bool:
        """Start iterations of a loop whose turn has come; end a node whose scopes have all ended."""
        if self.failed and not node.protected:
            node.queue = []
        limit = int(node.task.get("iteratorPolicy", {}).get("parallelismLimit", 0)) or len(node.queue)
        free = max(0, limit - sum(not scope.ended for scope in node.scopes)) if limit else 0
        begun, node.queue = node.queue[:free], node.queue[free:]
        node.scopes += begun
        if begun or node.queue or not all(scope.ended for scope in node.scopes):
            return bool(begun)
        states = {inner.state for scope in node.scopes for inner in scope.nodes.values()}
        if State.FAILED in states or State.CANCELLED in states:
            node.state = State.FAILED if State.FAILED in states else State.CANCELLED
        else:
            component = self.ir.component(node.task)
            node.outputs = collect(component, node.scopes) if is_loop(node.task) else outputs_of(node.scopes[0])
            node.state = State.SUCCEEDED
        return True
