"""What every candidate generator has to do: a new one adds its name and inherits the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conformance.bo_problems import SPACES, observed, rows_of

from omniforge.search.bo.composition import GENERATORS
from omniforge.search.bo.parts import CandidateGenerator
from omniforge.search.strategy import one_choice

Make = Callable[[], CandidateGenerator]


class GeneratorSuite:
    """The conformance suite of the ``CandidateGenerator`` contract.

    A subclass provides the fixture ``choice``; ``unrounded`` names those whose numbers an optimizer has to round.
    """

    unrounded: tuple[str, ...] = ("region",)

    @pytest.fixture
    def choice(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def make(self, choice: Any) -> Make:
        name, options = one_choice(choice, "generator")
        return lambda: GENERATORS.get(name)(**options)

    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("goals", ["one", "bounded"])
    def test_rows_are_of_valid_configurations(self, choice: Any, make: Make, space: str, goals: str) -> None:
        rows = rows_of(space)
        X = make().generate(rows, observed(space, goals), count=40, rng=np.random.default_rng(0))
        configs = rows.decode(X)
        for config in configs:
            rows.space.validate(config)
        if one_choice(choice, "generator")[0] not in self.unrounded:
            torch.testing.assert_close(rows.encode(configs), X)
        if space in ("numeric", "conditional"):
            assert 30 <= len(X) <= 50
            assert len(torch.unique(X, dim=0)) >= 20
        assert len(X)

    @pytest.mark.parametrize("count", [1, 3])
    def test_little_is_asked_and_little_is_known(self, make: Make, count: int) -> None:
        seen = observed("conditional", "one")
        one = replace(seen, X=seen.X[:1], Y=seen.Y[:1], total=1)
        assert len(make().generate(rows_of("conditional"), one, count=count, rng=np.random.default_rng(0))) >= 1

    def test_the_seed_decides(self, make: Make) -> None:
        first, same, other = (
            make().generate(
                rows_of("conditional"), observed("conditional", "one"), count=16, rng=np.random.default_rng(seed)
            )
            for seed in (1, 1, 2)
        )
        torch.testing.assert_close(first, same)
        assert first.shape != other.shape or not torch.allclose(first, other)
