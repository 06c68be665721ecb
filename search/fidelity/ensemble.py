"""The surrogate of MFES-HB: a model per level, multiplied by how well each ranks the highest one. Not who is continued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..bo.proposal import one_thread, select
from ..bo.rows import Rows
from ..bo.transfer.ensemble import held_out, misordered, moments
from ..bo.transfer.models import surrogate_maker
from ..bo.warp import Ranking
from ..pareto import FloatArray
from .model import most_promising
from .worth import worth

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..bo.parts import Surrogate
    from ..space import Config, SearchSpace
    from .curves import Curves
    from .staged import Situation

_MOST = 256
_FOLDS = 5
_POWER = 3.0
_TINY = 1e-10


@dataclass(frozen=True)
class Expert:
    """The model of one level.

    Args:
        keys: The configurations that were observed there, by hash, in order of arrival.
        X: Their rows, a `n x d`-dim Tensor.
        Y: Their normal scores among each other, a `n x 1`-dim Tensor to be maximized.
        model: A surrogate fitted to them.
    """

    keys: tuple[str, ...]
    X: Tensor
    Y: Tensor
    model: Surrogate

    def predict(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance at `N x d` rows, two `N`-dim Tensors."""
        return predict(self.model, X)

    def believe(self, keys: Sequence[str], X: Tensor) -> Expert:
        """Return an expert that takes its own mean for the result of the configurations that it has not seen.

        Args:
            keys: Of configurations under evaluation.
            X: Their rows, a `p x d`-dim Tensor.
        """
        known = set(self.keys)
        unseen = [i for i, key in enumerate(keys) if key not in known]
        if not unseen:
            return self
        mean, _ = self.predict(X[unseen])
        return Expert(self.keys, self.X, self.Y, self.model.condition(X[unseen], mean[:, None]))


@dataclass(frozen=True)
class Product:
    """A generalized product of experts (Cao and Fleet 2014): their densities to the power of their weights, multiplied.

    Args:
        experts: At least one, from the lowest level to the highest.
        weights: A `K`-dim Tensor of at least 0 with a sum of 1.
    """

    experts: Sequence[Expert]
    weights: Tensor

    def at(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation at `N x d` rows, two `N`-dim Tensors."""
        used = [i for i, weight in enumerate(self.weights.tolist()) if weight > 0.0]
        found = [self.experts[i].predict(X) for i in used]
        mean, variance = product(
            torch.stack([mean for mean, _ in found]),
            torch.stack([variance for _, variance in found]),
            weights=self.weights[used],
        )
        return mean, variance.sqrt()


class LevelEnsemble:
    """Fits the multi-fidelity ensemble surrogate of MFES-HB to the results of a search (Li et al., AAAI 2021).

    Every level up to the reference, the highest one with enough results to judge by, has a model of its own, of the ranks of its
    results among each other. Results of different levels are never compared, and no form is assumed for how they are related:
    a level counts as much as its model puts the reference's results into their order (`weigh`). What is above the reference is too
    little yet to be judged, and waits.

    The model of a level is fitted where its results have changed since the last ask, its hyperparameters where they have grown by
    an eighth.

    Args:
        surrogate: What models a level, by name or mapping; see `composition`. The paper has random forests, ``"rf"``.
    """

    def __init__(self, surrogate: str | Mapping[str, Any] = "gp") -> None:
        self._surrogate = surrogate
        self._space = ""
        self._fits: dict[int, tuple[int, list[list[float]]]] = {}
        self._rows: Rows | None = None
        self._experts: dict[int, Expert] = {}
        self._judged: tuple[Expert, float] | None = None

    def dump(self) -> dict[str, Any]:
        """Return what the next fits start from, as JSON."""
        fits = {str(level): {"count": count, "hyperparameters": found} for level, (count, found) in self._fits.items()}
        return {"space": self._space, "fits": fits}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` returned; `{}` forgets."""
        self._forget(str(state.get("space", "")))
        self._fits = {
            int(level): (int(fit["count"]), [list(vector) for vector in fit["hyperparameters"]])
            for level, fit in state.get("fits", {}).items()
        }

    def _forget(self, space: str) -> None:
        self._space, self._fits, self._rows, self._experts, self._judged = space, {}, None, {}, None

    def _rows_of(self, space: SearchSpace) -> Rows:
        """Return the rows of a space; what was learned in another one is forgotten."""
        if self._space != space.hash:
            self._forget(space.hash)
        if self._rows is None:
            self._rows = Rows(space)
        return self._rows

    def know(self, situation: Situation) -> Product | None:
        """Return what is believed of the reference level, and of what is under evaluation; None while no level can be modelled.

        Raises:
            RuntimeError: A model cannot be fitted.
        """
        with one_thread():
            return self._know(situation)

    def most_improving(self, situation: Situation) -> Config | None:
        """Return the most promising of new configurations that are drawn from the space's priors; None when none is new.

        It has the highest expected improvement under the product, over the best that is believed of any configuration that was seen
        or is under evaluation.

        Raises:
            RuntimeError: A model cannot be fitted.
        """
        with one_thread():
            known = self._know(situation)
            if known is None:
                return None
            rows = self._rows_of(situation.curves.history.space)
            believed, _ = known.at(rows.encode([curve.config for curve in situation.curves]))
            return most_promising(situation, rows, known.at, best=believed.max())

    def _know(self, situation: Situation) -> Product | None:
        curves = situation.curves
        space = curves.history.space
        rows = self._rows_of(space)
        make = surrogate_maker(self._surrogate, rows)
        values = worth(curves.Y, curves.history.objectives, situation.rng)
        experts = self._refresh(curves, values, make=make)
        if not experts:
            return None
        weights = self._weigh(experts, make=make)
        waiting = [curve.config for curve in curves if curve.waiting]
        if waiting:
            keys, X = [space.config_hash(config) for config in waiting], rows.encode(waiting)
            experts = [expert.believe(keys, X) for expert in experts]
        return Product(experts, weights)

    def _refresh(self, curves: Curves, values: FloatArray, *, make: Callable[[], Surrogate]) -> list[Expert]:
        """Return the models of the levels up to the reference, from the lowest; what did not change is kept."""
        history = curves.history
        differ = {
            level: positions
            for level, positions in by_level(curves).items()
            if len(np.unique(values[positions][np.isfinite(values[positions])])) > 1
        }
        top = reference({level: len(positions) for level, positions in differ.items()})
        found: dict[int, Expert] = {}
        for level, positions in differ.items():
            if level > top:
                continue
            chosen = [positions[i] for i in select(curves.Y[positions], history.objectives, limit=_MOST)]
            keys = tuple(history.observations[i].key for i in chosen)
            y = Ranking.fit(values[chosen])(values[chosen])
            Y = torch.from_numpy(y)[:, None]
            known = self._experts.get(level)
            if known is None or known.keys != keys or not torch.equal(known.Y, Y):
                X = self._rows_of(history.space).encode([history.observations[i].config for i in chosen])
                known = Expert(keys, X, Y, self._fitted(level, len(positions), X, Y=Y, make=make))
            found[level] = known
        self._experts = found
        return list(found.values())

    def _fitted(self, level: int, total: int, X: Tensor, *, Y: Tensor, make: Callable[[], Surrogate]) -> Surrogate:
        """Return a model of a level with ``total`` results; hyperparameters are kept until they have grown by an eighth."""
        count, start = self._fits.get(level, (0, []))
        refit = total - count >= max(1, count // 8)
        model = make()
        model.fit(X, Y, start=start, refit=refit)
        if refit:
            self._fits[level] = (total, model.hyperparameters)
        return model

    def _weigh(self, experts: Sequence[Expert], *, make: Callable[[], Surrogate]) -> Tensor:
        """Return the weights of the experts; the last one is judged by cross-validation, the others by its results."""
        judge = experts[-1]
        shares = [ordered(expert.predict(judge.X)[0], judge.Y) for expert in experts[:-1]]
        if self._judged is None or self._judged[0] is not judge:
            unseen = held_out(
                make,
                judge.X,
                judge.Y,
                start=judge.model.hyperparameters,
                folds=_FOLDS,
                predict=lambda model, X: predict(model, X)[0][None, :, None],
            )
            self._judged = judge, ordered(unseen[0, :, 0], judge.Y)
        return weigh([*shares, self._judged[1]])


def by_level(curves: Curves) -> dict[int, list[int]]:
    """Return the observations at each level, by position in the history and in order of arrival.

    A result between two levels counts for the lower one, and where a configuration has several for one level, the one of the
    highest fidelity counts.
    """
    out: dict[int, list[int]] = {}
    for curve in curves:
        last = {max(0, curves.levels.position(value)): curve.results[value] for value in sorted(curve.results)}
        for level, position in last.items():
            out.setdefault(level, []).append(position)
    return {level: sorted(out[level]) for level in sorted(out)}


def reference(counts: Mapping[int, int]) -> int:
    """Return the level by which all are judged: the highest with a result for every fold; without one, that with most results.

    Args:
        counts: Level to the number of its results; without any, -1 is returned.
    """
    enough = [level for level, count in counts.items() if count >= _FOLDS]
    return max(enough) if enough else max(counts, key=lambda level: counts[level], default=-1)


def predict(model: Surrogate, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the marginal mean and variance of a model of one target at `N x d` rows, two `N`-dim Tensors."""
    with torch.no_grad():
        mean, variance = moments(model, X[:, None])
    return mean.reshape(-1), variance.reshape(-1)


def ordered(mean: Tensor, Y: Tensor) -> float:
    """Return the share of pairs that a prediction puts into the order of the targets, from 0 to 1.

    Args:
        mean: A `n`-dim Tensor, `n` at least 2.
        Y: A `n x 1`-dim Tensor.
    """
    n = len(mean)
    return 1.0 - float(misordered(mean[None, :, None], Y)) / (n * (n - 1))


def weigh(shares: Sequence[float]) -> Tensor:
    """Return weights with a sum of 1: shares of ordered pairs to the third power, as in the paper (``theta = 3``).

    The power tells good rankings from those by chance, which still order half of the pairs. Without any ordered pair all weigh
    the same.
    """
    powers = torch.tensor(list(shares), dtype=torch.float64) ** _POWER
    total = powers.sum()
    return powers / total if float(total) > 0.0 else torch.full_like(powers, 1.0 / len(powers))


def product(mean: Tensor, variance: Tensor, *, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the moments of a product of normal densities to powers: precisions add up, means by their share of them.

    Args:
        mean: A `K x N`-dim Tensor.
        variance: A `K x N`-dim Tensor, above 0.
        weights: A `K`-dim Tensor.

    Returns:
        Mean and variance, two `N`-dim Tensors.
    """
    precision = weights[:, None] / variance.clamp_min(_TINY)
    total = precision.sum(dim=0)
    return (precision * mean).sum(dim=0) / total, 1.0 / total
