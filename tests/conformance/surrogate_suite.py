"""What every surrogate has to do, whatever it is: a new one provides one fixture and inherits the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conformance.strategy_suite import CELLS, CONDITIONAL, FINITE, ORDERS

from omniforge.search import SearchSpace
from omniforge.search.bo.parts import Surrogate
from omniforge.search.bo.rows import Rows

NUMERIC = SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(3)})
MIXED = SearchSpace.from_yaml(
    "x: {type: float, range: [0.0, 1.0]}\ny: {type: int, range: [1, 20]}\nc: {type: choice, range: {a, b, c}}"
)
SPACES = {
    "numeric": NUMERIC,
    "mixed": MIXED,
    "conditional": CONDITIONAL,
    "finite": FINITE,
    "cells": CELLS,
    "orders": ORDERS,
}
Tensor = torch.Tensor


class SurrogateSuite:
    """The conformance suite of the ``Surrogate`` contract.

    A subclass provides the fixture ``make``: a function from rows to a new surrogate, small enough to fit in a tenth of a
    second.
    """

    @pytest.fixture
    def make(self) -> Callable[[Rows], Surrogate]:
        raise NotImplementedError

    @staticmethod
    def data(space: SearchSpace, n: int = 20, *, targets: int = 1, seed: int = 0) -> tuple[Rows, Tensor, Tensor]:
        """Return rows, inputs and standardized smooth targets."""
        rows = Rows(space)
        X = rows.encode(space.sample_many(n, np.random.default_rng(seed)))
        slope = torch.linspace(1.0, 2.0, max(rows.d, 1), dtype=torch.float64)
        Y = torch.stack([((X - 0.2) * slope).square().sum(-1) * (-1.0) ** target for target in range(targets)], dim=-1)
        spread = Y.std(dim=0) if n > 1 else torch.ones(targets, dtype=torch.float64)
        return rows, X, (Y - Y.mean(dim=0)) / torch.where(spread > 0, spread, torch.ones_like(spread))

    def fitted(
        self, make: Any, space: SearchSpace, n: int = 20, *, targets: int = 1
    ) -> tuple[Any, Tensor, Tensor, Rows]:
        rows, X, Y = self.data(space, n, targets=targets)
        made = make(rows)
        made.fit(X, Y)
        return made, X, Y, rows

    @pytest.mark.parametrize("name", list(SPACES))
    @pytest.mark.parametrize("targets", [1, 2])
    def test_shapes_and_agreement_of_marginal_and_joint(self, make: Any, name: str, targets: int) -> None:
        made, X, _, rows = self.fitted(make, SPACES[name], targets=targets)
        new = rows.encode(SPACES[name].sample_many(6, np.random.default_rng(7)))
        with torch.no_grad():
            single, joint = made.posterior(new[:, None]), made.posterior(new)
            batched = made.posterior(torch.stack([new[:3], new[3:]]))
        assert single.mean.shape == single.variance.shape == (6, 1, targets)
        assert joint.mean.shape == (6, targets)
        assert batched.mean.shape == (2, 3, targets)
        torch.testing.assert_close(single.mean[:, 0], joint.mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(single.variance[:, 0], joint.variance, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(batched.mean.reshape(6, targets), joint.mean, rtol=1e-5, atol=1e-6)
        assert bool((single.variance > 0).all())
        assert made.num_outputs == targets
        assert torch.equal(made.X, X)

    def test_samples_have_the_moments_of_the_posterior(self, make: Any) -> None:
        made, X, _, _ = self.fitted(make, MIXED, targets=2)
        with torch.no_grad():
            torch.manual_seed(0)
            posterior = made.posterior(X[:4] * 0.9)
            samples = posterior.rsample(torch.Size([4000]))
        assert samples.shape == (4000, 4, 2)
        error = (samples.mean(dim=0) - posterior.mean).abs() / (posterior.variance / 4000).sqrt()
        assert float(error.max()) < 5.0

    def test_it_learns(self, make: Any) -> None:
        made, X, Y, _ = self.fitted(make, NUMERIC, 40)
        with torch.no_grad():
            seen = made.posterior(X[:, None]).mean[:, 0, 0]
            _, new, truth = self.data(NUMERIC, 60, seed=5)
            between = made.posterior(new[:, None]).mean[:, 0, 0]
        assert float(torch.corrcoef(torch.stack([seen, Y[:, 0]]))[0, 1]) > 0.9
        assert float(torch.corrcoef(torch.stack([between, truth[:, 0]]))[0, 1]) > 0.6

    def test_it_is_surer_near_observations(self, make: Any) -> None:
        rows = Rows(NUMERIC)
        X = torch.rand(24, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.4
        Y = torch.sin(9.0 * X).sum(-1, keepdim=True)
        made = make(rows)
        made.fit(X, (Y - Y.mean()) / Y.std())
        far = 1.0 - 0.2 * torch.rand(24, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        with torch.no_grad():
            assert float(made.posterior(X[:, None]).variance.mean()) < float(
                made.posterior(far[:, None]).variance.mean()
            )

    def test_conditioning_moves_the_mean_and_reduces_the_variance(self, make: Any) -> None:
        made, X, _, rows = self.fitted(make, MIXED, targets=2)
        new = rows.encode(MIXED.sample_many(3, np.random.default_rng(9)))
        with torch.no_grad():
            before = made.posterior(new[:, None])
            value = before.mean[:, 0] + 1.0
            knowing = made.condition(new, value)
            after = knowing.posterior(new[:, None])
            believed = made.condition(new, before.mean[:, 0]).posterior(new[:, None])
        assert bool((after.mean > before.mean).all())
        assert float(believed.variance.mean()) < float(before.variance.mean())
        torch.testing.assert_close(believed.mean, before.mean, rtol=0.0, atol=0.03)
        assert torch.equal(made.X, X)
        assert len(knowing.X) == len(X) + 3
        again = made.posterior(new[:, None])
        torch.testing.assert_close(again.mean, before.mean)

    def test_a_subset_of_targets_is_a_model_of_its_own(self, make: Any) -> None:
        made, X, _, _ = self.fitted(make, MIXED, targets=2)
        with torch.no_grad():
            one = made.subset_output([1]).posterior(X[:, None])
            both = made.posterior(X[:, None])
            known = made.condition(X[:2], both.mean[:2, 0]).subset_output([1]).posterior(X[:4])
        torch.testing.assert_close(one.mean[..., 0], both.mean[..., 1])
        torch.testing.assert_close(one.variance[..., 0], both.variance[..., 1])
        assert known.mean.shape == (4, 1)
        assert made.subset_output([1]).num_outputs == 1

    @pytest.mark.parametrize("name", ["mixed", "conditional"])
    def test_the_same_data_give_the_same_posterior(self, make: Any, name: str) -> None:
        first, X, Y, rows = self.fitted(make, SPACES[name])
        torch.manual_seed(4)
        second = make(rows)
        second.fit(X, Y)
        third = make(rows)
        third.fit(X, Y, start=first.hyperparameters, refit=False)
        with torch.no_grad():
            means = [made.posterior(X[:, None]).mean for made in (first, second, third)]
        assert torch.equal(means[0], means[1])
        assert torch.equal(means[0], means[2])
        assert first.hyperparameters == third.hyperparameters

    @pytest.mark.parametrize("case", ["one", "two", "constant", "duplicates"])
    def test_little_or_poor_data_do_no_harm(self, make: Any, case: str) -> None:
        rows, X, Y = self.data(MIXED, {"one": 1, "two": 2}.get(case, 12))
        if case == "constant":
            Y = torch.zeros_like(Y)
        if case == "duplicates":
            X = X[:3].repeat(4, 1)
        made = make(rows)
        made.fit(X, Y)
        new = rows.encode(MIXED.sample_many(5, np.random.default_rng(3)))
        with torch.no_grad():
            posterior = made.posterior(new)
            assert bool(torch.isfinite(posterior.mean).all())
            assert bool(torch.isfinite(posterior.variance).all())
            assert bool(torch.isfinite(posterior.rsample(torch.Size([2]))).all())
            assert bool(torch.isfinite(made.condition(new[:1], posterior.mean[:1]).posterior(new).mean).all())

    def test_targets_that_are_not_finite_are_refused(self, make: Any) -> None:
        rows, X, Y = self.data(MIXED)
        with pytest.raises(RuntimeError, match="not all finite"):
            make(rows).fit(X, Y * float("nan"))

    def test_a_gradient_is_there_when_it_says_so(self, make: Any) -> None:
        made, X, _, _ = self.fitted(make, MIXED)
        moved = X[:3, None].clone().requires_grad_()
        total = made.posterior(moved).mean.sum() + made.posterior(moved).variance.sum()
        assert total.requires_grad == getattr(made, "differentiable", True)
        if total.requires_grad:
            (slope,) = torch.autograd.grad(total, moved)
            assert bool(torch.isfinite(slope).all())
            assert float(slope.abs().max()) > 0
