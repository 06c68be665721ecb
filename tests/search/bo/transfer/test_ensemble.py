from __future__ import annotations

import numpy as np
import pytest
import torch

from omniforge.search import SearchSpace
from omniforge.search.bo.gp import GaussianProcess
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.transfer.ensemble import RankWeightedEnsemble, held_out, moments, rank_weights
from omniforge.search.bo.transfer.models import Earlier

from .conftest import value


def data(rows: Rows, space: SearchSpace, count: int, targets: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    configs = space.sample_many(count, np.random.default_rng(9))
    columns = [[value(config) for config in configs], [-config["x"] for config in configs]][:targets]
    Y = torch.tensor(columns, dtype=torch.float64).T
    return rows.encode(configs), (Y - Y.mean(0)) / Y.std(0)


def test_weights_go_to_what_ranks_best() -> None:
    Y = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None]
    noise = torch.randn(50, 6, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    right, wrong = (Y + 0.01 * noise, -Y + 0.01 * noise)
    weights = rank_weights([right, wrong], 2.0 * noise, Y=Y)
    assert weights.shape == (3, 1)
    torch.testing.assert_close(weights.sum(0), torch.ones(1, dtype=torch.float64))
    assert weights[0, 0] > 0.9
    assert weights[1, 0] == 0.0


def test_a_useful_task_outweighs_its_contrary_and_helps(rows: Rows, space: SearchSpace, earlier: Earlier) -> None:
    X, Y = data(rows, space, 6)
    ensemble, alone = RankWeightedEnsemble(rows, earlier=earlier), GaussianProcess(rows)
    ensemble.fit(X, Y)
    alone.fit(X, Y)
    assert ensemble.weights[0, 0] > 3 * ensemble.weights[1, 0]
    test = space.sample_many(60, np.random.default_rng(4))
    truth = np.array([value(config) for config in test])
    rank = {
        name: np.corrcoef(model.posterior(rows.encode(test)[:, None]).mean.detach().flatten(), truth)[0, 1]
        for name, model in (("ensemble", ensemble), ("alone", alone))
    }
    assert rank["ensemble"] > max(0.8, rank["alone"])


def test_without_earlier_tasks_it_is_the_base_surrogate(rows: Rows, space: SearchSpace) -> None:
    X, Y = data(rows, space, 9, targets=2)
    ensemble, alone = RankWeightedEnsemble(rows), GaussianProcess(rows)
    ensemble.fit(X, Y)
    alone.fit(X, Y)
    for batch in (X[:, None], X[:3], X[None, :4].expand(2, 4, -1)):
        a, b = ensemble.posterior(batch), alone.posterior(batch)
        torch.testing.assert_close(a.mean, b.mean)
        torch.testing.assert_close(a.variance, b.variance, atol=1e-6, rtol=1e-4)
    assert ensemble.hyperparameters == alone.hyperparameters


@pytest.mark.parametrize("targets", [1, 2])
def test_joint_and_marginal_moments_agree(rows: Rows, space: SearchSpace, earlier: Earlier, targets: int) -> None:
    X, Y = data(rows, space, 8, targets=targets)
    ensemble = RankWeightedEnsemble(rows, earlier=earlier if targets == 1 else None)
    ensemble.fit(X, Y)
    mean, covariance = moments(ensemble, X[:3])
    single, variance = moments(ensemble, X[:3, None])
    torch.testing.assert_close(mean, single[:, 0])
    torch.testing.assert_close(covariance.diagonal(dim1=-2, dim2=-1).T, variance[:, :, 0, 0], atol=1e-6, rtol=1e-4)


def test_it_is_conditioned_on_what_is_believed(rows: Rows, space: SearchSpace, earlier: Earlier) -> None:
    X, Y = data(rows, space, 8)
    ensemble = RankWeightedEnsemble(rows, earlier=earlier)
    ensemble.fit(X[:6], Y[:6])
    more = ensemble.condition(X[6:], Y[6:])
    assert len(more.X) == 8
    assert torch.equal(more.weights, ensemble.weights)
    before, after = ensemble.posterior(X[6:, None]).variance, more.posterior(X[6:, None]).variance
    assert bool((after <= before + 1e-9).all())
    assert more.subset_output([0]).num_outputs == 1


def test_targets_must_be_finite(rows: Rows, space: SearchSpace) -> None:
    X, Y = data(rows, space, 4)
    with pytest.raises(RuntimeError, match="finite"):
        RankWeightedEnsemble(rows).fit(X, torch.full_like(Y, torch.nan))


def test_one_observation_ranks_nothing(rows: Rows, space: SearchSpace, earlier: Earlier) -> None:
    X, Y = data(rows, space, 4)
    ensemble = RankWeightedEnsemble(rows, earlier=earlier)
    ensemble.fit(X[:1], Y[:1])
    assert ensemble.weights.flatten().tolist() == [0.5, 0.5, 0.0]


def test_what_is_held_out_is_predicted_without_it(rows: Rows, space: SearchSpace) -> None:
    X, Y = data(rows, space, 7)
    model = GaussianProcess(rows)
    model.fit(X, Y)
    start = model.hyperparameters
    found = held_out(
        lambda: GaussianProcess(rows),
        X,
        Y,
        start=start,
        folds=3,
        predict=lambda m, at: moments(m, at[:, None])[0][None, :, 0],
    )
    kept = torch.tensor([1, 2, 4, 5])
    alone = GaussianProcess(rows)
    alone.fit(X[kept], Y[kept], start=start, refit=False)
    assert found.shape == (1, 7, 1)
    torch.testing.assert_close(found[0, [0, 3, 6]], moments(alone, X[[0, 3, 6], None])[0][:, 0])
