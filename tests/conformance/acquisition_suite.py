"""What every acquisition has to do, whatever it values: a new one adds its name and inherits the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conformance.bo_problems import GOALS, SPACES, SURROGATE_NAMES, observed, rows_of, surrogate, without_candidates

from omniforge.errors import SpecError
from omniforge.search.bo.composition import ACQUISITIONS, ONE_OBJECTIVE, SEVERAL_OBJECTIVES, check_choices, check_search
from omniforge.search.bo.parts import Acquisition
from omniforge.search.strategy import one_choice

Make = Callable[[], Acquisition]


class AcquisitionSuite:
    """The conformance suite of the ``Acquisition`` contract.

    A subclass provides the fixture ``choice``: a name, or a name with its options.
    """

    @pytest.fixture
    def choice(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def make(self, choice: Any) -> Make:
        name, options = one_choice(choice, "acquisition")
        return lambda: ACQUISITIONS.get(name)(**options)

    @pytest.fixture
    def taken(self, choice: Any) -> list[str]:
        """The goals that it is made for."""
        name, _ = one_choice(choice, "acquisition")
        several = [goals for goals in GOALS if len(GOALS[goals].optimized) > 1]
        if name in ONE_OBJECTIVE:
            return [goals for goals in GOALS if goals not in several]
        return several if name in SEVERAL_OBJECTIVES else list(GOALS)

    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("model", SURROGATE_NAMES)
    def test_a_row_has_a_value(self, make: Make, taken: list[str], space: str, model: str) -> None:
        for goals in taken:
            seen, fitted = observed(space, goals), surrogate(space, goals, model)
            function = make().build(fitted, seen, pending=seen.X[:0], seed=0)
            values = function(seen.candidates[:9, None])
            assert values.shape == (9,)
            assert not bool(torch.isnan(values).any())
            assert bool((values < torch.inf).all())

    def test_the_seed_decides_and_a_batch_does_not(self, make: Make, taken: list[str]) -> None:
        seen, fitted = observed("conditional", taken[0]), surrogate("conditional", taken[0])
        X = seen.candidates[:6, None]
        first, again = (make().build(fitted, seen, pending=seen.X[:0], seed=5) for _ in range(2))
        torch.testing.assert_close(first(X), again(X))
        torch.testing.assert_close(first(X)[2:4], first(X[2:4]), rtol=1e-6, atol=1e-6)

    def test_it_has_a_gradient_in_the_numbers(self, make: Make, taken: list[str]) -> None:
        for goals in taken:
            seen, fitted = observed("numeric", goals), surrogate("numeric", goals)
            X = seen.candidates[:5, None].clone().requires_grad_()
            (gradient,) = torch.autograd.grad(make().build(fitted, seen, pending=seen.X[:0], seed=0)(X).sum(), X)
            assert bool(torch.isfinite(gradient).all())

    def test_pending_rows_known_to_the_surrogate_or_not_do_no_harm(self, make: Make, taken: list[str]) -> None:
        seen, fitted = observed("conditional", taken[0]), surrogate("conditional", taken[0])
        pending = seen.candidates[:2]
        knowing = fitted.condition(pending, fitted.posterior(pending[:, None]).mean[:, 0].detach())
        for model in (fitted, knowing):
            values = make().build(model, seen, pending=pending, seed=0)(seen.candidates[2:8, None])
            assert bool(torch.isfinite(values).all())

    def test_observations_alone_are_enough(self, make: Make, taken: list[str]) -> None:
        seen, fitted = without_candidates(observed("conditional", taken[0])), surrogate("conditional", taken[0])
        values = make().build(fitted, seen, pending=seen.X[:0], seed=0)(seen.X[:4, None])
        assert bool(torch.isfinite(values).all())

    def test_what_takes_several_rows_says_how_and_others_are_refused(
        self, choice: Any, make: Make, taken: list[str]
    ) -> None:
        several = getattr(make(), "joint", None)
        if several is None:
            with pytest.raises(SpecError, match="one row at a time"):
                check_choices({"acquisition": choice, "suggester": "joint"})
            return
        check_choices({"acquisition": choice, "suggester": "joint"})
        for goals in taken:
            seen, fitted = observed("conditional", goals), surrogate("conditional", goals)
            values = several().build(fitted, seen, pending=seen.candidates[:1], seed=0)(
                seen.candidates[1:7].view(3, 2, -1)
            )
            assert values.shape == (3,)
            assert bool(torch.isfinite(values).all())

    def test_other_goals_are_refused_before_and_when_it_is_built(
        self, choice: Any, make: Make, taken: list[str]
    ) -> None:
        for goals in set(GOALS) - set(taken):
            with pytest.raises(SpecError, match="objective"):
                check_search({"acquisition": choice}, objectives=len(GOALS[goals].optimized), size=torch.inf)
            seen = observed("numeric", goals)
            with pytest.raises(SpecError, match="objective"):
                make().build(surrogate("numeric", goals), seen, pending=seen.X[:0], seed=0)

    def test_better_prospects_are_worth_more(self, make: Make, taken: list[str]) -> None:
        """Of rows that were seen, the best is worth more than the worst."""
        seen, fitted = observed("numeric", taken[0]), surrogate("numeric", taken[0])
        order = seen.Y.sum(-1).argsort()
        near = rows_of("numeric").encode(rows_of("numeric").decode(seen.X[order[[0, -1]]] * 0.98 + 0.01))
        values = torch.stack(
            [make().build(fitted, seen, pending=seen.X[:0], seed=seed)(near[:, None]) for seed in range(4)]
        )
        assert float(values.mean(0)[1]) > float(values.mean(0)[0])
