"""The loop: each problem, method and seed once, finished ones skipped, in one process or several."""

from __future__ import annotations

import json
import logging
import math
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from .grid import Cell, Row, append, finished, read
from .methods import find
from .problems import load
from .problems.problem import Problem


@dataclass(frozen=True)
class Plan:
    """What to run.

    Args:
        problem_set: A name of `problems.SETS`.
        methods: Names, see `methods.find`.
        data: The folder of the data sets.
        seeds: How many, from 0.
        evaluations: Of each search; of a problem with its own initial design, those after it.
        instances: The most problems of the set.
        processes: At least 1.
        variants: Names to JSON of further compositions of ours.
    """

    problem_set: str
    methods: Sequence[str]
    data: Path | None
    seeds: int
    evaluations: int
    instances: int = 12
    processes: int = 1
    variants: Mapping[str, str] = field(default_factory=dict)


def run(plan: Plan, path: Path, *, say: Callable[[str], None]) -> list[Row]:
    """Run what is missing and return all rows of the file.

    Seeds go round before methods and problems, so that an interrupted run has something of everything.

    Args:
        plan: What to run.
        path: The table.
        say: Takes one line per finished cell.
    """
    known = load(plan.problem_set, plan.data, instances=plan.instances)
    evaluations = plan.evaluations + (known[0].initial or 0)
    done = finished(read(path), evaluations=evaluations)
    names = [problem.name for problem in known]
    cells = [(problem, method, seed) for seed, problem, method in product(range(plan.seeds), names, plan.methods)]
    missing = [cell for cell in cells if cell not in done]
    for method in plan.methods:
        find(method, plan.variants)
    say(f"{plan.problem_set}: {len(missing)} of {len(cells)} searches of {evaluations} evaluations are to be run")
    for rows in _computed(plan, missing, evaluations):
        append(path, rows)
        last = rows[-1]
        seconds = sum(row.ask_s for row in rows) / len(rows)
        say(f"{last.problem:34} {last.method:16} seed {last.seed:2}: {last.best:.5g} ({seconds:.3f} s an ask)")
    return read(path)


def _computed(plan: Plan, cells: Sequence[Cell], evaluations: int) -> Iterator[list[Row]]:
    if plan.processes == 1:
        for cell in cells:
            yield from _kept([_one(plan, cell, evaluations)])
        return
    with ProcessPoolExecutor(plan.processes, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_one, plan, cell, evaluations) for cell in cells]):
            yield from _kept([future.result()])


def _kept(found: Iterable[list[Row]]) -> Iterator[list[Row]]:
    return (rows for rows in found if rows)


def _one(plan: Plan, cell: Cell, evaluations: int) -> list[Row]:
    """Return the rows of one search; none, and its traceback in the log, when the method broke."""
    name, method, seed = cell
    (problem,) = (p for p in load(plan.problem_set, plan.data, instances=plan.instances) if p.name == name)
    try:
        return list(search(problem, method, seed=seed, evaluations=evaluations, variants=plan.variants))
    except Exception:  # noqa: BLE001 - a peer may raise anything, and the others are to go on
        logging.getLogger(__name__).error("%s on %s with seed %d:\n%s", method, name, seed, traceback.format_exc())
        return []


def search(problem: Problem, method: str, *, seed: int, evaluations: int, variants: Mapping[str, str]) -> Iterator[Row]:
    """Yield the evaluations of one search."""
    session = find(method, variants)(problem, seed=seed, evaluations=evaluations)
    objective = problem.objectives[0]
    best, found = -objective.sign * math.inf, None
    for step in range(evaluations):
        began = time.perf_counter()
        handle, config = session.ask()
        ask_s = time.perf_counter() - began
        metrics = problem.measure(config)
        session.tell(handle, config, metrics)
        value = metrics.get(objective.key, math.nan)
        allowed = bool(metrics) and all(o.satisfied(metrics[o.key]) for o in problem.objectives)
        if allowed and (found is None or objective.sign * value > objective.sign * best):
            best, found = value, config
        report = json.dumps((problem.report(found) if found else {}) | {"end": 1}) if step == evaluations - 1 else ""
        yield Row(problem.name, method, seed, step, value, best, ask_s, report=report)
