from __future__ import annotations

import math

import numpy as np
import pytest

from omniforge.search.space.values import fresh, is_number, label, plain_number, same, show


def test_numbers_compare_by_size_and_booleans_are_no_numbers():
    assert same(64, 64.0)
    assert same([1, 2.0], [1.0, 2])
    assert not same(1, True)
    assert not same(0, False)
    assert not same(1, "1")
    assert not same(None, 0)


def test_mappings_compare_without_order():
    assert same({"0-1": "a", "0-2": "b"}, {"0-2": "b", "0-1": "a"})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None, 10**400])
def test_what_is_not_a_finite_number(value):
    assert not is_number(value)


def test_numpy_scalars_are_plain_numbers():
    assert plain_number(np.int64(3)) == 3
    assert type(plain_number(np.int64(3))) is int
    assert plain_number(np.bool_(True)) is None
    assert plain_number("3") is None


@pytest.mark.parametrize(("value", "text"), [("resnet", "resnet"), (64, "64"), (True, "true"), (None, "null")])
def test_label_is_how_a_value_reads_in_a_path(value, text):
    assert label(value) == text


def test_show_cuts_long_values():
    assert len(show(list(range(1000)))) == 80
    assert show([0.1, True, None, "a"]) == "[0.1, true, null, 'a']"


def test_fresh_values_are_not_shared():
    value = [[1], {"a": 2}]
    copied = fresh(value)
    copied[0].append(2)
    assert value == [[1], {"a": 2}]
