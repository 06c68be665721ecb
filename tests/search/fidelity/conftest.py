"""Searches over one number at fidelities of 1, 3 and 9 epochs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from omniforge.search import Candidate, Objective, Reward, SearchSpace
from omniforge.search.fidelity.curves import Curves
from omniforge.search.fidelity.levels import Levels, levels
from omniforge.search.history import History

Seen = dict[float, dict[float, float | None]]


@pytest.fixture
def line() -> SearchSpace:
    return SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})


@pytest.fixture
def ladder() -> Levels:
    return levels("epochs", low=1, high=9, ratio=3)


@pytest.fixture
def make_curves(line: SearchSpace, ladder: Levels) -> Callable[..., Curves]:
    """Return curves from ``{x: {epochs: score, or None for a failure}}`` and what is waited for, ``[(x, epochs)]``."""

    def make(seen: Seen, waiting: list[tuple[float, float]] | None = None) -> Curves:
        history = History(line, [Objective("score", "max")])
        for x, results in seen.items():
            for epochs, score in results.items():
                candidate = Candidate({"x": x}, {"epochs": epochs})
                failed = Reward(candidate, {}, state="failed")
                history.observe([failed if score is None else Reward(candidate, {"score": score})])
        return Curves(history, ladder, [({"x": x}, epochs) for x, epochs in waiting or []])

    return make
