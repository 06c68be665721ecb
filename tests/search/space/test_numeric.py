from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.search.space.numeric import Float, Integer, Normal


def draws(domain, count=4000):
    g = np.random.default_rng(0)
    return [domain.sample(g) for _ in range(count)]


def test_integers_are_uniform_ends_included():
    counts = Counter(draws(Integer(2, 5)))
    assert set(counts) == {2, 3, 4, 5}
    assert all(abs(count - 1000) < 120 for count in counts.values())


def test_a_step_counts_from_the_low_end():
    domain = Integer(1, 10, step=4)
    assert list(domain.every()) == [1, 5, 9]
    assert set(draws(domain)) == {1, 5, 9}
    assert domain.contains(9)
    assert not domain.contains(10)
    assert not domain.contains(4)


def test_a_log_range_is_uniform_in_the_exponent():
    values = draws(Float(1e-4, 1.0, log=True))
    assert abs(sum(value < 1e-2 for value in values) / 4000 - 0.5) < 0.04
    assert min(values) >= 1e-4
    assert max(values) <= 1.0


def test_log_integers_give_every_value_its_share():
    counts = Counter(draws(Integer(1, 3, log=True), 6000))
    edges = [math.log(edge) for edge in (0.5, 1.5, 2.5, 3.5)]
    for k, value in enumerate((1, 2, 3)):
        share = (edges[k + 1] - edges[k]) / (edges[-1] - edges[0])
        assert abs(counts[value] / 6000 - share) < 0.03


@pytest.mark.parametrize("domain", [Integer(1, 1000, log=True, step=7), Integer(5, 5), Float(0.5, 0.5)])
def test_draws_belong_to_the_domain(domain):
    assert all(domain.contains(value) for value in draws(domain, 300))


def test_a_normal_prior_centers_the_draws_and_is_cut_at_the_ends():
    values = draws(Float(0.0, 1.0, prior=Normal(0.2, 0.1)))
    assert abs(np.mean(values) - 0.2) < 0.02
    assert min(values) >= 0.0
    logs = np.log10(draws(Float(1e-6, 1.0, log=True, prior=Normal(1e-3, 0.5))))
    assert abs(logs.mean() + 3) < 0.05
    assert abs(logs.std() - 0.5) < 0.05
    assert Counter(draws(Integer(0, 10, prior=Normal(7, 1)))).most_common(1)[0][0] == 7


def test_a_prior_far_in_the_tail_still_draws_inside():
    domain = Float(0.0, 1.0, prior=Normal(0.0, 1e-9))
    assert all(0.0 <= value <= 1.0 for value in draws(domain, 200))


def test_defaults_lie_in_the_middle_of_the_scale_or_at_the_prior():
    assert Float(1e-4, 1.0, log=True).default() == pytest.approx(1e-2)
    assert Integer(2, 6).default() == 4
    assert Float(0, 1, prior=Normal(0.3, 1)).default() == 0.3


def test_floats_with_a_step_are_exact_decimals():
    domain = Float(0.0, 1.0, step=0.1)
    assert list(domain.every()) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert domain.contains(0.1 + 0.2)
    assert domain.normalize(0.1 + 0.2) == 0.3
    assert not domain.contains(0.15)


@pytest.mark.parametrize("value", [True, "3", None, math.nan, math.inf, 11, 3.5])
def test_what_an_int_does_not_contain(value):
    assert not Integer(0, 10).contains(value)


def test_numpy_numbers_are_accepted_and_become_plain():
    assert Integer(0, 10).contains(np.int64(3))
    assert type(Integer(0, 10).normalize(np.int64(3))) is int
    assert type(Float(0, 10).normalize(np.float32(3))) is float


ranges = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@pytest.mark.property
@given(ranges, st.floats(0, 1))
def test_units_round_trip_exactly_for_drawn_floats(ends, u):
    domain = Float(*ends)
    value = domain.quantile(u)
    assert domain.contains(value)
    assert domain.from_unit(domain.to_unit(value)) == value


@pytest.mark.property
@given(st.floats(1e-12, 1.0), st.floats(1.01, 1e9), st.floats(0, 1))
def test_units_round_trip_exactly_for_drawn_log_floats(low, ratio, u):
    domain = Float(low, low * ratio, log=True)
    value = domain.quantile(u)
    assert domain.contains(value)
    assert domain.from_unit(domain.to_unit(value)) == value


@pytest.mark.property
@given(st.integers(1, 1000), st.integers(0, 100_000), st.integers(1, 50), st.booleans(), st.floats(0, 1))
def test_units_round_trip_for_integers(low, width, step, log, u):
    domain = Integer(low, low + width, log=log, step=step)
    value = domain.quantile(u)
    assert domain.contains(value)
    assert domain.from_unit(domain.to_unit(value)) == value


@pytest.mark.parametrize("domain", [Integer(0, 1000), Float(0.0, 1.0), Integer(1, 2), Float(0.0, 1.0, step=0.25)])
def test_mutation_moves_near_and_never_stays(domain):
    g = np.random.default_rng(1)
    value = domain.default()
    moved = [domain.mutate(value, g) for _ in range(200)]
    assert all(domain.contains(other) and other != value for other in moved)
    near = sum(abs(domain.to_unit(other) - domain.to_unit(value)) <= 0.4 for other in moved)
    assert near > 100 or domain.count == 2


def test_alternatives_come_by_distance_and_reach_the_ends():
    assert list(Integer(0, 4).alternatives(1)) == [2, 0, 3, 4]
    many = list(Integer(0, 10_000).alternatives(5000))
    assert many[:2] == [5001, 4999]
    assert many[-2:] == [0, 10_000]
    distances = [abs(value - 0.5) for value in Float(0, 1).alternatives(0.5)]
    assert distances == sorted(distances)


def test_sizes():
    assert Integer(2, 5).size() == 4
    assert Float(0, 1).size() == math.inf
    assert Float(0, 1, step=0.25).size() == 5
    assert Float(0.5, 0.5).size() == 1


def test_to_dict_leaves_out_what_is_usual():
    assert Integer(2, 5).to_dict() == {"type": "int", "range": [2, 5]}
    spec = Float(0.1, 1.0, log=True, prior=Normal(0.5, 1)).to_dict()
    assert spec == {"type": "float", "range": [0.1, 1.0], "log": True, "prior": {"normal": {"mean": 0.5, "std": 1}}}
