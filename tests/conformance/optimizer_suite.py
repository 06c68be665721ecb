"""What every optimizer of acquisitions has to do: a new one adds its name and inherits the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conformance.bo_problems import SPACES, rows_of
from torch import Tensor

from omniforge.search.bo.composition import OPTIMIZERS
from omniforge.search.bo.optimizers import evaluate
from omniforge.search.bo.parts import AcquisitionOptimizer
from omniforge.search.bo.rows import Rows
from omniforge.search.strategy import one_choice

Make = Callable[[], AcquisitionOptimizer]


def wavy(X: Tensor) -> Tensor:
    """Return a made-up acquisition with several optima and a gradient."""
    return (torch.sin(5.0 * X) - 0.1 * X).sum((-1, -2))


class OptimizerSuite:
    """The conformance suite of the ``AcquisitionOptimizer`` contract.

    A subclass provides the fixture ``choice``; ``finite_only`` names those that take finite spaces alone.
    """

    finite_only: tuple[str, ...] = ("exhaustive",)

    @pytest.fixture
    def choice(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def make(self, choice: Any) -> Make:
        name, options = one_choice(choice, "optimizer")
        return lambda: OPTIMIZERS.get(name)(**options)

    @pytest.fixture(params=SPACES)
    def rows(self, request: Any, choice: Any) -> Rows:
        if one_choice(choice, "optimizer")[0] in self.finite_only and rows_of(request.param).every is None:
            pytest.skip("the space is not finite")
        return rows_of(request.param)

    @staticmethod
    def find(made: AcquisitionOptimizer, rows: Rows, function: Any = wavy, *, seed: int = 0, taken: Any = ()) -> Tensor:
        rng = np.random.default_rng(seed)
        candidates = rows.encode(rows.space.sample_many(24, rng))
        return made.maximize(
            function, rows, candidates=candidates, is_new=lambda c: rows.space.config_hash(c) not in taken, rng=rng
        )

    def test_it_returns_the_row_of_a_valid_configuration_that_beats_its_starts(self, make: Make, rows: Rows) -> None:
        found = self.find(make(), rows)
        (config,) = rows.decode(found)
        rows.space.validate(config)
        torch.testing.assert_close(rows.encode([config]), found)
        starts = evaluate(wavy, rows.encode(rows.space.sample_many(24, np.random.default_rng(0))))
        assert float(wavy(found[:, None])) >= float(starts.max()) - 1e-6

    def test_it_never_returns_what_is_taken_and_stops_at_the_end(self, make: Make, rows: Rows) -> None:
        taken: set[str] = set()
        for seed in range(6):
            found = self.find(make(), rows, seed=seed, taken=taken)
            key = rows.space.config_hash(rows.decode(found)[0])
            assert key not in taken
            taken.add(key)
        assert self.find(make(), rows, taken=_Everything()).shape == (0, rows.d)

    def test_the_seed_decides(self, make: Make, rows: Rows) -> None:
        torch.testing.assert_close(self.find(make(), rows, seed=3), self.find(make(), rows, seed=3))

    @pytest.mark.parametrize("worst", [0.0, float("nan"), -float("inf")])
    def test_a_function_that_says_nothing_still_gives_a_row(self, make: Make, rows: Rows, worst: float) -> None:
        assert len(self.find(make(), rows, lambda X: torch.full(X.shape[:-2], worst, dtype=X.dtype))) == 1

    def test_a_function_without_a_gradient_is_maximized_too(self, make: Make, rows: Rows) -> None:
        found = self.find(make(), rows, lambda X: wavy(X.detach()))
        starts = evaluate(wavy, rows.encode(rows.space.sample_many(24, np.random.default_rng(0))))
        assert float(wavy(found[:, None])) >= float(starts.max()) - 1e-6


class _Everything:
    def __contains__(self, key: object) -> bool:
        return True
