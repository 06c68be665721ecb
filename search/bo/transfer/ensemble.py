"""The surrogate ``rgpe``: models of earlier tasks and of this one, weighted by how well they rank what was observed here.

The rank-weighted Gaussian process ensemble of Feurer, Letham and Bakshy (AutoML workshop at ICML 2018), over any surrogate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..surrogates.posterior_model import PosteriorModel, check_finite
from .models import Earlier, check_earlier, scale_of, surrogate_maker

if TYPE_CHECKING:
    from ..parts import Surrogate
    from ..rows import Rows

_SAMPLES = 128
_FOLDS = 8
_WORSE = 0.95


class RankWeightedEnsemble(PosteriorModel):
    """A mixture of posteriors: ``mean = sum w_i mean_i``, ``covariance = sum w_i^2 covariance_i`` (section 4 of the paper).

    The weight of a model, per target, is the share of posterior samples in which it misorders the fewest pairs of
    observations; this task's own model is judged on observations that it was not fitted to. A model whose median loss is above
    the 95th percentile of this task's own is left out, so that many useless tasks do not dilute the rest.

    Args:
        rows: The space's rows.
        base: The surrogate of each task, by name or mapping.
        earlier: What is known of earlier tasks; without any it is the base surrogate.

    Raises:
        UnknownNameError: ``base`` is another name.
    """

    def __init__(self, rows: Rows, base: str | Mapping[str, Any] = "gp", earlier: Earlier | None = None) -> None:
        super().__init__()
        self._rows = rows
        self._make = surrogate_maker(base, rows)
        self._earlier = check_earlier(earlier)
        self._models: list[Surrogate] = [self._make()]
        self.scale = scale_of(self._models[0])
        self.weights = torch.ones(1, 1, dtype=torch.float64)

    def fit(
        self,
        X: Tensor,
        Y: Tensor,
        Yvar: Tensor | None = None,
        *,
        start: Sequence[Sequence[float]] = (),
        refit: bool = True,
    ) -> None:
        """Learn from observations of this task; see `Surrogate.fit`.

        Raises:
            RuntimeError: The targets are not finite, or a model cannot be fitted.
        """
        check_finite(Y, "ensemble")
        own = self._make()
        own.fit(X, Y, Yvar, start=start, refit=refit)
        earlier = self._earlier.models(self._rows, self._make)
        self._X = X
        self._models = [*earlier, own]
        self.weights = torch.ones(1, Y.shape[1], dtype=torch.float64)
        if earlier and len(X) < 2:  # nothing can be ranked
            equal = torch.full((len(earlier), Y.shape[1]), 1.0 / len(earlier), dtype=torch.float64)
            self.weights = torch.cat([equal, torch.zeros(1, Y.shape[1], dtype=torch.float64)])
        elif earlier:
            unseen = held_out(self._make, X, Y, start=own.hyperparameters, folds=_FOLDS, predict=_sampled)
            self.weights = rank_weights([_sampled(model, X) for model in earlier], unseen, Y=Y)

    @property
    def hyperparameters(self) -> list[list[float]]:
        """Those of this task's own model."""
        return self._models[-1].hyperparameters

    @property
    def num_outputs(self) -> int:
        """The number of targets."""
        return int(self.weights.shape[1])

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean, `(b) x q x m`, and covariance, `(b) x m x q x q`."""
        used = [i for i, weight in enumerate(self.weights) if bool((weight > 0).any())]
        parts = [(moments(self._models[i], X), self.weights[i]) for i in used]
        mean = torch.stack([weight * mean for (mean, _), weight in parts]).sum(dim=0)
        covariance = torch.stack([(weight**2)[:, None, None] * part for (_, part), weight in parts]).sum(dim=0)
        return mean, covariance

    def condition(self, X: Tensor, Y: Tensor) -> RankWeightedEnsemble:
        """Return an ensemble whose model of this task also knows `q x d` rows and their `q x m` targets."""
        models = [*self._models[:-1], self._models[-1].condition(X, Y)]
        return self._like(models, self.weights, X=torch.cat([self._X, X]))

    def subset_output(self, idcs: Sequence[int]) -> RankWeightedEnsemble:
        """Return an ensemble of some of the targets."""
        columns = list(idcs)
        return self._like([model.subset_output(columns) for model in self._models], self.weights[:, columns], X=self._X)

    def _like(self, models: list[Surrogate], weights: Tensor, *, X: Tensor) -> RankWeightedEnsemble:
        other = RankWeightedEnsemble.__new__(RankWeightedEnsemble)
        PosteriorModel.__init__(other)
        other._rows, other._make, other._earlier = self._rows, self._make, self._earlier
        other._models, other.weights, other._X, other.scale = models, weights, X, self.scale
        return other


def moments(model: Surrogate, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return a surrogate's mean, `(b) x q x m`, and covariance, `(b) x m x q x q`, at a `(b) x q x d`-dim Tensor."""
    posterior = model.posterior(X)
    mean: Tensor = posterior.mean
    q, m = mean.shape[-2:]
    if q == 1:
        return mean, posterior.variance.transpose(-1, -2)[..., None]
    full = posterior.distribution.covariance_matrix
    if m == 1:
        return mean, full[..., None, :, :]
    blocks = [full[..., i * q : (i + 1) * q, i * q : (i + 1) * q] for i in range(m)]
    return mean, torch.stack(blocks, dim=-3)


def _sampled(model: Surrogate, X: Tensor) -> Tensor:
    """Return joint samples of a model at `n x d` rows; a `S x n x m`-dim Tensor, the same for the same model."""
    with torch.no_grad():
        mean, covariance = moments(model, X)
        n, m = mean.shape
        jitter = 1e-8 * (1.0 + covariance.diagonal(dim1=-2, dim2=-1).amax(-1))[:, None, None]
        factor = torch.linalg.cholesky(covariance.reshape(m, n, n) + jitter * torch.eye(n, dtype=torch.float64))
        generator = torch.Generator().manual_seed(n)
        z = torch.randn(m, n, _SAMPLES, generator=generator, dtype=torch.float64)
        samples: Tensor = mean + (factor @ z).permute(2, 1, 0)
        return samples


def held_out(
    make: Callable[[], Surrogate],
    X: Tensor,
    Y: Tensor,
    *,
    start: Sequence[Sequence[float]],
    folds: int,
    predict: Callable[[Surrogate, Tensor], Tensor],
) -> Tensor:
    """Return what is predicted of each observation by a model that learned from the other folds only.

    Args:
        make: Makes the surrogate.
        X: A `n x d`-dim Tensor, `n` at least 2.
        Y: A `n x m`-dim Tensor.
        start: The hyperparameters, which are taken as they are.
        folds: How many, at least 2; no more than `n` are made.
        predict: Maps a model and `q x d` rows to a `S x q x m`-dim Tensor.

    Returns:
        A `S x n x m`-dim Tensor.

    Raises:
        RuntimeError: A model cannot be fitted.
    """
    n = len(X)
    fold_of = torch.arange(n) % min(folds, n)
    found = []
    for fold in range(min(folds, n)):
        left_out = fold_of == fold
        model = make()
        model.fit(X[~left_out], Y[~left_out], start=start, refit=False)
        found.append(predict(model, X[left_out]))
    out = torch.empty(len(found[0]), n, Y.shape[1], dtype=torch.float64)
    for fold, predicted in enumerate(found):
        out[:, fold_of == fold] = predicted
    return out


def rank_weights(earlier: Sequence[Tensor], own: Tensor, *, Y: Tensor) -> Tensor:
    """Return the weight of each model on each target (Feurer et al. 2018, section 4.1).

    Args:
        earlier: Samples of the `T` earlier models at the observations, each `S x n x m`-dim.
        own: Samples of this task's model, without what it learned from each observation; `S x n x m`-dim.
        Y: The `n x m` targets.

    Returns:
        A `T + 1 x m`-dim Tensor, the last row for this task's own model; each column sums to 1.
    """
    losses = torch.stack([misordered(samples, Y) for samples in (*earlier, own)])
    limit = torch.quantile(losses[-1], _WORSE, dim=0)
    useless = losses.median(dim=1).values > limit
    losses = losses.masked_fill(useless[:, None, :], torch.inf)
    least = losses == losses.min(dim=0).values
    share = least.to(torch.float64) / least.sum(dim=0)
    return share.mean(dim=1)


def misordered(samples: Tensor, Y: Tensor) -> Tensor:
    """Return how many pairs each sample orders otherwise than the targets; a `S x m`-dim Tensor of counts."""
    below = Y[:, None] < Y[None]
    sampled = samples[:, :, None] < samples[:, None]
    return (below ^ sampled).sum(dim=(1, 2)).to(torch.float64)
