"""A compiled pipeline as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from omniforge.pipelines import describe_pipeline

Compiled = Callable[[str], Path]


def test_a_search_is_a_tree_in_the_order_of_its_tasks(compiled: Compiled) -> None:
    assert describe_pipeline(compiled("search")).splitlines() == [
        "search(count: int = 4, folder: str, size: int = 5)",
        "├── start",
        "├── for-loop-1 “workers”  (for each of start.workers, all at once; after start)",
        "│   └── rendezvous-2 “worker”",
        "├── rendezvous  (after start)",
        "└── square  (after rendezvous)",
    ]


def test_branches_loops_limits_retries_and_exit_tasks_are_told(compiled: Compiled) -> None:
    branches = describe_pipeline(compiled("branches"))
    assert "condition-2  (if say-Output == 'left')" in branches
    assert "condition-4  (if !(say-Output == 'left') && !(int(count) > 3))" in branches
    assert "for each of names-of.Output, 2 at a time; after names-of" in describe_pipeline(compiled("listed_loop"))
    assert "for each of [1, 2, 3, 4], all at once" in describe_pipeline(compiled("static_loop"))
    assert "for each of names, all at once" in describe_pipeline(compiled("parameter_loop"))
    assert "flaky  (retried up to 2 times)" in describe_pipeline(compiled("retried"))
    assert "└── note-ending  (whatever became of exit-handler-1)" in describe_pipeline(compiled("handled"))


def test_parameters_have_their_types_and_defaults(compiled: Compiled) -> None:
    first = describe_pipeline(compiled("filled")).splitlines()[0]
    assert first == (
        'filled(flag: bool = true, items: list = ["i"], real: float = 2.0, table: dict = {"t": "u"}, text: str)'
    )
    assert describe_pipeline(compiled("optional")).startswith("optional(maybe: str = None, number: int = None)")
