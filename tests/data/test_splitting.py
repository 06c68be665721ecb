from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.data.splitting import SPLITS, split_beside, split_rows, strata_of
from omniforge.errors import SpecError


def split(strata: Any, valid: float = 0.2, test: float = 0.2, seed: int = 0) -> dict[str, Any]:
    return split_rows(np.asarray(strata), valid_fraction=valid, test_fraction=test, seed=seed)


@pytest.mark.property
@settings(deadline=None, max_examples=100)
@given(
    counts=st.lists(st.integers(2, 60), min_size=1, max_size=12),
    valid=st.floats(0.05, 0.45),
    test=st.floats(0.05, 0.45),
    seed=st.integers(0, 5),
)
def test_every_row_once_and_strata_everywhere(counts: list[int], valid: float, test: float, seed: int) -> None:
    strata = np.repeat(np.arange(len(counts)), counts)
    parts = split(strata, valid, test, seed)
    assert sorted(np.concatenate([parts[name] for name in SPLITS])) == list(range(len(strata)))
    for stratum, count in enumerate(counts):
        where = {name: int((strata[parts[name]] == stratum).sum()) for name in SPLITS}
        assert where["train"] >= 1
        assert where["valid"] >= 1
        assert where["test"] >= (1 if count >= 3 else 0)


def test_shares_are_exact_on_the_whole_and_near_in_each_stratum() -> None:
    strata = np.random.default_rng(0).choice(5, 1000, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    parts = split(strata)
    assert abs(len(parts["valid"]) - 200) <= 1
    assert abs(len(parts["test"]) - 200) <= 1
    for stratum in range(5):
        share = (strata[parts["test"]] == stratum).sum() / (strata == stratum).sum()
        assert share == pytest.approx(0.2, abs=0.03)


def test_the_seed_decides() -> None:
    strata = np.arange(300) % 3
    same, again, other = split(strata, seed=1), split(strata, seed=1), split(strata, seed=2)
    assert all(np.array_equal(same[name], again[name]) for name in SPLITS)
    assert not np.array_equal(same["train"], other["train"])


def test_prefixes_are_stratified() -> None:
    strata = np.random.default_rng(0).choice(4, 2000, p=[0.6, 0.25, 0.14, 0.01])
    train = strata[split(strata)["train"]]
    assert set(train[:4]) == {0, 1, 2, 3}
    for share in (0.1, 0.25, 0.5, 0.9):
        prefix = train[: int(share * len(train))]
        for stratum in range(4):
            assert (prefix == stratum).sum() == pytest.approx(share * (train == stratum).sum(), abs=3)


def test_classes_are_strata() -> None:
    y = np.array([0, 1, 1, 2])
    assert strata_of(y, classes=3) is y


def test_regression_strata_are_bins_of_equal_size() -> None:
    strata = strata_of(np.random.default_rng(0).lognormal(size=500), classes=None)
    assert np.bincount(strata).tolist() == [50] * 10
    assert set(strata_of(np.arange(15.0), classes=None)) == {0}


def test_regression_bins_hold_like_values() -> None:
    y = np.random.default_rng(0).random(100)
    strata = strata_of(y, classes=None)
    for low in range(9):
        assert y[strata == low].max() <= y[strata == low + 1].min()


@pytest.mark.parametrize(("valid", "test"), [(0.0, 0.2), (0.2, 0.0), (1.0, 0.2), (0.5, 0.45), (-0.1, 0.2)])
def test_fractions_out_of_range(valid: float, test: float) -> None:
    with pytest.raises(SpecError, match="expected a share"):
        split([0, 1] * 20, valid, test)


@given(
    strata=st.lists(st.integers(0, 4), min_size=20, max_size=80),
    valid=st.floats(0.05, 0.9),
    seed=st.integers(0, 5),
)
def test_beside_a_given_test_split_the_others_are_dealt(strata: list[int], valid: float, seed: int) -> None:
    test = np.arange(10)
    parts = split_beside(np.asarray(strata), test=test, valid_fraction=valid, seed=seed)
    assert sorted(parts["test"]) == list(test)
    assert sorted(np.concatenate([parts["train"], parts["valid"]])) == list(range(10, len(strata)))
    left = np.asarray(strata)[10:]
    for stratum in np.unique(left):
        assert stratum in np.asarray(strata)[parts["train"]]
        if (left == stratum).sum() >= 2:
            assert stratum in np.asarray(strata)[parts["valid"]]


def test_beside_a_given_test_split_shares_and_order_hold() -> None:
    strata = np.random.default_rng(0).choice(4, 1000, p=[0.4, 0.3, 0.2, 0.1])
    parts = split_beside(strata, test=np.arange(800, 1000), valid_fraction=0.25, seed=0)
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 600, "valid": 200, "test": 200}
    for rows in parts.values():
        assert set(strata[rows[:4]]) == {0, 1, 2, 3}
    again = split_beside(strata, test=np.arange(800, 1000), valid_fraction=0.25, seed=0)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


@pytest.mark.parametrize("valid", [0.0, -0.1, 0.95])
def test_beside_a_given_test_split_a_share_out_of_range(valid: float) -> None:
    with pytest.raises(SpecError, match="valid_fraction"):
        split_beside(np.zeros(20, dtype=int), test=np.arange(5), valid_fraction=valid, seed=0)
