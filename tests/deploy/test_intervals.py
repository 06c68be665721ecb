from __future__ import annotations

import numpy as np
import pytest

from omniforge.deploy.intervals import _ranks, quantile_interval


@pytest.mark.parametrize(("count", "q"), [(30, 0.5), (500, 0.5), (200, 0.9), (1000, 0.99), (5000, 0.99)])
def test_the_interval_covers_the_quantile_in_95_of_100_cases(count: int, q: float) -> None:
    rng = np.random.default_rng(0)
    samples = np.sort(rng.random((2000, count)), axis=1)  # uniform: the quantile is q itself
    ends = [quantile_interval(row, q) for row in samples]
    covered = np.mean([(low or 0.0) <= q <= (1.0 if high is None else high) for low, high in ends])
    assert 0.94 <= covered <= 0.99


@pytest.mark.oracle
@pytest.mark.parametrize(("count", "q"), [(6, 0.5), (20, 0.5), (101, 0.9), (1999, 0.99)])
def test_the_ranks_are_those_of_the_binomial_distribution(count: int, q: float) -> None:
    from scipy.stats import binom

    low, high = _ranks(count, q)
    assert low is not None
    assert binom.cdf(low, count, q) <= 0.025 < binom.cdf(low + 1, count, q)
    assert high is None or binom.sf(high, count, q) <= 0.025 < binom.sf(high - 1, count, q)


def test_too_few_samples_leave_an_end_open() -> None:
    assert quantile_interval(np.arange(5.0), 0.5) == (None, None)
    assert quantile_interval(np.arange(6.0), 0.5) == (0.0, 5.0)
    assert quantile_interval(np.arange(367.0), 0.99)[1] is None
    assert quantile_interval(np.arange(368.0), 0.99)[1] == 367.0


def test_the_approximation_goes_on_where_the_exact_one_ends() -> None:
    exact, near = _ranks(2000, 0.5), _ranks(2001, 0.5)
    assert all(abs(a - b) <= 2 for a, b in zip(exact, near, strict=True))
