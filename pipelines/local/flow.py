"""What flows into a task: constants, the parameters around it, outputs of earlier tasks, the item of a loop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import SpecError
from .condition import select
from .ir import Json, PipelineIR, definitions_of, inputs_of, is_loop
from .scope import Node, State
from .values import MISSING, constant, default_of, resolve, typed


def items_of(node: Node) -> list[Any]:
    """Return what a loop repeats over.

    Raises:
        SpecError: It is not a list.
    """
    items = _iterator(node.task)["items"]
    if "raw" in items:
        values = json.loads(items["raw"])
    elif "inputParameter" in items:
        values = _value(node, inputs_of(node.task)[items["inputParameter"]], {}, names={})
    else:
        values = _value(node, inputs_of(node.task, "artifacts")[items["inputArtifact"]], {}, names={})
    if isinstance(values, str):
        values = json.loads(values)
    if not isinstance(values, list):
        raise SpecError(f"It repeats over {values!r}, which is not a list.")
    return values


def iteration_inputs(ir: PipelineIR, node: Node, item: Any, *, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the inputs of one iteration of a loop, the item among them."""
    key = _iterator(node.task)["itemInput"]
    return {**input_values(ir, node, {key: item}, names=names), key: item}


def input_values(
    ir: PipelineIR, node: Node, local: Mapping[str, Any] | None = None, *, names: Mapping[str, str]
) -> dict[str, Any]:
    """Return the inputs of a task by name: parameter values and artifacts.

    Args:
        ir: The pipeline.
        node: The task; all that it depends on has ended.
        local: Values that hide those of the scope: the item of the loop that the task is.
        names: What stands for placeholders such as ``{{$.pipeline_job_name}}``.

    Raises:
        SpecError: A required input has no value.
    """
    component = ir.component(node.task)
    found: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    for name, source in inputs_of(node.task).items():
        definition = definitions_of(component).get(name, {})
        if "runtimeValue" in source:
            constants[name] = constant(source["runtimeValue"]["constant"], definition)
        else:
            found[name] = typed(_value(node, source, local or {}, names=names), definition)
    for name, source in inputs_of(node.task, "artifacts").items():
        found[name] = _value(node, source, local or {}, names=names)
    found = {name: value for name, value in found.items() if value is not MISSING}
    known = {**names, "pipeline_task_name": node.title, "pipeline_task_uuid": node.title}
    found |= {name: resolve(value, found, names=known) for name, value in constants.items()}
    return _with_defaults(node, component, found)


def _iterator(task: Json) -> Json:
    found: Json = task.get("parameterIterator") or task["artifactIterator"]
    return found


def _with_defaults(node: Node, component: Json, found: dict[str, Any]) -> dict[str, Any]:
    item = _iterator(node.task)["itemInput"] if is_loop(node.task) else None
    for kind in ("parameters", "artifacts"):
        for name, definition in definitions_of(component, kind=kind).items():
            if name in found or name == item:
                continue
            value = default_of(definition)
            if value is not MISSING:
                found[name] = value
            elif not definition.get("isOptional"):
                raise SpecError(_no_value(node, name, kind))
    return found


def _no_value(node: Node, name: str, kind: str) -> str:
    source = inputs_of(node.task, kind).get(name, {})
    reference = source.get("taskOutputParameter") or source.get("taskOutputArtifact")
    if reference is None:
        return f"Its input {name!r} has no value."
    key = reference.get("outputParameterKey", reference.get("outputArtifactKey"))
    producer = node.scope.nodes[reference["producerTask"]]
    return f"Its input {name!r} is the output {key!r} of task {producer.title!r}, which {producer.state} without it."


def _value(node: Node, source: Json, local: Mapping[str, Any], *, names: Mapping[str, str]) -> Any:
    nodes = node.scope.nodes
    if "taskOutputParameter" in source:
        reference = source["taskOutputParameter"]
        return nodes[reference["producerTask"]].outputs.get(reference["outputParameterKey"], MISSING)
    if "taskOutputArtifact" in source:
        reference = source["taskOutputArtifact"]
        return nodes[reference["producerTask"]].outputs.get(reference["outputArtifactKey"], MISSING)
    if "taskFinalStatus" in source:
        return _final_status(nodes[source["taskFinalStatus"]["producerTask"]], names)
    name = source.get("componentInputParameter", source.get("componentInputArtifact"))
    value = local.get(name, node.scope.inputs.get(name, MISSING))
    selector = source.get("parameterExpressionSelector")
    return select(value, selector) if selector and value is not MISSING else value


def _final_status(node: Node, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what ``dsl.PipelineTaskFinalStatus`` is made of."""
    failed = node.state is State.FAILED
    return {
        "state": node.state.value.upper(),
        "pipelineJobResourceName": names.get("pipeline_job_resource_name", ""),
        "pipelineTaskName": node.name,
        "error": {"code": 1, "message": f"Task {node.name} failed."} if failed else {},
    }
