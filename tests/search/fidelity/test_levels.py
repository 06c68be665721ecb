from __future__ import annotations

from typing import Any

import pytest

from omniforge.errors import SpecError
from omniforge.search.fidelity.levels import levels


@pytest.mark.parametrize(
    ("low", "high", "ratio", "expected"),
    [
        (1, 81, 3, (1, 3, 9, 27, 81)),
        (1, 52, 3, (1, 4, 14, 52)),
        (1, 9, 100, (1, 9)),
        (5, 5, 3, (5,)),
        (1, 3, 1.1, (1, 2, 3)),
    ],
)
def test_both_ends_are_levels_and_whole_ends_have_whole_levels(
    low: int, high: int, ratio: float, expected: tuple[int, ...]
) -> None:
    found = levels("epochs", low=low, high=high, ratio=ratio).values
    assert found == expected
    assert all(isinstance(value, int) for value in found)


def test_shares_of_the_data_need_not_be_whole() -> None:
    found = levels("share", low=0.125, high=1.0, ratio=2)
    assert found.values == pytest.approx((0.125, 0.25, 0.5, 1.0))
    assert found.fidelity(1) == {"share": pytest.approx(0.25)}


def test_values_are_placed_on_the_ladder() -> None:
    found = levels("epochs", low=1, high=81, ratio=3)
    assert [found.position(value) for value in (0.5, 1, 2, 3, 80, 81, 99)] == [-1, 0, 0, 1, 3, 4, 4]
    assert (found.top, found.full) == (4, 81)
    assert levels("epochs", low=3, high=3, ratio=3).top == 0


def test_what_says_nothing_of_the_fidelity_is_in_full() -> None:
    found = levels("epochs", low=1, high=9, ratio=3)
    assert [found.value(f) for f in (None, {}, {"epochs": 3}, {"epochs": 12})] == [9, 9, 3.0, 9]


@pytest.mark.parametrize("fidelity", [{"rows": 4.0}, {"epochs": 0}, {"epochs": -3.0}])
def test_another_fidelity_is_refused(fidelity: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="epochs"):
        levels("epochs", low=1, high=9, ratio=3).value(fidelity)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("low", {"low": 0}),
        ("low", {"low": True}),
        ("high", {"high": "9"}),
        ("high", {"low": 4, "high": 3}),
        ("high", {"high": float("nan")}),
        ("eta", {"ratio": 1}),
        ("fidelity", {"name": ""}),
        ("fidelity", {"name": 3}),
    ],
)
def test_what_is_out_of_range_is_refused(name: str, changed: dict[str, Any]) -> None:
    given = {"name": "epochs", "low": 1, "high": 9, "ratio": 3} | changed
    with pytest.raises(SpecError, match=f"^{name} is"):
        levels(given.pop("name"), **given)
