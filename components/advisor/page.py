"""The advisor's page: one HTML file with everything in it, readable without a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .figures import all_figures, leaf, short
from .suggestions import file_name

if TYPE_CHECKING:
    from .insight import Insight

TEMPLATE = "page.html.j2"
ROWS = 25

EXPLAINED = {
    "convergence": ("How the search went", "Every point is a task; the line is the best value so far."),
    "pareto": (
        "What one objective costs in the other",
        "No task beats one on the front in every objective. The ring marks the recommended one: the knee, where giving up "
        "a little more of one objective stops paying in the other.",
    ),
    "path": (
        "What made the winner better than the default",
        "From the default configuration to the recommended one, one change at a time, always the one that helps most; predicted by "
        "a random forest on the tasks. A branch is changed with all that is in it.",
    ),
    "parallel": (
        "What good configurations have in common",
        "One line a task, bright where the primary objective is good. Drag along an axis to keep only the lines that pass there.",
    ),
    "map": (
        "Where the search has been",
        "Configurations that are alike lie near each other. Empty regions were not tried; bright ones are worth refining.",
    ),
}


def render(insight: Insight, *, folder: str = ".") -> str:
    """Return the page as HTML text.

    Args:
        insight: What it shows.
        folder: Where the page and the suggested spaces lie, as the person is to write it.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(number=_number, short=short, leaf=leaf, percent=_percent)
    return environment.get_template(TEMPLATE).render(
        insight=insight,
        folder=folder,
        file_name=file_name,
        job=insight.job,
        plan=insight.job.plan or {},
        winner=insight.board[0] if insight.board else None,
        front={task.id for task in insight.front},
        rows=insight.board[:ROWS],
        counts=_counts(insight),
        figures=_figures(insight),
        improvement=_improvement(insight),
        duration_s=_duration(insight),
    )


def _figures(insight: Insight) -> list[dict[str, str]]:
    """Return title, explanation and HTML of every figure; the first brings plotly's code along."""
    shown = []
    for index, (name, figure) in enumerate(all_figures(insight).items()):
        title, text = EXPLAINED.get(name, ("", ""))
        if name.startswith("importance "):
            key = name.removeprefix("importance ")
            title = f"What {key} depends on"
            text = _importance_text(insight, key)
        if name == "path" and insight.path is not None and insight.path.note:
            text = f"{text} {insight.path.note}"
        html = figure.to_html(
            full_html=False, include_plotlyjs=index == 0, div_id=f"figure-{index}",
            config={"displayModeBar": False, "responsive": True},
        )  # fmt: skip
        shown.append({"title": title, "text": text, "html": html})
    return shown


def _importance_text(insight: Insight, key: str) -> str:
    found = insight.importance[key]
    text = (
        "Functional analysis of variance on a random forest: the share of the variation that each parameter explains by "
        "itself, and in gray what two explain only together."
    )
    return f"{text} {found.note}" if found.note else text


def _counts(insight: Insight) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for task in insight.tasks:
        counts[task.state] = counts.get(task.state, 0) + 1
    return counts


def _improvement(insight: Insight) -> str | None:
    """Say how the recommended task compares with the default configuration, where that was scored."""
    if insight.baseline is None or not insight.board:
        return None
    primary = insight.objectives[0]
    before, after = insight.baseline.rewards.get(primary.key), insight.board[0].rewards[primary.key]
    if before is None:
        return None
    return (
        f"{primary.key}: {_number(before)} with the default configuration, {_number(after)} with the recommended one."
    )


def _duration(insight: Insight) -> float | None:
    ended = [task.finished_at for task in insight.tasks if task.finished_at]
    begun = [task.reserved_at for task in insight.tasks if task.reserved_at]
    return (max(ended) - min(begun)).total_seconds() if ended and begun else None


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _percent(value: float) -> str:
    return f"{value:.0%}"
