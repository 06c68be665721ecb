from __future__ import annotations

import inspect
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omniforge.errors import OmniForgeError, SpecError, UnknownNameError
from omniforge.search.bo.composition import KINDS, check_choices, check_options, check_search, compose
from omniforge.search.bo.rows import Rows
from omniforge.search.strategy import build

CHOICES: dict[str, Any] = {
    "surrogate": "gp", "acquisition": "auto", "optimizer": {"mixed": {"starts": 2}}, "generator": "mixture",
    "suggester": "believer",
}  # fmt: skip

# as shipped: tests may register more while they run
NAMES = {kind: tuple(registry) for kind, registry in KINDS.items()}


def test_names_become_parts(rows: Rows) -> None:
    parts = compose(CHOICES, rows)
    assert type(parts.surrogate).__name__ == "GaussianProcess"
    assert type(parts.optimizer).__name__ == "MixedOptimizer"
    assert set(CHOICES) == set(KINDS)


def test_every_registered_part_resolves() -> None:
    for registry in KINDS.values():
        assert all(callable(registry.get(name)) for name in registry)


def test_wrong_names_and_options_are_refused(rows: Rows) -> None:
    with pytest.raises(UnknownNameError, match="acquisition"):
        check_choices({"acquisition": "logie"})
    with pytest.raises(SpecError, match="no option 'begin'"):
        compose({**CHOICES, "optimizer": {"mixed": {"begin": 2}}}, rows)


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"acquisition": {"cooled": {"acquisition": "ucb"}}}, "'cooled' cannot weigh 'ucb'"),
        ({"acquisition": {"prior": {"acquisition": {"cooled": {"acquisition": "logie"}}}}}, "logie"),
        ({"acquisition": "kg", "suggester": "joint"}, "no use for 'kg'"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(choices: dict[str, Any], says: str) -> None:
    with pytest.raises((SpecError, UnknownNameError), match=says):
        check_choices(choices)


@pytest.mark.parametrize(("kind", "instead"), [("generator", "shrinking"), ("optimizer", "mixed")])
def test_a_region_is_of_a_strategy_that_moves_it(kind: str, instead: str) -> None:
    with pytest.raises(SpecError, match="trust region of 'of-hd'") as caught:
        check_choices({kind: "region"})
    assert "of-hd" in str(caught.value.hint)
    assert instead in str(caught.value.hint)
    check_choices({kind: "region"}, regional=True)
    check_choices({kind: instead})


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"acquisition": {"ucb": {"betta": 3}}}, "acquisition 'ucb' has no option 'betta'"),
        ({"acquisition": {"ucb": {"beta": "3"}}}, "beta is '3'"),
        ({"acquisition": {"cooled": {"exponent": "a"}}}, "exponent is 'a'"),
        ({"acquisition": {"cooled": {"acquisition": {"pi": {"margin": []}}}}}, "margin is "),
        ({"surrogate": {"gp": {"kernel": "x"}}}, "surrogate 'gp' has no option 'kernel'"),
        ({"surrogate": {"gp": {"warping": "no"}}}, "warping is 'no'"),
        ({"surrogate": {"rgpe": {"base": {"rf": {"trees": 0}}}}}, "trees is 0"),
        ({"surrogate": {"multitask": {"earlier": []}}}, "of-trans"),
        ({"optimizer": {"mixed": {"exhaustive": 1}}}, "exhaustive is 1"),
        ({"generator": {"shrinking": {"end": "0.1"}}}, "end is '0.1'"),
        ({"suggester": {"fantasies": {"samples": 0}}}, "samples is 0"),
    ],
)
def test_options_are_checked_by_making_the_part(choices: dict[str, Any], says: str, rows: Rows) -> None:
    with pytest.raises(SpecError, match=says):
        check_options(choices, rows.space)


def test_good_options_pass_and_plain_names_load_nothing(rows: Rows) -> None:
    check_options({**CHOICES, "surrogate": {"gp": {"inactive": "arc", "warping": True}}}, rows.space)
    code = """
import sys
from omniforge.search import SearchSpace
from omniforge.search.bo.composition import check_options
check_options({"surrogate": "gp", "acquisition": {"ucb": {}}}, SearchSpace.from_yaml("x: {type: float, range: [0, 1]}"))
print([name for name in ("torch", "botorch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


ODD: tuple[Any, ...] = ("3", "x", None, [], {}, {"a": 1}, math.nan, math.inf, -1, 0, True, 2.5, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_value_is_taken_or_refused_but_no_part_breaks(kind: str, rows: Rows) -> None:
    first = (rows,) if kind == "surrogate" else ()
    taken = refused = 0
    for name in NAMES[kind]:
        make = KINDS[kind].get(name)
        for option in list(inspect.signature(make).parameters)[len(first) :]:
            for value in ODD:
                try:
                    build(make, {option: value}, what=f"{kind} {name!r}", first=first)
                    taken += 1
                except OmniForgeError:
                    refused += 1
    assert refused > taken > 0


@pytest.mark.parametrize(
    ("choices", "objectives", "size"),
    [
        ({"acquisition": "mes"}, 2, 10),
        ({"acquisition": {"cooled": {"acquisition": "ehvi"}}}, 1, 10),
        ({"suggester": {"penalized": {}}}, 2, 10),
        ({"optimizer": "exhaustive"}, 1, float("inf")),
    ],
)
def test_parts_that_do_not_suit_the_search_are_refused(choices: dict[str, Any], objectives: int, size: float) -> None:
    with pytest.raises(SpecError):
        check_search(choices, objectives=objectives, size=size)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_documented(kind: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")
    assert [name for name in NAMES[kind] if f"`{name}`" not in page] == []
