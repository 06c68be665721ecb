from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from botorch.utils.multi_objective.pareto import is_non_dominated
from conformance.acquisition_suite import AcquisitionSuite

from omniforge.errors import SpecError
from omniforge.search import hypervolume
from omniforge.search.bo.acquisitions import Auto, LogEHVI, LogEI, LogNEHVI
from omniforge.search.bo.composition import ACQUISITIONS
from omniforge.search.bo.gp import GaussianProcess
from omniforge.search.bo.parts import Observed
from omniforge.search.bo.warp import Goals


class TestAcquisitions(AcquisitionSuite):
    @pytest.fixture(params=tuple(ACQUISITIONS))
    def choice(self, request: Any) -> Any:
        return request.param


Fit = Callable[[int], GaussianProcess]
Observe = Callable[[int], Observed]


@pytest.mark.oracle
def test_log_ei_is_the_log_of_sampled_improvement(fitted: Fit, observe: Observe) -> None:
    gp, seen = fitted(1), observe(1)
    X = seen.X[:4] * 0.95
    acquisition = LogEI().build(gp, seen, pending=seen.X[:0], seed=0)
    best = gp.posterior(gp.X[:, None]).mean.max()
    posterior = gp.posterior(X[:, None])
    draws = posterior.mean[:, 0] + posterior.variance[:, 0].sqrt() * torch.randn(
        4, 400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    sampled = (draws - best).clamp_min(0).mean(-1)
    shown = acquisition(X[:, None]).exp()
    torch.testing.assert_close(shown, sampled, rtol=0.1, atol=2e-3)


@pytest.mark.parametrize("make", [LogEHVI, LogNEHVI, Auto])
def test_several_objectives_give_a_finite_value_a_row(
    make: Callable[[], LogEHVI], fitted: Fit, observe: Observe
) -> None:
    seen = observe(2)
    values = make().build(fitted(2), seen, pending=seen.X[:0], seed=0)(seen.X[:7, None] * 0.97)
    assert values.shape == (7,)
    assert bool(torch.isfinite(values).all())


@pytest.mark.oracle
def test_log_ehvi_is_the_log_of_sampled_hypervolume_improvement(fitted: Fit, observe: Observe) -> None:
    gp, seen = fitted(2), observe(2)
    X = seen.X[:3] * 0.9
    shown = LogEHVI(front="mean").build(gp, seen, pending=seen.X[:0], seed=0)(X[:, None]).exp()
    believed = gp.posterior(gp.X[:, None]).mean[:, 0].detach()
    front = believed[is_non_dominated(believed)]
    reference = believed.min(0).values - 0.1 * (believed.max(0).values - believed.min(0).values)
    base = hypervolume(front.numpy(), reference.tolist())
    posterior = gp.posterior(X[:, None])
    noise = torch.randn(4000, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws = (posterior.mean[:, 0] + posterior.variance[:, 0].sqrt() * noise).detach().numpy()
    for i in range(3):
        gains = [hypervolume([*front.numpy(), draw], reference.tolist()) - base for draw in draws[:, i]]
        assert float(shown[i]) == pytest.approx(sum(gains) / len(gains), rel=0.1, abs=2e-3)


def test_the_sampled_front_follows_the_seed(fitted: Fit, observe: Observe) -> None:
    gp, seen = fitted(2), observe(2)
    X = seen.X[:5, None] * 0.9
    first, same, other = (LogEHVI().build(gp, seen, pending=seen.X[:0], seed=seed)(X) for seed in (1, 1, 2))
    torch.testing.assert_close(first, same)
    assert not torch.allclose(first, other)
    with pytest.raises(SpecError, match="front is 'best'"):
        LogEHVI(front="best")


@pytest.mark.parametrize("make", [LogEHVI, LogNEHVI])
def test_what_breaks_the_bound_of_an_objective_improves_nothing(
    make: Callable[[], LogEHVI], fitted: Fit, observe: Observe
) -> None:
    seen = observe(2)
    limit = float(seen.Y[:, 1].median())
    bounded = Observed(seen.X, seen.Y, Goals((0, 1), {1: limit}))
    values = make().build(fitted(2), bounded, pending=seen.X[:0], seed=0)(seen.X[:, None])
    far = seen.Y[:, 1] < limit - 0.5
    assert float(values[far].max()) < float(values[~far].max())
    assert int(values.argmax()) in (~far).nonzero().flatten().tolist()


@pytest.mark.parametrize("make", [LogEI, LogEHVI, LogNEHVI])
def test_while_nothing_keeps_a_bound_its_probability_is_sought(
    make: Callable[[], LogEI], fitted: Fit, observe: Observe
) -> None:
    seen = observe(2)
    goals = Goals((0,), {1: 50.0}) if make is LogEI else Goals((0, 1), {1: 50.0})
    X = seen.X[:10, None]
    values = make().build(fitted(2), Observed(seen.X, seen.Y, goals), pending=seen.X[:0], seed=0)(X)
    posterior = fitted(2).posterior(X)
    reach = (50.0 - posterior.mean[:, 0, 1]) / posterior.variance[:, 0, 1].sqrt()
    assert values.argsort().tolist() == reach.argsort(descending=True).tolist()


def test_a_bound_of_weight_zero_multiplies_by_its_probability(fitted: Fit, observe: Observe) -> None:
    seen = observe(2)
    limit = float(seen.Y[:, 1].median())
    X = seen.X[:10, None] * 0.9
    free = LogEI().build(fitted(1), observe(1), pending=seen.X[:0], seed=0)(X)
    limited = LogEI().build(fitted(2), Observed(seen.X, seen.Y, Goals((0,), {1: limit})), pending=seen.X[:0], seed=0)(X)
    posterior = fitted(2).posterior(X)
    reach = (posterior.mean[:, 0, 1] - limit) / posterior.variance[:, 0, 1].sqrt()
    assert bool((limited <= free + 5.0).all())
    assert float((limited - free)[reach.argmax()]) > float((limited - free)[reach.argmin()])


def test_an_acquisition_for_another_number_of_objectives_is_refused(fitted: Fit, observe: Observe) -> None:
    with pytest.raises(SpecError, match="takes one objective, not 2"):
        LogEI().build(fitted(2), observe(2), pending=observe(2).X[:0], seed=0)
    for several in (LogEHVI(), LogNEHVI()):
        with pytest.raises(SpecError, match="takes several objectives"):
            several.build(fitted(1), observe(1), pending=observe(1).X[:0], seed=0)
