"""From rows to comparisons: ranks with intervals, the Friedman test, regrets, evaluations to a target. No input or output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from .grid import Row

Array = np.ndarray[Any, np.dtype[np.float64]]
_RESAMPLES = 2000


@dataclass(frozen=True)
class Curves:
    """The best values so far, of the searches that every method has finished.

    Args:
        problems: `p` names.
        methods: `k` names.
        best: Problem to a `k x s x t` array over methods, common seeds and steps; to be maximized.
        sign: Problem to 1 or -1, the factor that made them so.
    """

    problems: tuple[str, ...]
    methods: tuple[str, ...]
    best: Mapping[str, Array]
    sign: Mapping[str, int]


def curves(rows: Sequence[Row], *, signs: Mapping[str, int], steps: int) -> Curves:
    """Return what can be compared: per problem, the seeds that all methods of the rows have run to ``steps``.

    Args:
        rows: Of one problem set.
        signs: Problem to 1 (maximized) or -1.
        steps: Evaluations of a whole search.

    Returns:
        Where nothing is within the bounds yet, the worst value counts that any search held at any time.
    """
    table: dict[tuple[str, str, int], dict[int, float]] = {}
    for row in rows:
        if row.problem in signs:
            table.setdefault((row.problem, row.method, row.seed), {})[row.step] = row.best * signs[row.problem]
    whole = {cell: [found[i] for i in range(steps)] for cell, found in table.items() if len(found) >= steps}
    methods = tuple(sorted({cell[1] for cell in whole}))
    best = {}
    for problem in sorted({cell[0] for cell in whole}):
        seeds = [{seed for p, m, seed in whole if (p, m) == (problem, method)} for method in methods]
        common = sorted(set.intersection(*seeds)) if seeds else []
        if common:
            best[problem] = _finite(np.array([[whole[problem, m, seed] for seed in common] for m in methods]))
    return Curves(tuple(best), methods, best, sign={problem: signs[problem] for problem in best})


def _finite(best: Array) -> Array:
    """Return values with the worst one that any search held in the place of -inf, where nothing was within the bounds yet."""
    known = np.isfinite(best)
    return np.where(known, best, best[known].min() if known.any() else 0.0)


def ranks(found: Curves, *, step: int = -1) -> Array:
    """Return a `p x k` array: the mean over seeds of the rank among methods after ``step``; 1 is best, ties share."""
    return np.array([stats.rankdata(-found.best[p][:, :, step], axis=0).mean(axis=1) for p in found.problems])


def intervals(table: Array, *, seed: int = 0) -> Array:
    """Return a `2 x k` array: a 95 % bootstrap interval of the column means of a `p x k` array, over its rows."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(table), size=(_RESAMPLES, len(table)))
    return np.quantile(table[picks].mean(axis=1), [0.025, 0.975], axis=0)


def friedman(table: Array) -> tuple[float, float]:
    """Return the p value of Friedman's test over a `p x k` array of ranks, and Nemenyi's critical difference at 5 %.

    Demsar, JMLR 2006, section 3.2.2: two methods differ when their mean ranks do by the critical difference
    ``q sqrt(k (k + 1) / 6 p)``. NaN with fewer than three methods or two problems.
    """
    p, k = table.shape
    if k < 3 or p < 2:
        return math.nan, math.nan
    value = float(stats.friedmanchisquare(*table.T).pvalue)
    q = float(stats.studentized_range.ppf(0.95, k, 1e6)) / math.sqrt(2)
    return value, q * math.sqrt(k * (k + 1) / (6 * p))


def regrets(found: Curves, *, optima: Mapping[str, float | None]) -> dict[str, Array]:
    """Return problem to `k x s x t` regrets, in units of the problem's difficulty.

    0 is the optimum (the best value found by any method where it is not known), 1 the median over methods and seeds of the
    first value of a search.
    """
    out = {}
    for problem in found.problems:
        best = found.best[problem]
        optimum = optima.get(problem)
        top = float(best.max()) if optimum is None else found.sign[problem] * optimum
        span = top - float(np.median(best[:, :, 0]))
        out[problem] = np.maximum(top - best, 0.0) / (span if span > 0 else 1.0)
    return out


def evaluations_to(best: Array, target: float) -> Array:
    """Return a `k x s` array: after how many evaluations `k x s x t` values reach ``target``; inf where they do not."""
    reached = best >= target - 1e-9
    first = reached.argmax(axis=-1) + 1.0
    return np.where(reached.any(axis=-1), first, math.inf)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    if not trials:
        return 0.0, 1.0
    interval = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
