"""The state of a run, moved by hand: what starts when, and what a failure stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omniforge.pipelines.local import PipelineIR
from omniforge.pipelines.local.graph import Graph, Progress
from omniforge.pipelines.local.scope import Node, State

IrOf = Callable[[str], PipelineIR]


def titles(nodes: list[Node]) -> list[str]:
    return sorted(node.title for node in nodes)


def begin(ir: PipelineIR, **inputs: Any) -> tuple[Graph, dict[str, Node]]:
    graph = Graph(ir, inputs, names={})
    return graph, advance(graph)


def advance(graph: Graph) -> dict[str, Node]:
    return {node.title: node for node in graph.advance().started}


def succeed_all(graph: Graph, started: Mapping[str, Node], **outputs: Any) -> dict[str, Node]:
    for node in started.values():
        graph.succeed(node, outputs or {"Output": "x"})
    return advance(graph)


def test_siblings_start_together_and_all_iterations_of_a_loop_too(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("search"), folder="f", count=3, size=4)
    assert list(started) == ["start"]
    started = succeed_all(graph, started, workers=[0, 1, 2], info={})
    assert set(started) == {"rendezvous", "rendezvous-2.0", "rendezvous-2.1", "rendezvous-2.2"}
    assert started["rendezvous-2.1"].inputs == {"index": 1, "count": 4, "folder": "f"}
    assert started["rendezvous-2.1"].label == "worker"
    graph.succeed(started["rendezvous"], {"Output": 100})
    assert set(advance(graph)) == {"square"}  # it waits for the estimator only
    assert not graph.ended


def test_a_limited_loop_starts_an_iteration_when_one_ends(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("listed_loop"), count=4)
    started = succeed_all(graph, started, Output=["a", "b", "c", "d"])
    assert set(started) == {"part.0", "part.1"}
    graph.succeed(started["part.1"], {"Output": "b", "out": "artifact b"})
    third = advance(graph)
    assert set(third) == {"part.2"}
    graph.succeed(started["part.0"], {"Output": "a", "out": "artifact a"})
    fourth = advance(graph)
    assert set(fourth) == {"part.3"}
    graph.succeed(fourth["part.3"], {"Output": "d", "out": "artifact d"})
    assert advance(graph) == {}
    graph.succeed(third["part.2"], {"Output": "c", "out": "artifact c"})
    gather = advance(graph)["gather"]
    assert gather.inputs == {
        "names": ["a", "b", "c", "d"],
        "parts": ["artifact a", "artifact b", "artifact c", "artifact d"],
    }


def test_a_loop_over_nothing_ends_at_once(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("listed_loop"), count=0)
    started = succeed_all(graph, started, Output=[])
    assert set(started) == {"gather"}
    assert started["gather"].inputs == {"names": [], "parts": []}


def test_a_branch_that_is_not_taken_is_skipped_and_the_other_gives_the_output(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("branches"), text="t", count=9)
    graph.succeed(started["say"], {"Output": "elsewhere"})
    progress = graph.advance()
    assert titles(progress.started) == ["say-3"]
    assert titles(progress.skipped) == ["condition-2", "condition-4"]
    graph.succeed(progress.started[0], {"Output": "middle"})
    assert advance(graph)["say-5"].inputs == {"text": "middle"}


def test_nested_pipelines_are_in_the_title_and_groups_are_not(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("nested"), text="x")
    assert list(started) == ["inner/say"]
    started = succeed_all(graph, started, Output="x!")
    assert list(started) == ["middle/inner/say"]
    assert started["middle/inner/say"].inputs["text"] == "x!!"


def test_the_outputs_of_the_pipeline_are_those_of_its_tasks(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("static_loop"))
    assert started["square.3"].inputs == {"index": 4}
    started = succeed_all(graph, started, Output=5)
    assert started["total"].inputs == {"numbers": [5, 5, 5, 5]}
    succeed_all(graph, started, Output=20)
    assert graph.ended
    assert graph.outputs() == {"Output": 20}


def test_after_a_failure_only_the_exit_task_starts_when_all_others_have_ended(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("failing"), folder="f", message="m")
    assert set(started) == {"sleep", "wait-for-file"}
    graph.fail(started["wait-for-file"])
    assert advance(graph) == {}
    graph.cancel(started["sleep"])
    started = advance(graph)
    assert set(started) == {"note-ending"}
    status = started["note-ending"].inputs["status"]
    assert (status["state"], status["pipelineTaskName"]) == ("FAILED", "exit-handler-1")
    graph.succeed(started["note-ending"], {})
    assert advance(graph) == {}
    assert graph.ended
    assert graph.root.nodes["exit-handler-1"].state is State.FAILED


def test_an_exit_task_that_is_a_pipeline_runs_whole(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("handled_by_pipeline"), text="x")
    graph.fail(started["fail"])
    started = advance(graph)
    assert list(started) == ["middle/inner/say"]
    assert list(succeed_all(graph, started)) == ["middle/inner-2/say"]


def test_a_failure_in_an_exit_task_stops_what_waits_for_it(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("handled_by_pipeline"), text="x")
    graph.fail(started["fail"])
    graph.fail(advance(graph)["middle/inner/say"])
    assert advance(graph) == {}
    assert graph.ended


def test_an_exit_task_learns_of_success(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("handled"), text="t")
    started = succeed_all(graph, started)
    assert started["note-ending"].inputs["status"]["state"] == "SUCCEEDED"


def test_a_failure_leaves_the_rest_of_a_limited_loop_unstarted(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("listed_loop"), count=4)
    started = succeed_all(graph, started, Output=["a", "b", "c", "d"])
    graph.fail(started["part.0"])
    graph.succeed(started["part.1"], {"Output": "b"})
    assert advance(graph) == {}
    assert graph.ended
    assert graph.root.nodes["gather"].state is State.CANCELLED


def test_a_task_without_its_input_is_refused_by_name(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("forgetful"))
    graph.succeed(started["forget"], {})
    progress: Progress = graph.advance()
    [(node, reason)] = progress.refused
    assert node.title == "say"
    assert reason == "Its input 'text' is the output 'out' of task 'forget', which succeeded without it."
    assert graph.failed
    assert graph.ended


def test_a_loop_over_something_else_than_a_list_is_refused(ir_of: IrOf) -> None:
    graph, started = begin(ir_of("listed_loop"), count=4)
    graph.succeed(started["names-of"], {"Output": {"a": 1}})
    [(node, reason)] = graph.advance().refused
    assert (node.title, reason) == ("for-loop-1", "It repeats over {'a': 1}, which is not a list.")
