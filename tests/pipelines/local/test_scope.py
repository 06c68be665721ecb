"""Scopes and nodes: names, and what a scope gives once its tasks have ended."""

from __future__ import annotations

from typing import Any

from omniforge.pipelines.local.scope import Node, Scope, State, collect, outputs_of


def component(outputs: dict[str, Any], *tasks: str) -> dict[str, Any]:
    return {"dag": {"tasks": {name: {"taskInfo": {"name": f"the {name}"}} for name in tasks}, "outputs": outputs}}


LOOP = component(
    {
        "parameters": {"values": {"valueFromParameter": {"producerSubtask": "a", "outputParameterKey": "x"}}},
        "artifacts": {"files": {"artifactSelectors": [{"producerSubtask": "a", "outputArtifactKey": "f"}]}},
    },
    "a",
)


def iteration(*indices: int, **outputs: Any) -> Scope:
    scope = Scope(LOOP, {}, indices=indices)
    scope.nodes["a"].outputs = outputs
    return scope


def test_a_title_has_the_nested_pipelines_and_the_iterations() -> None:
    node: Node = Scope(component({}, "a"), {}, path=("outer", "inner"), indices=(2, 0)).nodes["a"]
    assert node.title == "outer/inner/a.2.0"
    assert node.label == "the a"


def test_a_scope_has_ended_when_every_task_has() -> None:
    scope = Scope(component({}, "a", "b"), {})
    scope.nodes["a"].state = State.SKIPPED
    assert not scope.ended
    scope.nodes["b"].state = State.CANCELLED
    assert scope.ended


def test_the_first_branch_that_ran_gives_a_oneof() -> None:
    several = [{"producerSubtask": "a", "outputParameterKey": "x"}, {"producerSubtask": "b", "outputParameterKey": "y"}]
    scope = Scope(component({"parameters": {"one": {"valueFromOneof": {"parameterSelectors": several}}}}, "a", "b"), {})
    assert outputs_of(scope) == {}
    scope.nodes["b"].outputs = {"y": None}
    assert outputs_of(scope) == {"one": None}


def test_a_loop_collects_in_the_order_of_its_items() -> None:
    scopes = [iteration(2, x="c", f="C"), iteration(0, x="a", f="A"), iteration(1)]
    assert collect(LOOP, scopes) == {"values": ["a", "c"], "files": ["A", "C"]}


def test_artifacts_of_nested_loops_are_one_list_and_their_parameters_nest() -> None:
    scopes = [iteration(0, x=[1, 2], f=["A", "B"]), iteration(1, x=[3], f=["C"])]
    assert collect(LOOP, scopes) == {"values": [[1, 2], [3]], "files": ["A", "B", "C"]}


def test_no_iterations_give_empty_lists() -> None:
    assert collect(LOOP, []) == {"values": [], "files": []}
