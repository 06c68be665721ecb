"""The page's plots, as plotly figures. They take what was gathered and decide nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ...search import Objective, SearchSpace
    from ...search.ablation import Ablation, Step
    from ...search.importance import Importance
    from ...store import TaskRecord
    from .insight import Insight

ACCENT, MUTED, GOOD, BAD = "#2457d6", "#9aa7bd", "#0f9d76", "#d0376f"
PALETTE = ("#2457d6", "#e2703a", "#0f9d76", "#a13fbf", "#c79200", "#d0376f", "#4a7c8c", "#7a5c3e")
MAX_BARS = 15
LEAST_SHARE = 0.005
MAX_AXES = 7


def all_figures(insight: Insight) -> dict[str, go.Figure]:
    """Return the figures that this job has something to show in, by name."""
    figures: dict[str, Any] = {"convergence": convergence(insight.tasks, insight.objectives[0])}
    if len(insight.objectives) > 1 and len(insight.board) > 1:
        figures["pareto"] = pareto(insight)
    for key, found in insight.importance.items():
        if found.main:
            figures[f"importance {key}"] = importance(found, key)
    if insight.path is not None and insight.path.steps:
        figures["path"] = winning_path(insight.path, insight.objectives[0])
    if len(insight.board) > 2:
        figures["parallel"] = parallel_coordinates(insight)
    if len(_placed(insight)) > 2:
        figures["map"] = space_map(insight)
    return figures


def convergence(tasks: Sequence[TaskRecord], objective: Objective) -> go.Figure:
    """Plot every task's primary value in the order of proposal, and the best so far."""
    import plotly.graph_objects as go

    scored = sorted((task for task in tasks if objective.key in task.rewards), key=lambda task: task.number)
    values = [task.rewards[objective.key] for task in scored]
    best: list[float] = []
    for value in values:
        better = not best or objective.sign * value > objective.sign * best[-1]
        best.append(value if better else best[-1])
    numbers = [task.number for task in scored]
    figure = go.Figure()
    figure.add_scatter(
        x=numbers, y=values, mode="markers", name="task", marker={"color": MUTED, "size": 7},
        text=[_hover(task) for task in scored], hoverinfo="text",
    )  # fmt: skip
    figure.add_scatter(
        x=numbers, y=best, mode="lines", name="best so far", line={"color": ACCENT, "width": 2.5, "shape": "hv"}
    )
    lost = [task.number for task in tasks if task.state in ("failed", "timeout")]
    if lost and values:
        floor = min(values) if objective.sign > 0 else max(values)
        figure.add_scatter(
            x=lost,
            y=[floor] * len(lost),
            mode="markers",
            name="failed",
            marker={"color": "#d0376f", "symbol": "x", "size": 8},
        )
    figure.update_xaxes(title="task")
    figure.update_yaxes(title=objective.key)
    return _styled(figure)


def pareto(insight: Insight) -> go.Figure:
    """Plot the first two objectives against each other, the front joined, the recommended task ringed."""
    import plotly.graph_objects as go

    first, second = insight.objectives[:2]
    on_front = {task.id for task in insight.front}
    rest = [task for task in insight.board if task.id not in on_front]
    front = sorted(insight.front, key=lambda task: task.rewards[second.key])
    figure = go.Figure()
    for tasks, name, style in (
        (rest, "dominated", {"color": MUTED, "size": 7}),
        (front, "Pareto front", {"color": ACCENT, "size": 10}),
    ):
        figure.add_scatter(
            x=[task.rewards[second.key] for task in tasks],
            y=[task.rewards[first.key] for task in tasks],
            mode="lines+markers" if tasks is front else "markers",
            line={"color": ACCENT, "width": 1, "dash": "dot", "shape": "hv" if first.sign > 0 else "vh"},
            name=name,
            marker=style,
            text=[_hover(task) for task in tasks],
            hoverinfo="text",
        )
    chosen = insight.board[0]
    figure.add_scatter(
        x=[chosen.rewards[second.key]], y=[chosen.rewards[first.key]], mode="markers", name="recommended",
        marker={"color": "rgba(0,0,0,0)", "size": 20, "line": {"color": GOOD, "width": 3}}, hoverinfo="skip",
    )  # fmt: skip
    for objective, axis in ((second, "x"), (first, "y")):
        if objective.bound is not None and _is_near(insight.board, objective):
            line = figure.add_vline if axis == "x" else figure.add_hline
            line(objective.bound, line_dash="dash", line_color="#d0376f", annotation_text=f"bound {objective.bound:g}")
    spread = [task.rewards[second.key] for task in insight.board]
    wide = min(spread) > 0 and max(spread) / min(spread) > 10
    figure.update_xaxes(title=_axis_title(insight.board, second), type="log" if wide else None)
    figure.update_yaxes(title=_axis_title(insight.board, first))
    return _styled(figure)


def _is_near(board: Sequence[TaskRecord], objective: Objective) -> bool:
    """Say whether a bound lies among the tasks, or near enough that to show it does not squeeze them."""
    values = [task.rewards[objective.key] for task in board]
    reach = max(values) - min(values)
    return objective.bound is not None and min(values) - reach <= objective.bound <= max(values) + reach


def _axis_title(board: Sequence[TaskRecord], objective: Objective) -> str:
    beyond = objective.bound is not None and not _is_near(board, objective)
    bound = f"; the bound {objective.bound:g} is far outside" if beyond else ""
    return f"{objective.key} ({'higher' if objective.sign > 0 else 'lower'} is better{bound})"


def importance(found: Importance, key: str) -> go.Figure:
    """Plot the share of the metric's variation that each parameter explains, pairs included."""
    import plotly.graph_objects as go

    bars = [(path, share, found.std.get(path, 0.0)) for path, share in found.main.items()]
    bars += [(" x ".join(pair), share, 0.0) for pair, share in found.pairs.items()]
    shown = [bar for bar in bars if bar[1] >= LEAST_SHARE] or bars
    bars = sorted(shown, key=lambda bar: -bar[1])[:MAX_BARS][::-1]
    labels = [" x ".join(map(short, path.split(" x "))) for path, _, _ in bars]
    labels = [path if labels.count(label) > 1 else label for (path, _, _), label in zip(bars, labels, strict=True)]
    figure = go.Figure(
        go.Bar(
            x=[share for _, share, _ in bars],
            y=labels,
            error_x={
                "type": "data",
                "color": MUTED,
                "symmetric": False,
                "array": [std for _, _, std in bars],
                "arrayminus": [min(std, share) for _, share, std in bars],
            },
            orientation="h",
            marker={"color": [MUTED if " x " in path else ACCENT for path, _, _ in bars]},
            customdata=[path for path, _, _ in bars],
            hovertemplate="%{customdata}: %{x:.1%}<extra></extra>",
        )
    )
    figure.update_xaxes(title=f"share of the variation of {key}", tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(automargin=True)
    return _styled(figure, height=90 + 26 * len(bars))


def winning_path(found: Ablation, objective: Objective) -> go.Figure:
    """Plot what each change on the way from the default configuration to the recommended one adds to the metric.

    Changes that move the metric by less than a hundredth of the largest are one bar at the end.
    """
    import plotly.graph_objects as go

    largest = max(abs(step.gain) for step in found.steps)
    shown = [step for step in found.steps if abs(step.gain) >= 0.01 * largest][:MAX_BARS]
    before = [found.start, *(step.value for step in found.steps)]
    moves = {step.path: after - start for step, start, after in zip(found.steps, before, before[1:], strict=False)}
    texts = [_changed(step) for step in shown]
    texts = [step.path if texts.count(text) > 1 else text for step, text in zip(shown, texts, strict=True)]
    labels = ["default", *texts]
    values = [found.start, *(moves[step.path] for step in shown)]
    if len(shown) < len(found.steps):
        labels.append(f"{len(found.steps) - len(shown)} other changes")
        values.append(found.end - sum(values))
    up, down = (GOOD, BAD) if objective.sign > 0 else (BAD, GOOD)
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=[*labels, "recommended"],
            x=[*values, found.end],
            measure=["absolute", *["relative"] * (len(values) - 1), "total"],
            text=[f"{values[0]:.4g}", *(f"{value:+.2g}" for value in values[1:]), f"{found.end:.4g}"],
            increasing={"marker": {"color": up}},
            decreasing={"marker": {"color": down}},
            totals={"marker": {"color": ACCENT}},
        )
    )
    span = max(before) - min(before) or 1.0
    figure.update_xaxes(
        title=f"{objective.key}, predicted", range=[min(before) - 0.15 * span, max(before) + 0.2 * span]
    )
    figure.update_yaxes(automargin=True, autorange="reversed")
    return _styled(figure, height=110 + 26 * len(labels))


def _changed(step: Step) -> str:
    """Say what a step changes."""
    names = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in (step.before, step.after)]
    text = f"{short(step.path)}: {names[0]} → {names[1]}"
    return text if len(text) <= 60 else short(step.path)


def parallel_coordinates(insight: Insight) -> go.Figure:
    """Plot the tasks as lines through their most important parameters and their objectives."""
    import plotly.graph_objects as go

    primary = insight.objectives[0]
    board = insight.board
    axes = [_axis([task.config.get(path) for task in board], label=short(path)) for path in _axes_of(insight)]
    axes += [
        {"label": objective.key, "values": [task.rewards[objective.key] for task in board]}
        for objective in insight.objectives
    ]
    colors = [primary.sign * task.rewards[primary.key] for task in board]
    low = sorted(colors)[len(colors) // 10]  # one bad task must not take all of the color scale
    figure = go.Figure(
        go.Parcoords(
            dimensions=axes,
            line={
                "color": colors,
                "colorscale": "Viridis",
                "cmin": low,
                "cmax": max(colors) if max(colors) > low else low + 1e-9,
            },
            labelangle=-15,
            labelside="bottom",
        )
    )
    return _styled(figure, height=430, margin={"l": 110, "r": 60, "t": 30, "b": 90})


def _placed(insight: Insight) -> list[TaskRecord]:
    """Return the scored tasks of the newest space: it may have changed while the job lived."""
    return [task for task in insight.board if insight.space.is_valid(task.config)]


def space_map(insight: Insight) -> go.Figure:
    """Plot the candidates in two dimensions: near each other when their configurations are alike."""
    import numpy as np
    import plotly.graph_objects as go

    from ...search.encoding import Encoding

    primary = insight.objectives[0]
    board = _placed(insight)
    features = Encoding(insight.space).encode([task.config for task in board]).numpy()
    span = np.ptp(features, axis=0)
    features = (features - features.mean(axis=0)) / np.where(span > 0, span, 1.0)
    left, scale, _ = np.linalg.svd(features, full_matrices=False)
    places = left[:, :2] * scale[:2]
    if places.shape[1] < 2:
        places = np.column_stack([places, np.zeros(len(board))])
    values = [task.rewards[primary.key] for task in board]
    figure = go.Figure()
    group = _grouping(insight.space)
    names = [str(task.config.get(group, "")) for task in board] if group else [""] * len(board)
    symbols = dict(
        zip(
            dict.fromkeys(names),
            ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "pentagon"),
            strict=False,
        )
    )
    for name in dict.fromkeys(names):
        rows = [i for i, other in enumerate(names) if other == name]
        figure.add_scatter(
            x=places[rows, 0], y=places[rows, 1], mode="markers", name=name or "task",
            text=[_hover(board[i]) for i in rows], hoverinfo="text",
            marker={
                "size": 11, "symbol": symbols.get(name, "circle"), "color": [values[i] for i in rows], "coloraxis": "coloraxis",
                "line": {"width": 0.5, "color": "white"},
            },
        )  # fmt: skip
    floor, top = (
        float(np.quantile(values, 0.1 if primary.sign > 0 else 0.0)),
        float(np.quantile(values, 1.0 if primary.sign > 0 else 0.9)),
    )
    figure.update_layout(
        coloraxis={
            "colorscale": "Viridis" if primary.sign > 0 else "Viridis_r", "cmin": floor, "cmax": max(top, floor + 1e-9),
            "colorbar": {"title": primary.key},
        },
        legend={"orientation": "h", "y": -0.12},
    )  # fmt: skip
    figure.update_xaxes(title="first principal direction", zeroline=False)
    figure.update_yaxes(title="second principal direction", zeroline=False)
    return _styled(figure, height=460)


def leaf(path: str) -> str:
    """Return a parameter's own name."""
    return path.rsplit(".", 1)[-1]


def short(path: str) -> str:
    """Return a parameter's path without what stands before its branch."""
    parts = path.split(".")
    return ".".join(parts[-2:]) if len(parts) > 2 else path


def _grouping(space: SearchSpace) -> str | None:
    for path, parameter in space.parameters.items():
        if parameter.parent is None and parameter.kind == "choice":
            return path
    return None


def _axes_of(insight: Insight) -> list[str]:
    """Return the parameters to show: the grouping choice, then the most important ones that enough tasks have."""
    primary = insight.importance.get(insight.objectives[0].key)
    ranked = (
        sorted(primary.main, key=lambda path: -primary.main[path])
        if primary and primary.main
        else list(insight.space.parameters)
    )
    paths = [path for path in [_grouping(insight.space)] if path]
    for path in ranked:
        if path not in paths and any(path in task.config for task in insight.board):
            paths.append(path)
    return paths[:MAX_AXES]


def _axis(values: Sequence[Any], *, label: str) -> dict[str, Any]:
    """Return one axis; what is not active in a task sits at the bottom, named."""
    import math

    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers and all(value is None or value in numbers for value in values):
        logarithmic = min(numbers) > 0 and max(numbers) / min(numbers) > 50
        shown = [math.log10(value) if logarithmic else float(value) for value in numbers]
        low, high = min(shown), max(shown)
        absent = low - 0.12 * ((high - low) or 1.0)
        place = iter(shown)
        ticks = sorted({low, (low + high) / 2, high})
        texts = [f"{10**tick if logarithmic else tick:.3g}" for tick in ticks]
        if None in values:
            ticks, texts = [absent, *ticks], ["inactive", *texts]
        return {
            "label": label, "values": [absent if value is None else next(place) for value in values],
            "tickvals": ticks, "ticktext": texts,
        }  # fmt: skip
    names = list(dict.fromkeys("inactive" if value is None else str(value) for value in values))
    index = {name: i for i, name in enumerate(names)}
    return {
        "label": label, "values": [index["inactive" if value is None else str(value)] for value in values],
        "tickvals": list(range(len(names))), "ticktext": names,
    }  # fmt: skip


def _hover(task: TaskRecord) -> str:
    lines = [f"<b>task {task.number}</b>"]
    lines += [f"{name}: {value:.4g}" for name, value in list(task.rewards.items())[:6]]
    lines += [
        f"{short(path)} = {value:.4g}" if isinstance(value, float) else f"{short(path)} = {value}"
        for path, value in task.config.items()
    ]
    return "<br>".join(lines[:18])


def _styled(figure: go.Figure, *, height: int = 380, margin: dict[str, int] | None = None) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin=margin or {"l": 60, "r": 20, "t": 20, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13},
        colorway=list(PALETTE),
        hoverlabel={"align": "left"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure
