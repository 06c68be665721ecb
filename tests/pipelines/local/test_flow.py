"""What flows into a task."""

from __future__ import annotations

from typing import Any

import pytest

from omniforge.errors import SpecError
from omniforge.pipelines.local.flow import input_values, items_of, iteration_inputs
from omniforge.pipelines.local.ir import PipelineIR, load_ir
from omniforge.pipelines.local.scope import Node, Scope, State

STRING = {"parameterType": "STRING"}
INTEGER = {"parameterType": "NUMBER_INTEGER"}


def a_node(
    parameters: dict[str, Any], *, declared: dict[str, Any], loop: dict[str, Any] | None = None, **inputs: Any
) -> tuple[PipelineIR, Node]:
    """Return a task ``t`` with a neighbour ``up`` in a scope with ``inputs``."""
    task = {"componentRef": {"name": "comp-t"}, "inputs": {"parameters": parameters}, **(loop or {})}
    root = {"dag": {"tasks": {"t": task, "up": {"componentRef": {"name": "comp-up"}}}}}
    components = {"comp-t": {"inputDefinitions": {"parameters": declared}}, "comp-up": {}}
    ir = load_ir({"pipelineInfo": {"name": "p"}, "root": root, "components": components})
    return ir, Scope(ir.root, inputs).nodes["t"]


def test_constants_parameters_outputs_and_defaults() -> None:
    ir, node = a_node(
        {
            "constant": {"runtimeValue": {"constant": 2.0}},
            "parameter": {"componentInputParameter": "given"},
            "output": {"taskOutputParameter": {"producerTask": "up", "outputParameterKey": "x"}},
            "text": {"runtimeValue": {"constant": "{{$.inputs.parameters['parameter']}} of {{$.pipeline_task_name}}"}},
        },
        declared={
            "constant": INTEGER,
            "parameter": INTEGER,
            "output": {"parameterType": "LIST"},
            "text": STRING,
            "defaulted": {**INTEGER, "defaultValue": 5.0},
            "optional": {**STRING, "isOptional": True},
        },
        given=4.0,
    )
    node.scope.nodes["up"].outputs = {"x": [1, 2.0]}
    assert input_values(ir, node, names={}) == {
        "constant": 2, "parameter": 4, "output": [1, 2.0], "text": "4 of t", "defaulted": 5,
    }  # fmt: skip


def test_text_that_a_component_returned_is_never_searched_for_placeholders() -> None:
    source = {"taskOutputParameter": {"producerTask": "up", "outputParameterKey": "x"}}
    ir, node = a_node({"text": source}, declared={"text": STRING})
    node.scope.nodes["up"].outputs = {"x": "{{$.pipeline_job_name}}"}
    assert input_values(ir, node, names={"pipeline_job_name": "run"}) == {"text": "{{$.pipeline_job_name}}"}


def test_a_missing_required_input_is_an_error() -> None:
    ir, node = a_node({}, declared={"text": STRING})
    with pytest.raises(SpecError, match="'text' has no value"):
        input_values(ir, node, names={})


def test_the_final_status_of_a_failed_task() -> None:
    ir, node = a_node({"status": {"taskFinalStatus": {"producerTask": "up"}}}, declared={})
    node.scope.nodes["up"].state = State.FAILED
    assert input_values(ir, node, names={"pipeline_job_resource_name": "run"})["status"] == {
        "state": "FAILED",
        "pipelineJobResourceName": "run",
        "pipelineTaskName": "up",
        "error": {"code": 1, "message": "Task up failed."},
    }


@pytest.mark.parametrize("items", [{"raw": "[1, 2]"}, {"inputParameter": "list"}])
def test_a_loop_repeats_over_a_constant_or_an_input(items: dict[str, str]) -> None:
    loop = {"parameterIterator": {"items": items, "itemInput": "item"}}
    source = {
        "list": {"componentInputParameter": "xs"},
        "half": {"componentInputParameter": "item", "parameterExpressionSelector": ""},
    }
    ir, node = a_node(source, declared={"item": INTEGER}, loop=loop, xs=[1, 2])
    assert items_of(node) == [1, 2]
    assert iteration_inputs(ir, node, 2, names={}) == {"list": [1, 2], "half": 2, "item": 2}


def test_a_list_may_come_as_json_text() -> None:
    loop = {"parameterIterator": {"items": {"inputParameter": "list"}, "itemInput": "item"}}
    _, node = a_node({"list": {"componentInputParameter": "xs"}}, declared={}, loop=loop, xs='["a"]')
    assert items_of(node) == ["a"]


def test_a_field_of_the_item_is_selected() -> None:
    loop = {"parameterIterator": {"items": {"raw": '[{"a": 7}]'}, "itemInput": "item"}}
    source = {
        "field": {"componentInputParameter": "item", "parameterExpressionSelector": 'parseJson(string_value)["a"]'}
    }
    ir, node = a_node(source, declared={"field": INTEGER}, loop=loop)
    assert iteration_inputs(ir, node, {"a": 7}, names={})["field"] == 7
