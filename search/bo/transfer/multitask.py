"""The surrogate ``multitask``: one Gaussian process over this task and the earlier ones. Not how the tasks come here.

The intrinsic model of coregionalization (Bonilla, Chai and Williams, NeurIPS 2007), ``k((x, t), (x', t')) = B[t, t'] k(x, x')``,
with `k` the kernel of any surrogate that is a Gaussian process. `B` has rank one and a diagonal: every earlier task has a
scale and a correlation with this one, and is related to the others through it. What correlates with nothing here drops out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ....errors import SpecError
from ..gp import GaussianProcess
from ..warp import COMPRESSED
from .models import MOST_ROWS, Earlier, check_earlier, surrogate_maker

if TYPE_CHECKING:
    from ..rows import Rows

_OFFSET = 0.25
_MOST = 240  # rows of all earlier tasks together: what bounds the time of a fit


@dataclass(frozen=True)
class TaskRows:
    """Rows as the kernel of one task has them, and which task each is of: `(b) x n x T + 1` indicators, this task first."""

    inner: Any
    task: Tensor


class TaskKernel:
    """The covariance of rows of several tasks.

    Its hyperparameters are those of the kernel of one task, then per earlier task the log of its scale and the logit of its
    correlation with this task, which is positive: ``B[0, t] = r_t s_t``, ``B[t, u] = r_t r_u s_t s_u``, ``B[t, t] = s_t^2``.
    Each task also has an offset of its own, since what a search evaluated is standardized by what it happened to find.

    Args:
        inner: The kernel of one task, with what `MixedKernel` offers.
        tasks: The number of earlier tasks.
        d: The number of columns of a row without its task.
    """

    def __init__(self, inner: Any, *, tasks: int, d: int) -> None:
        self._inner = inner
        self._tasks = tasks
        self._d = d
        self._p = len(inner.mean)

        def extended(vector: Tensor, scale: float, correlation: float) -> Tensor:
            more = torch.tensor([scale] * tasks + [correlation] * tasks, dtype=torch.float64)
            return torch.cat([vector, more])

        self.mean, self.std = extended(inner.mean, 0.0, 2.0), extended(inner.std, 0.5, 1.5)
        self.low, self.high = extended(inner.low, -2.0, -5.0), extended(inner.high, 2.0, 6.0)

    def embed(self, X: Tensor) -> TaskRows:
        """Split rows; a `(b) x n x d`-dim Tensor is of this task, the last of `d + 1` columns is the number of the task."""
        known = X.shape[-1] > self._d
        number = X[..., -1].long() if known else torch.zeros(X.shape[:-1], dtype=torch.long)
        task = torch.nn.functional.one_hot(number, self._tasks + 1).to(torch.float64)
        return TaskRows(self._inner.embed(X[..., : self._d]), task)

    def __call__(self, v: Tensor, A: TaskRows, B: TaskRows) -> Tensor:
        """Return covariances without noise, `(m) x (b) x n x k`-dim."""
        shared, own = self._coregionalization(v)
        a, b = (A.task * shared[..., None, :]).sum(-1), (B.task * shared[..., None, :]).sum(-1)
        same = B.task.transpose(-1, -2)
        between = a[..., :, None] * b[..., None, :] + (A.task * own[..., None, :]) @ same
        covariance: Tensor = between * self._inner(v[..., : self._p], A.inner, B.inner)
        return covariance + _OFFSET * (A.task @ same)

    def penalty(self, v: Tensor) -> tuple[float, Tensor]:
        """Return the negative log density of the prior, up to a constant, and its gradient at a `p`-dim Tensor."""
        inner, push = self._inner.penalty(v[: self._p])
        z = (v - self.mean)[self._p :] / self.std[self._p :]
        return inner + 0.5 * float(z @ z), torch.cat([push, z / self.std[self._p :]])

    def _coregionalization(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each task has of the shared function and the variance of its own, `(m) x T + 1`-dim."""
        scale = torch.exp(v[..., self._p : self._p + self._tasks])
        share = torch.sigmoid(v[..., self._p + self._tasks :])
        shared, own = scale * share, scale**2 * (1.0 - share**2)
        one = torch.ones_like(v[..., :1])
        return torch.cat([one, shared], dim=-1), torch.cat([torch.zeros_like(one), own], dim=-1)

    def diagonal(self, v: Tensor) -> Tensor:
        """Return the prior variance of this task, `(m) x 1 x 1`-dim."""
        variance: Tensor = self._inner.diagonal(v[..., : self._p])
        return variance + _OFFSET

    def scalars(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scale, share and noise variance of the kernel of one task, each `(m) x 1 x 1`-dim."""
        found: tuple[Tensor, Tensor, Tensor] = self._inner.scalars(v[..., : self._p])
        return found


class MultiTaskProcess(GaussianProcess):
    """Gaussian processes over the rows of this task and of earlier ones, one per target.

    Args:
        rows: The space's rows.
        base: The surrogate whose kernel relates the rows of one task, by name or mapping.
        earlier: What is known of earlier tasks.

    Raises:
        UnknownNameError: ``base`` is another name.
        SpecError: ``base`` is no Gaussian process.
    """

    def __init__(self, rows: Rows, base: str | Mapping[str, Any] = "gp", earlier: Earlier | None = None) -> None:
        super().__init__(rows)
        made = surrogate_maker(base, rows)()
        if not isinstance(made, GaussianProcess):
            problem = f"The surrogate {base!r} is no Gaussian process, so that 'multitask' cannot extend its kernel."
            raise SpecError(problem, hint="Choose 'gp' or 'of', or the method 'rgpe', which takes any surrogate.")
        self.scale = getattr(made, "scale", COMPRESSED)
        earlier = check_earlier(earlier)
        most = min(MOST_ROWS, max(2, _MOST // max(1, len(earlier.tasks))))
        self._known = _numbered(earlier.data(rows, scale=self.scale, most=most))
        tasks = 0 if self._known is None else int(self._known[0][:, -1].max())
        self._kernel: Any = TaskKernel(made._kernel, tasks=tasks, d=rows.d)

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
            RuntimeError: The targets are not finite, or a covariance is not positive definite.
        """
        variance = torch.zeros_like(Y) if Yvar is None else Yvar
        X = _of_task(X, 0)
        if self._known is not None:
            earlier_X, earlier_Y = self._known
            X, Y = torch.cat([X, earlier_X]), torch.cat([Y, earlier_Y])
            variance = torch.cat([variance, torch.zeros_like(earlier_Y)])
        super().fit(X, Y, variance, start=start, refit=refit)

    @property
    def X(self) -> Tensor:  # noqa: N802 - rows are X everywhere
        """The `n x d`-dim Tensor of rows of this task that it is conditioned on."""
        return self._X[self._X[:, -1] == 0.0][:, :-1]

    def condition(self, X: Tensor, Y: Tensor) -> GaussianProcess:
        """Return a model with the same hyperparameters that also knows `q x d` rows and their `q x m` targets."""
        return super().condition(_of_task(X, 0), Y)

    def _like(self, v: Tensor, X: Tensor, *, Y: Tensor, variance: Tensor) -> GaussianProcess:
        other = MultiTaskProcess.__new__(MultiTaskProcess)
        super(GaussianProcess, other).__init__()
        other._kernel, other._v, other._known, other.scale = self._kernel, v, self._known, self.scale
        other._know(X, Y, variance)
        return other


def _of_task(X: Tensor, number: int) -> Tensor:
    """Return `n x d` rows with the number of their task behind, `n x d + 1`."""
    return torch.cat([X, torch.full((len(X), 1), float(number), dtype=X.dtype)], dim=-1)


def _numbered(data: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor] | None:
    """Return the rows and targets of earlier tasks, numbered from 1; None without any."""
    if not data:
        return None
    return torch.cat([_of_task(X, number) for number, (X, _) in enumerate(data, start=1)]), torch.cat(
        [Y for _, Y in data]
    )
