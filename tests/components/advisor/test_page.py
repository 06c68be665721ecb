from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from omniforge.components.advisor.insight import ClassScore, Insight
from omniforge.components.advisor.page import render
from omniforge.components.tradeoff import explain_knee
from omniforge.models import ModelVersion
from omniforge.search import SearchSpace
from omniforge.store import TaskRecord

MakeInsight = Callable[..., Insight]
HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "input", "hr", "link"}


@dataclass
class Page(HTMLParser):
    """A page as a browser would read it: its elements, its scripts and the text that a person sees."""

    html: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self.feed(self.html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        around = self._open[-1] if self._open else ""
        if around == "script":
            self.scripts.append(data)
        elif around != "style":
            self.text += data
            if around == "h2":
                self.headings.append(data)

    def section(self, heading: str) -> str:
        """Return the text of one section."""
        after = self.text.split(heading, 1)[1]
        following = [after.find(other) for other in self.headings if after.find(other) > 0]
        return after[: min(following, default=len(after))]


def page_of(insight: Insight, **options: Any) -> Page:
    return Page(render(insight, **options))


def test_everything_is_in_the_one_file(make_insight: MakeInsight) -> None:
    page = page_of(make_insight(20))
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert name not in attributes, attributes
    styles = re.findall(r"<style>(.*?)</style>", page.html, flags=re.DOTALL)
    assert not re.search(r"url\(|@import", styles[0])
    plotly = [script for script in page.scripts if "plotly.js v" in script[:2000]]
    assert len(plotly) == 1
    assert len(plotly[0]) > 1_000_000
    assert sum("Plotly.newPlot" in script for script in page.scripts if script not in plotly) >= 5


def test_the_sections_of_a_search_with_two_objectives(make_insight: MakeInsight) -> None:
    model = ModelVersion("flowers", 1, Path("/m"), metrics={"accuracy": 0.87654})
    insight = make_insight(20, failed=2, classes=[ClassScore("yes", 0.9, 0.8, 10, 30)], model=model)
    page = page_of(insight, folder="/jobs/1")
    assert page.headings == [
        "What to do next", "Leaderboard", "How the search went", "What one objective costs in the other",
        "What accuracy depends on", "What latency_ms depends on", "What good configurations have in common",
        "Where the search has been", "Class by class", "The model", "The data", "Tasks without a score",
        "How it was decided",
    ]  # fmt: skip
    board = page.section("Leaderboard")
    for task in insight.board:
        assert f"{task.rewards['accuracy']:.4g}" in board
    assert board.count("★") == len(insight.front) + 1  # and once where it is explained
    assert "20 of 22" in page.text
    assert "90%" in page.section("Class by class")
    assert "0.8765" in page.section("The model")
    assert "omniforge predict flowers/1" in page.section("The model")
    assert "It was so." in page.section("How it was decided")


def test_the_trade_off_is_explained_and_what_was_not_measured_is_listed(
    make_insight: MakeInsight, make_task: Callable[..., TaskRecord]
) -> None:
    given = make_insight(20)
    away = make_task(99, {}, {"accuracy": 0.5}, cause="device_lost", message="device pi: no answer")
    deployments = [
        {"device": "local", "runtime": "onnxruntime", "metrics": {"latency_ms": 1.25}},
        {"device": "local", "runtime": "tvm", "metrics": {}, "refused": "no such operator"},
    ]
    model = ModelVersion("churn", 3, Path("nowhere"), metrics={"accuracy": 0.9}, lineage={"deployments": deployments})
    knee = explain_knee(given.tasks, given.objectives)
    assert knee is not None
    page = page_of(replace(given, knee=knee, unmeasured=[away], model=model))
    assert f"Task {knee.task.number} is recommended." in page.section("The trade-off")
    assert knee.reason in page.section("The trade-off")
    assert "device pi: no answer" in page.section("Tasks that were not measured")
    assert "1.25" in page.section("Where it runs")
    assert "no such operator" in page.section("Where it runs")


def test_a_suggestion_shows_its_edit_and_the_file_that_has_it(make_insight: MakeInsight) -> None:
    insight = make_insight(40, objectives=1)
    number, suggestion = next((i, one) for i, one in enumerate(insight.suggestions, start=1) if one.space is not None)
    section = page_of(insight, folder="/jobs/1").section("What to do next")
    assert suggestion.do in section
    assert suggestion.seen in section
    assert suggestion.diff.splitlines()[0] in section
    assert f"--space /jobs/1/suggestions/space-{number}.yaml" in section


def test_a_search_that_is_at_its_end_says_so(make_insight: MakeInsight) -> None:
    assert "Nothing stands out" in page_of(make_insight(3)).text


@pytest.mark.parametrize("objectives", [1, 3])
@pytest.mark.parametrize("tasks", [0, 1, 2, 20])
@pytest.mark.parametrize("regression", [False, True])
def test_any_number_of_tasks_and_objectives(
    tasks: int, objectives: int, regression: bool, make_insight: MakeInsight
) -> None:
    insight = make_insight(tasks, objectives=objectives, failed=1, regression=regression)
    page = page_of(insight)
    assert ("regression" if regression else "classification") in page.text
    assert ("Leaderboard" in page.headings) == (tasks > 0)
    assert f"{tasks} of {tasks + 1}" in page.text
    assert "Tasks without a score" in page.headings
    assert "★" not in page.text or objectives > 1


def test_the_default_configuration_is_compared(make_insight: MakeInsight, make_task: Callable[..., TaskRecord]) -> None:
    baseline = make_task(99, {"algorithm": "forest"}, {"accuracy": 0.25})
    insight = make_insight(5, objectives=1, baseline=baseline)
    best = f"{insight.board[0].rewards['accuracy']:.4g}"
    assert f"accuracy: 0.25 with the default configuration, {best} with the recommended one." in page_of(insight).text
    assert "default configuration" not in page_of(replace(insight, baseline=replace(baseline, rewards={}))).text


def test_what_others_wrote_is_text_and_never_markup(
    make_insight: MakeInsight, make_task: Callable[..., TaskRecord]
) -> None:
    """Names of columns, classes and files, values of a configuration, messages of exceptions: all from outside."""
    space = SearchSpace.from_dict({"algorithm": {"type": "choice", "range": ["a", "b", HOSTILE]}})
    tasks = [make_task(i, {"algorithm": (HOSTILE, "a", "b")[i % 3]}, {"accuracy": i / 50}) for i in range(1, 31)]
    tasks.append(make_task(31, {"algorithm": "a"}, cause=HOSTILE, message=HOSTILE))
    table = pd.DataFrame({HOSTILE: [(7 * i) % 31 / 3 for i in range(100)], "y": [HOSTILE, "no"] * 50})
    scores = [ClassScore(HOSTILE, 0.1, 0.1, 2, 3)]
    harmless, insight = (
        make_insight(tasks, objectives=1, space=space, importance={}, **given)
        for given in ({}, {"table": table, "classes": scores})
    )
    job = replace(insight.job, name=HOSTILE, spec={"data": HOSTILE}, plan={"reasons": [HOSTILE], "seed": HOSTILE})
    page = page_of(replace(insight, job=job), folder=HOSTILE)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert len(page.scripts) == len(page_of(harmless).scripts)
    assert not [script for script in page.scripts if script.lstrip().startswith("alert")]
    assert page.text.count(HOSTILE) >= 10
