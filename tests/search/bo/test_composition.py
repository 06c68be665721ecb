from __future__ import annotations

from typing import Any

import pytest

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search.bo.composition import KINDS, check_choices, compose
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
