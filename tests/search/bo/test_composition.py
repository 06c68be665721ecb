from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search.bo.composition import KINDS, check_choices, check_search, compose
from omniforge.search.bo.rows import Rows

CHOICES: dict[str, Any] = {
    "surrogate": "gp", "acquisition": "auto", "optimizer": {"mixed": {"starts": 2}}, "generator": "mixture",
    "suggester": "believer",
}  # fmt: skip


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


# as shipped: tests may register more while they run
NAMES = {kind: tuple(registry) for kind, registry in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_documented(kind: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")
    assert [name for name in NAMES[kind] if f"`{name}`" not in page] == []
