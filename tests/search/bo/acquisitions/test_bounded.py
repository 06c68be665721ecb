from __future__ import annotations

import pytest
import torch
from conformance.bo_problems import observed, surrogate
from torch import Tensor

from omniforge.errors import SpecError
from omniforge.search.bo.acquisitions.belief import believe, feasibility, pure_bounds
from omniforge.search.bo.acquisitions.bounded import Bounded, MonteCarlo, Setting
from omniforge.search.bo.parts import AcquisitionFunction


class Mean(Bounded):
    """The believed mean, for tests."""

    name = "mean"

    def __init__(self) -> None:
        self.given: Setting | None = None

    def _function(self, given: Setting) -> AcquisitionFunction:
        self.given = given
        return lambda X: given.model.posterior(X).mean[..., 0, 0]


class Means(Mean):
    """The same for several objectives."""

    several = True


def test_what_is_built_from_is_what_is_believed_within_the_bounds() -> None:
    seen, fitted = observed("numeric", "limited"), surrogate("numeric", "limited")
    acquisition = Mean()
    values = acquisition.build(fitted, seen, pending=seen.X[:0], seed=0)(seen.X[:, None])
    given = acquisition.given
    assert given is not None
    torch.testing.assert_close(values, given.belief.mean[:, 0])
    kept = given.belief.mean[:, 1] >= seen.goals.bounds[1]
    assert torch.equal(given.belief.within, kept)
    assert float(given.best) == float(values[kept].max())
    assert given.targets == [0]


def test_while_nothing_is_within_a_row_is_worth_its_chance_to_be() -> None:
    seen, fitted = observed("numeric", "hopeless"), surrogate("numeric", "hopeless")
    acquisition = Mean()
    X = seen.candidates[:, None]
    values = acquisition.build(fitted, seen, pending=seen.X[:0], seed=0)(X)
    assert acquisition.given is None
    torch.testing.assert_close(values, feasibility(fitted, pure_bounds(seen.goals))(X))
    joint = feasibility(fitted, pure_bounds(seen.goals))(X[:6].reshape(3, 2, -1))
    torch.testing.assert_close(joint, values[:6].reshape(3, 2).sum(-1))


def test_pending_rows_that_the_surrogate_knows_are_not_waited_for() -> None:
    seen, fitted = observed("numeric", "one"), surrogate("numeric", "one")
    pending = seen.candidates[:3]

    def waiting(rows: Tensor) -> Tensor | None:
        belief = believe(fitted, {})
        return Setting(
            fitted.condition(rows, torch.zeros(len(rows), 1).to(rows)), seen, belief, pending, seed=0
        ).waiting

    assert waiting(pending) is None
    left = waiting(pending[:2])
    assert left is not None
    assert torch.equal(left, pending[2:])


def test_another_number_of_objectives_is_refused() -> None:
    for acquisition, goals in ((Mean(), "two"), (Means(), "one")):
        seen = observed("numeric", goals)
        with pytest.raises(SpecError, match="objective"):
            acquisition.build(surrogate("numeric", goals), seen, pending=seen.X[:0], seed=0)


def test_samples_are_counted() -> None:
    class Nothing(MonteCarlo):
        name = "nothing"

        def _function(self, given: Setting) -> AcquisitionFunction:
            return lambda X: X.sum(dim=(-1, -2))

    assert isinstance(Nothing().joint(), Nothing)
    with pytest.raises(SpecError, match="samples"):
        Nothing(0)
