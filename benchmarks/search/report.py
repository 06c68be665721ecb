"""Tables and plots of a benchmark's rows: ``results/search/SET.md`` and ``SET.png``. No statistics of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from .grid import Row, environment
from .problems.problem import Problem
from .statistics import Array, Curves, curves, evaluations_to, friedman, intervals, ranks, regrets, wilson


def write(rows: Sequence[Row], problems: Sequence[Problem], *, steps: int, path: Path, command: str) -> str:
    """Write the tables of one problem set and its plot, and return the tables as Markdown.

    Args:
        rows: All rows of the set.
        problems: What they are about.
        steps: Evaluations of a whole search.
        path: The file of the tables; the plot stands beside it.
        command: What made the rows.
    """
    signs = {problem.name: problem.objectives[0].sign for problem in problems}
    found = curves(rows, signs=signs, steps=steps)
    if not found.problems:
        return "Nothing that all methods have finished."
    regret = regrets(found, optima={problem.name: problem.optimum for problem in problems})
    known = {problem.name: problem.optimum for problem in problems if problem.optimum is not None}
    parts = [f"`{command}`", _summary(found, regret, rows), _per_problem(found, known)]
    parts.append(_incumbents(rows, found))
    parts.append("Environment: " + ", ".join(f"{k} {v}" for k, v in environment().items() if v is not None) + ".")
    text = "\n\n".join(part for part in parts if part) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    _plot(found, regret, path.with_suffix(".png"))
    return text


def _summary(found: Curves, regret: Mapping[str, Array], rows: Sequence[Row]) -> str:
    """Return ranks over the problems, the mean regret at a third, two thirds and the end, and the seconds of an ask."""
    table = ranks(found)
    low, high = intervals(table)
    value, difference = friedman(table)
    steps = next(iter(regret.values())).shape[-1]
    marks = [steps // 3, 2 * steps // 3, steps]
    lines = [
        f"| method | mean rank (95 %) | {' | '.join(f'regret after {m}' for m in marks)} | ask, mean s |",
        "|---|---|" + "---:|" * (len(marks) + 1),
    ]
    order = np.argsort(table.mean(axis=0), kind="stable")
    for j in order:
        name = found.methods[j]
        means = [np.mean([regret[p][j, :, m - 1].mean() for p in found.problems]) for m in marks]
        seconds = np.mean([row.ask_s for row in rows if row.method == name])
        cells = " | ".join(f"{mean:.4f}" for mean in means)
        lines.append(f"| {name} | {table[:, j].mean():.2f} ({low[j]:.2f}-{high[j]:.2f}) | {cells} | {seconds:.3f} |")
    seeds = sorted({found.best[p].shape[1] for p in found.problems})
    text = f"{len(found.problems)} problems, {'-'.join(map(str, {seeds[0], seeds[-1]}))} seeds in common"
    if not math.isnan(value):
        text += f"; Friedman p = {value:.2g}, critical difference of mean ranks {difference:.2f}"
    return (
        text
        + ". Regret: 0 is the optimum or the best found by anyone, 1 the median first value.\n\n"
        + "\n".join(lines)
    )


def _per_problem(found: Curves, optima: Mapping[str, float]) -> str:
    """Return the mean final value and how many searches reach the target after how many evaluations, per problem."""
    lines = [
        "| problem | method | mean best | reach the target | median evaluations to it |",
        "|---|---|---:|---:|---:|",
    ]
    for problem in found.problems:
        best, sign = found.best[problem], found.sign[problem]
        exact = problem in optima
        target = sign * optima[problem] if exact else float(np.median(best[:, :, -1]))
        needed = evaluations_to(best, target)
        for j, name in enumerate(found.methods):
            hits, n = int(np.isfinite(needed[j]).sum()), needed.shape[1]
            low, high = wilson(hits, n)
            median = float(np.median(needed[j]))
            lines.append(
                f"| {problem} | {name} | {sign * best[j, :, -1].mean():.4f} | {hits / n:.2f} ({low:.2f}-{high:.2f}) "
                f"| {'-' if math.isinf(median) else f'{median:.0f}'} |"
            )
    return "The target is the optimum, or where that is unknown the median final value of all.\n\n" + "\n".join(lines)


def _incumbents(rows: Sequence[Row], found: Curves) -> str:
    """Return the mean and the deviation over seeds of what problems report of the configurations that were found."""
    told: dict[tuple[str, str], list[dict[str, float]]] = {}
    for row in rows:
        if row.report and row.problem in found.problems:
            report = {k: v for k, v in json.loads(row.report).items() if k != "end"}
            told.setdefault((row.problem, row.method), []).append(report)
    lines: list[str] = []
    for (problem, method), reports in sorted(told.items()):
        names = list(reports[0])
        if names and not lines:
            lines += [f"| problem | method | {' | '.join(names)} |", "|---|---|" + "---:|" * len(names)]
        if names:
            lines.append(f"| {problem} | {method} | {' | '.join(_mean_and_deviation(reports, names))} |")
    return "What was found, not seen by the methods:\n\n" + "\n".join(lines) if lines else ""


def _mean_and_deviation(reports: Sequence[Mapping[str, float]], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        values = [report[name] for report in reports]
        yield f"{np.mean(values):.2f} ± {np.std(values):.2f}"


def _plot(found: Curves, regret: Mapping[str, Array], path: Path) -> None:
    """Draw the mean regret over evaluations, with the standard error over problems."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), constrained_layout=True)
    for j, name in enumerate(found.methods):
        lines = np.array([regret[p][j].mean(axis=0) for p in found.problems])
        mean, error = lines.mean(axis=0), lines.std(axis=0) / math.sqrt(len(lines))
        steps = np.arange(1, len(mean) + 1)
        (line,) = axes.plot(steps, mean, label=name)
        axes.fill_between(steps, np.maximum(mean - error, 1e-5), mean + error, color=line.get_color(), alpha=0.12)
    axes.set(xlabel="evaluations", ylabel="mean regret (1: the first value)", yscale="log")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
