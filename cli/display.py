"""What a person sees while a job runs and when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import err, out, print_json

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

Document = dict[str, Any]
STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "queued": "dim"}
FINISHED = ("succeeded", "failed", "timeout")
ALIVE_S = 30.0
PLAIN_INTERVAL_S = 5.0


@contextmanager
def progress(*, quiet: bool, trials: int | None, budget_s: float | None) -> Iterator[Callable[[Document], None]]:
    """Show a job while it runs: live in a terminal, a line now and then elsewhere, nothing when ``quiet``."""
    view = JobView(trials=trials, budget_s=budget_s)
    if quiet:
        yield lambda _: None
    elif err().is_terminal:
        from rich.live import Live

        with Live(view.render(), console=err(), refresh_per_second=4, transient=True) as live:
            yield lambda document: live.update(view.update(document))
    else:
        yield view.print_plain


class JobView:
    """The live picture of one job.

    Args:
        trials: How many tasks the search will have; ``None``: as many as are known.
        budget_s: When the search ends at the latest.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, *, trials: int | None, budget_s: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trials = trials
        self._budget_s = budget_s
        self._clock = clock
        self._started = clock()
        self._document: Document = {}
        self._printed = (-PLAIN_INTERVAL_S, "")

    def update(self, document: Document) -> Group:
        """Take the newest document and render it."""
        self._document = document
        return self.render()

    def render(self) -> Group:
        """Return the picture."""
        from rich.console import Group
        from rich.panel import Panel

        document = self._document
        if not document:
            return Group("Starting: checking the request, preparing the data ...")
        title = f"{document['name']} [dim]{document['id']}[/]"
        parts: list[RenderableType] = [self._bar(), self._facts()]
        if document["leaderboard"]:
            parts.append(leaderboard_table(document, rows=5))
        return Group(Panel(Group(*parts), title=title, title_align="left", border_style="cyan"))

    def print_plain(self, document: Document) -> None:
        """Print a line when something changed, at most every few seconds."""
        self._document = document
        line = f"{document['id']}: {self._stage()}, {self._facts()}"
        now = self._clock() - self._started
        if line != self._printed[1] and now - self._printed[0] >= PLAIN_INTERVAL_S:
            self._printed = (now, line)
            err().print(line, markup=False)

    def _total(self) -> int:
        return max(self._trials or 0, sum(int(count) for count in self._document["tasks"].values()))

    def _done(self) -> int:
        return sum(int(self._document["tasks"][state]) for state in FINISHED)

    def _stage(self) -> str:
        if self._document["state"] in ("queued",) or not self._document["objectives"]:
            return "preparing the data"
        if self._document["report"]:
            return "writing the report"
        if self._done() and self._done() >= self._total():
            return "training the winner in full"
        return "searching"

    def _bar(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True)
        total = max(1, self._total())
        grid.add_row(
            self._stage(),
            ProgressBar(total=total, completed=self._done()),
            f"{self._done()}/{total} {self._time_left()}",
        )
        return grid

    def _facts(self) -> str:
        document = self._document
        alive = [w for w in document["workers"] if w["state"] in ("idle", "busy") and w["heartbeat_age_s"] < ALIVE_S]
        counts = document["tasks"]
        facts = [f"{self._done()} done", f"{len(alive)} {'worker' if len(alive) == 1 else 'workers'} alive"]
        if document["best"]:
            facts.append(f"best {rewards_text(document, document['best']['rewards'])}")
        if len(document["objectives"]) > 1:
            facts.append(f"{len(document['pareto'])} on the Pareto front")
        lost = counts["failed"] + counts["timeout"]
        if lost:
            facts.append(f"{lost} failed")
        return ", ".join(facts)

    def _time_left(self) -> str:
        spent = self._clock() - self._started
        done, total = self._done(), self._total()
        estimates = [] if self._budget_s is None else [max(0.0, self._budget_s - spent)]
        if done >= 3 and total > done:
            estimates.append(spent / done * (total - done))
        if not estimates or done >= total:
            return ""
        return f"about {duration_text(min(estimates))} left"


def duration_text(seconds: float) -> str:
    """Return ``45 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def number_text(value: float) -> str:
    """Return a measurement in four significant digits."""
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"


def rewards_text(document: Document, rewards: dict[str, float]) -> str:
    """Return the values of the job's objectives on one line."""
    keys = [objective["key"] for objective in document["objectives"]]
    return ", ".join(f"{key} {number_text(rewards[key])}" for key in keys if key in rewards)


def leaderboard_table(document: Document, *, rows: int) -> Table:
    """Return the best tasks as a table; a star marks the Pareto front."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("task", justify="right", no_wrap=True)
    for objective in document["objectives"]:
        table.add_column(
            f"{objective['key']} {'↑' if objective['goal'] == 'max' else '↓'}", justify="right", no_wrap=True
        )
    table.add_column("configuration", no_wrap=True, overflow="ellipsis", ratio=1)
    several = len(document["objectives"]) > 1
    shown = document["leaderboard"][:rows]
    width = max((len(str(row["task"])) for row in shown), default=1)
    for row in shown:
        star = "*" if several and row["task"] in document["pareto"] else " "
        values = [number_text(row["rewards"][objective["key"]]) for objective in document["objectives"]]
        table.add_row(f"{star} {row['task']:>{width}}", *values, escape(config_text(row["config"])))
    return table


def config_text(config: dict[str, Any]) -> str:
    """Return a configuration on one line; a path is shortened to its last name."""
    parts = []
    for path, value in config.items():
        shown = number_text(value) if isinstance(value, float) else str(value)
        parts.append(shown if path == "algorithm" else f"{path.rsplit('.', 1)[-1]}={shown}")
    return " ".join(parts)


def jobs_table(jobs: list[Document]) -> Table:
    """Return the jobs as a table."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "kind", "state", "created", "tasks", "best"):
        table.add_column(name, no_wrap=name != "best")
    for job in jobs:
        done = sum(job["tasks"][state] for state in FINISHED)
        best = (
            "" if job["best"] is None else ", ".join(f"{k} {number_text(v)}" for k, v in _first(job["best"]["rewards"]))
        )
        state = f"[{STYLES[job['state']]}]{job['state']}[/]"
        table.add_row(job["id"], job["kind"], state, job["created_at"][:19].replace("T", " "), str(done), best)
    return table


def _first(rewards: dict[str, float], count: int = 3) -> list[tuple[str, float]]:
    return list(rewards.items())[:count]


def show_job(document: Document) -> None:
    """Print one job for a person."""
    from rich.markup import escape

    console = out()
    console.print(f"[bold]{document['name']}[/] {document['id']}  [{STYLES[document['state']]}]{document['state']}[/]")
    counts = ", ".join(f"{count} {state}" for state, count in document["tasks"].items() if count)
    console.print(f"Tasks: {counts or 'none yet'}")
    if document["space"] and document["space"]["version"] > 1:
        console.print(f"Space: version {document['space']['version']} ({document['space']['hash'][:12]})")
    for reason in document["reasons"]:
        console.print(f"  [dim]- {escape(reason)}[/]")
    if document["leaderboard"]:
        console.print()
        console.print(leaderboard_table(document, rows=10))
        if len(document["objectives"]) > 1:
            console.print("[dim]* on the Pareto front; the first row is the one recommended[/]")
    if document["knee"]:
        console.print(f"Task {document['knee']['task']} is recommended. {escape(document['knee']['reason'])}")
    if document["unmeasured"]:
        console.print(f"[yellow]{_unmeasured_text(document['unmeasured'])}[/]")
    for failure in document["failures"][:5]:
        console.print(
            f"[red]task {failure['task']} {failure['state']}[/]: {failure['cause']}: {escape(str(failure['message'] or ''))}"
        )
    if document["error"]:
        console.print(f"[red]Error:[/] {escape(document['error'])}")
    console.print()
    if document["report"]:
        console.print(f"Report: {document['report']}")
    if document["model"]:
        console.print(f"Model:  {document['model']}")


def _unmeasured_text(tasks: list[Document]) -> str:
    """Say how many tasks lack measurements, and why."""
    lost = [task for task in tasks if task["cause"] == "device_lost"]
    parts = []
    if lost:
        parts.append(
            f"{len(lost)} without measurements, because a device could not measure them ({lost[-1]['message']})"
        )
    if len(lost) < len(tasks):
        parts.append(f"{len(tasks) - len(lost)} not measured, because they were hopeless")
    return f"Tasks with a score: {'; '.join(parts)}."


def finish(document: Document, *, as_json: bool, home: Path) -> None:
    """Print how a job ended and what can be done next."""
    if as_json:
        print_json(document)
        return
    show_job(document)
    model = document["model"]
    if document["state"] != "succeeded" or not model:
        return
    prefix = "" if home == Path(".omniforge") else f"OMNIFORGE_HOME={home} "
    out().print("\nNext:")
    out().print(f"  {prefix}omniforge predict {model} --data FILE -o predictions.csv")
    out().print(f"  {prefix}omniforge jobs show {document['id']} --json")
    out().print(f"  {prefix}omniforge serve {model}   [dim](comes in a later release)[/]")
