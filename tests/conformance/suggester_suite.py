"""What every suggester of batches has to do: a new one adds its name and inherits the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conformance.bo_problems import SPACES, SURROGATE_NAMES, observed, rows_of, surrogate
from torch import Tensor

from omniforge.errors import SpecError
from omniforge.search.bo.acquisitions import Auto
from omniforge.search.bo.composition import SUGGESTERS, check_search
from omniforge.search.bo.generators import Mixture
from omniforge.search.bo.optimizers import MixedOptimizer
from omniforge.search.bo.parts import Acquisition, Search, Suggester
from omniforge.search.strategy import one_choice

Make = Callable[[], Suggester]


class SuggesterSuite:
    """The conformance suite of the ``Suggester`` contract.

    A subclass provides the fixture ``choice``; ``one_objective`` names those that take one objective alone.
    """

    one_objective: tuple[str, ...] = ("penalized",)

    @pytest.fixture
    def choice(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def make(self, choice: Any) -> Make:
        name, options = one_choice(choice, "suggester")
        return lambda: SUGGESTERS.get(name)(candidates=24, **options)

    @staticmethod
    def suggest(
        made: Suggester, space: str, *, count: int = 3, goals: str = "one", model: str = "gp", pending: int = 0,
        seed: int = 0, acquisition: Acquisition | None = None,
    ) -> tuple[Tensor, set[str]]:  # fmt: skip
        rows, seen = rows_of(space), observed(space, goals)
        keys = {rows.space.config_hash(config) for config in rows.decode(seen.X)}
        waiting = rows.space.sample_many(pending, np.random.default_rng(7))
        keys |= {rows.space.config_hash(config) for config in waiting}
        search = Search(
            rows, seen, surrogate(space, goals, model), acquisition or Auto(), MixedOptimizer(rounds=1), Mixture(),
            is_new=lambda config: rows.space.config_hash(config) not in keys, rng=np.random.default_rng(seed),
        )  # fmt: skip
        return made.suggest(count, rows.encode(waiting), search=search), keys

    def goals(self, choice: Any) -> tuple[str, ...]:
        """Return the goals that it takes."""
        return ("one", "limited") if one_choice(choice, "suggester")[0] in self.one_objective else ("one", "bounded")

    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("model", SURROGATE_NAMES)
    @pytest.mark.parametrize("pending", [0, 2])
    def test_rows_are_new_and_all_different(
        self, choice: Any, make: Make, space: str, model: str, pending: int
    ) -> None:
        for goals in self.goals(choice):
            X, taken = self.suggest(make(), space, goals=goals, model=model, pending=pending)
            configs = rows_of(space).decode(X)
            keys = {SPACES[space].config_hash(config) for config in configs}
            assert len(keys) == len(X)
            assert not keys & taken
            if space in ("numeric", "conditional"):
                assert len(X) == 3
            for config in configs:
                SPACES[space].validate(config)

    def test_a_space_that_ends_gives_fewer(self, make: Make) -> None:
        X, taken = self.suggest(make(), "finite", count=60)
        found = {SPACES["finite"].config_hash(config) for config in rows_of("finite").decode(X)}
        everything = {SPACES["finite"].config_hash(config) for config in SPACES["finite"].configurations()}
        assert found | taken == everything

    def test_none_is_asked_for(self, make: Make) -> None:
        assert self.suggest(make(), "numeric", count=0)[0].shape == (0, 2)

    def test_the_seed_decides(self, choice: Any, make: Make) -> None:
        for goals in self.goals(choice):
            first, same = (self.suggest(make(), "conditional", goals=goals, pending=1, seed=4)[0] for _ in range(2))
            torch.testing.assert_close(first, same)

    def test_two_objectives_are_taken_or_refused_before_and_when_asked(self, choice: Any, make: Make) -> None:
        if one_choice(choice, "suggester")[0] not in self.one_objective:
            check_search({"suggester": choice}, objectives=2, size=torch.inf)
            assert len(self.suggest(make(), "numeric", goals="two")[0]) == 3
            return
        with pytest.raises(SpecError, match="one objective"):
            check_search({"suggester": choice}, objectives=2, size=torch.inf)
        with pytest.raises(SpecError, match="one objective"):
            self.suggest(make(), "numeric", goals="two")
