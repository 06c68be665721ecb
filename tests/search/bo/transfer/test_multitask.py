from __future__ import annotations

import numpy as np
import pytest
import torch

from omniforge.errors import SpecError
from omniforge.search import SearchSpace
from omniforge.search.bo.kernel import MixedKernel
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.transfer.models import Earlier
from omniforge.search.bo.transfer.multitask import MultiTaskProcess, TaskKernel

from .conftest import value
from .test_ensemble import data


def test_the_covariance_is_one_of_several_tasks(rows: Rows, space: SearchSpace) -> None:
    inner = MixedKernel(rows)
    kernel = TaskKernel(inner, tasks=2, d=rows.d)
    X = rows.encode(space.sample_many(12, np.random.default_rng(0)))
    numbered = torch.cat([X, torch.arange(12.0, dtype=torch.float64)[:, None] % 3], dim=-1)
    v = kernel.mean.clone()
    K = kernel(v, kernel.embed(numbered), kernel.embed(numbered))
    assert float(torch.linalg.eigvalsh(K).min()) > -1e-9
    same = kernel(v, kernel.embed(X), kernel.embed(X))  # without a number, rows are of this task
    torch.testing.assert_close(same.diagonal(), kernel.diagonal(v).expand(1, 1, 12).flatten())
    v[-2:] = -60.0  # no correlation with this task
    K = kernel(v, kernel.embed(numbered), kernel.embed(numbered))
    assert float(K[0, 1].abs()) < 1e-9
    assert float(K[1, 2].abs()) < 1e-9
    assert float(K[1, 4]) > 0.1


def test_the_prior_of_the_tasks_has_the_gradient_that_it_says(rows: Rows) -> None:
    kernel = TaskKernel(MixedKernel(rows), tasks=2, d=rows.d)
    v = kernel.mean + torch.linspace(-0.5, 0.5, len(kernel.mean), dtype=torch.float64)
    value_, gradient = kernel.penalty(v)
    for i in (0, len(v) - 3, len(v) - 1):
        step = torch.zeros_like(v)
        step[i] = 1e-5
        assert (kernel.penalty(v + step)[0] - value_) / 1e-5 == pytest.approx(float(gradient[i]), abs=1e-3)


@pytest.mark.parametrize("base", ["gp", "of"])
def test_it_learns_from_what_is_alike_and_not_from_its_contrary(
    rows: Rows, space: SearchSpace, earlier: Earlier, base: str
) -> None:
    X, Y = data(rows, space, 7)
    joint, alone = MultiTaskProcess(rows, base, earlier), MultiTaskProcess(rows, base)
    for model in (joint, alone):
        model.fit(X, Y)
    test = space.sample_many(60, np.random.default_rng(4))
    truth = np.array([value(config) for config in test])
    rank = [
        np.corrcoef(model.posterior(rows.encode(test)[:, None]).mean.detach().flatten(), truth)[0, 1]
        for model in (joint, alone)
    ]
    assert rank[0] > max(0.85, rank[1])
    correlations = torch.sigmoid(torch.tensor(joint.hyperparameters[0][-2:]))
    assert correlations[0] > correlations[1] + 0.3


def test_its_rows_are_those_of_this_task(rows: Rows, space: SearchSpace, earlier: Earlier) -> None:
    X, Y = data(rows, space, 6)
    model = MultiTaskProcess(rows, earlier=earlier)
    model.fit(X[:5], Y[:5])
    assert torch.equal(model.X, X[:5])
    more = model.condition(X[5:], Y[5:]).condition(X[:1], Y[:1])
    assert len(more.X) == 7
    torch.testing.assert_close(more.posterior(X[5:, None]).mean[0, 0], Y[5], atol=0.3, rtol=0)
    assert model.posterior(X[None, :3]).mean.shape == (1, 3, 1)


def test_hyperparameters_are_kept_without_a_refit(rows: Rows, space: SearchSpace, earlier: Earlier) -> None:
    X, Y = data(rows, space, 6)
    first, again = MultiTaskProcess(rows, earlier=earlier), MultiTaskProcess(rows, earlier=earlier)
    first.fit(X, Y)
    again.fit(X, Y, start=first.hyperparameters, refit=False)
    assert again.hyperparameters == first.hyperparameters
    torch.testing.assert_close(again.posterior(X[:, None]).mean, first.posterior(X[:, None]).mean)


def test_only_a_gaussian_process_can_be_extended(rows: Rows) -> None:
    with pytest.raises(SpecError, match="no Gaussian process"):
        MultiTaskProcess(rows, "rgpe")
