"""What a person might do next, from what the search learned: edits of the space, the data, the bounds, the budget. Pure.

Every suggestion says what was seen, what to do, and how sure that is; an edit of the space comes as the edited space, so
that it can be previewed and taken as it is.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import leaderboard

if TYPE_CHECKING:
    from ...data import DataProfile
    from ...search import Objective, SearchSpace
    from ...store import TaskRecord
    from .insight import ClassScore

NEAR_EDGE = 0.05
ENOUGH_TASKS = 10
TOP_SHARE = 0.25
WEAK_RECALL = 0.7
FEW_ROWS_OF_A_CLASS = 50


@dataclass(frozen=True)
class Suggestion:
    """One thing to do.

    Attributes:
        about: ``space``, ``data``, ``objectives``, ``budget`` or ``resources``.
        seen: What was observed, with figures.
        do: What to do about it.
        space: The edited space, when it is an edit of the space.
        diff: The edit, readable.
    """

    about: str
    seen: str
    do: str
    space: SearchSpace | None = None
    diff: str = ""


def suggest(
    tasks: Sequence[TaskRecord],
    objectives: Sequence[Objective],
    space: SearchSpace,
    *,
    profile: DataProfile,
    classes: Sequence[ClassScore] = (),
) -> list[Suggestion]:
    """Return the suggestions, the ones about the space first."""
    board = leaderboard.ranked(tasks, objectives)
    found: list[Suggestion] = []
    if len(board) >= ENOUGH_TASKS:
        found += widen(board, space)
        found += drop_losers(board, space)
        found += more_trials(board, objectives)
    found += relax_bounds(board, objectives)
    found += failures(tasks)
    found += collect(profile, classes)
    return found


def widen(board: Sequence[TaskRecord], space: SearchSpace) -> list[Suggestion]:
    """Suggest a wider range where the best tasks sit at an edge of a number."""
    best = board[: max(3, int(TOP_SHARE * len(board) / 2))]
    found = []
    for path, value in best[0].config.items():
        parameter = space.parameters.get(path)
        low, high = (
            getattr(parameter and parameter.domain, "low", None),
            getattr(parameter and parameter.domain, "high", None),
        )
        if parameter is None or low is None or high is None or isinstance(value, bool) or low == high:
            continue
        values = [task.config[path] for task in best if path in task.config]
        side = _edge(values, low, high, log=bool(getattr(parameter.domain, "log", False)))
        if side is None or len(values) < 2 or (parameter.parent is not None and parameter.index is not None):
            continue
        bounds = _wider(low, high, side, log=bool(getattr(parameter.domain, "log", False)))
        if bounds is None or bounds == [low, high]:
            continue
        edited = space.edit(path, range=bounds)
        found.append(
            Suggestion(
                "space",
                f"The best tasks have {path} at its {side} edge ({value:.4g} of {low:.4g} to {high:.4g}).",
                f"Widen {path} to the range {bounds[0]:.4g} to {bounds[1]:.4g}.",
                space=edited,
                diff=str(space.diff(edited)),
            )
        )
    return found


def _edge(values: Sequence[float], low: float, high: float, *, log: bool) -> str | None:
    """Return the edge that most of the values are at."""
    import math

    def place(value: float) -> float:
        if log:
            return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return (value - low) / (high - low)

    places = [place(value) for value in values]
    for side, count in (
        ("upper", sum(p > 1 - NEAR_EDGE for p in places)),
        ("lower", sum(p < NEAR_EDGE for p in places)),
    ):
        if count > len(places) / 2:
            return side
    return None


def _wider(low: float, high: float, side: str, *, log: bool) -> list[float] | None:
    whole = isinstance(low, int) and isinstance(high, int)
    if side == "upper":
        new: list[float] = [low, high * 3 if log else high + (high - low) / 2]
    elif log:
        new = [low / 3, high]
    elif low <= 0 or (low - (high - low) / 2) > 0:
        new = [low - (high - low) / 2, high]
    else:
        return None  # a count or a share that ends at zero cannot be widened below
    if whole:
        new = [max(1, round(new[0])) if low >= 1 else round(new[0]), round(new[1])]
    elif low >= 0 and high <= 1 and side == "upper":
        new[1] = min(1.0, new[1])
    return new


def drop_losers(board: Sequence[TaskRecord], space: SearchSpace) -> list[Suggestion]:
    """Suggest to leave out the branches of a top-level choice that were tried often and never came near the top."""
    found = []
    top = board[: max(3, int(TOP_SHARE * len(board)))]
    for path, parameter in space.parameters.items():
        values = list(getattr(parameter.domain, "values", ()))
        if parameter.parent is not None or parameter.kind != "choice" or len(values) < 3:
            continue
        tried = Counter(task.config.get(path) for task in board)
        good = Counter(task.config.get(path) for task in top)
        losers = [value for value in values if tried[value] >= 3 and good[value] == 0]
        kept = [value for value in values if value not in losers]
        if not losers or not kept:
            continue
        edited = space.edit(path, range=kept)
        listed = ", ".join(f"{value} ({tried[value]} tasks)" for value in losers)
        found.append(
            Suggestion(
                "space",
                f"None of the best {len(top)} tasks has {path} = {listed}.",
                f"Leave out {', '.join(map(str, losers))} and spend the trials on {', '.join(map(str, kept))}.",
                space=edited,
                diff=f"~ {path}.range: {', '.join(f'- {value!r}' for value in losers)}",
            )
        )
    return found


def more_trials(board: Sequence[TaskRecord], objectives: Sequence[Objective]) -> list[Suggestion]:
    """Suggest a longer search when the last fifth of it still found better values."""
    primary = objectives[0]
    ordered = sorted(board, key=lambda task: task.number)
    cut = int(0.8 * len(ordered))
    early = max(primary.sign * task.rewards[primary.key] for task in ordered[:cut])
    late = max(primary.sign * task.rewards[primary.key] for task in ordered[cut:])
    spread = statistics.pstdev([task.rewards[primary.key] for task in ordered]) or 1.0
    if late - early <= 0.05 * spread:
        return []
    return [
        Suggestion(
            "budget",
            f"The last fifth of the search still improved {primary.key}: "
            f"from {early * primary.sign:.4g} to {late * primary.sign:.4g}.",
            f"Search on with more trials than {len(ordered)}; this job's winners are tried first.",
        )
    ]


def relax_bounds(board: Sequence[TaskRecord], objectives: Sequence[Objective]) -> list[Suggestion]:
    """Suggest to relax a bound that few tasks keep, or to tighten one that costs nothing."""
    found = []
    for objective in objectives:
        if objective.bound is None or not board:
            continue
        kept = [task for task in board if objective.satisfied(task.rewards[objective.key])]
        if len(kept) <= 0.1 * len(board):
            nearest = min(abs(task.rewards[objective.key] - objective.bound) for task in board)
            found.append(
                Suggestion(
                    "objectives",
                    f"{len(kept)} of {len(board)} tasks keep {objective}; the nearest other one misses it by {nearest:.4g}.",
                    f"Relax the bound on {objective.key}, or leave out what cannot keep it.",
                )
            )
    return found


def failures(tasks: Sequence[TaskRecord]) -> list[Suggestion]:
    """Suggest what to do about tasks that failed for the same cause."""
    causes = Counter(task.cause for task in tasks if task.state in ("failed", "timeout"))
    advice = {
        "out_of_memory": "Raise --memory-mb, run fewer workers, or narrow what makes models large.",
        "timeout": "Raise --trial-timeout, or narrow what makes training slow.",
        "exception": "Read the tasks' logs; the same exception in many tasks is a defect of the estimator or of the space.",
        "export_failed": "Leave out what cannot be exported, or drop the deployment objectives.",
    }
    return [
        Suggestion("resources", f"{count} of {len(tasks)} tasks ended with the cause {cause}.", advice[cause])
        for cause, count in causes.items()
        if cause in advice and count >= max(2, 0.1 * len(tasks))
    ]


def collect(profile: DataProfile, classes: Sequence[ClassScore]) -> list[Suggestion]:
    """Suggest which data to collect or mend."""
    rare = max(FEW_ROWS_OF_A_CLASS, 0.1 * profile.rows)
    found = [
        Suggestion(
            "data",
            f"Class {score.label!r} is found in {score.recall:.0%} of its rows; it has {score.train_rows} rows to learn from.",
            f"Collect more rows of class {score.label!r}.",
        )
        for score in classes
        if score.recall < WEAK_RECALL and score.train_rows < rare
    ]
    sparse = [column for column in profile.columns if column.missing > 0.5 * profile.rows]
    if sparse:
        names = ", ".join(column.name for column in sparse[:5])
        found.append(
            Suggestion(
                "data", f"More than half is missing in: {names}.", "Fill these columns at their source, or drop them."
            )
        )
    return found


def file_name(number: int) -> str:
    """Return the file, beside the page, that the edited space of a suggestion is in."""
    return f"suggestions/space-{number}.yaml"


def as_mapping(suggestion: Suggestion) -> Mapping[str, object]:
    """Return JSON values, for a program that applies an edit."""
    return {
        "about": suggestion.about,
        "seen": suggestion.seen,
        "do": suggestion.do,
        "diff": suggestion.diff,
        "space": None if suggestion.space is None else suggestion.space.to_dict(),
    }
