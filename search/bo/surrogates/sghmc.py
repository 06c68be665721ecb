"""The surrogate ``bohamiann``: Bayesian networks sampled by stochastic gradient Hamiltonian Monte Carlo.

Springenberg et al., NIPS 2016: the dynamics of their equations 5-9, with the mass of each parameter from a running mean of
squared gradients that is learned in the burn-in and then frozen (scale adaptation, section 4.1). With a few hundred
observations the gradient is over all of them, so that no gradient noise has to be subtracted; instead of one long chain many short
ones run at once, each from its own draw of the prior that a descent has brought near the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ...strategy import check_integer
from ..rows import Rows
from .linear import LinearModel, Weights
from .networks import Inputs, Loss, Shape, descend, gradient, seeded
from .posterior_model import check_finite

_RATE = 0.02
_STEP = 0.02
_FRICTION = 0.05
_NOISE_LEVEL = 1e-3


class Bohamiann(LinearModel):
    """Networks sampled from their posterior, independent for each target; the posterior has the moments of the samples.

    Args:
        rows: The space's rows.
        chains: That run at once, at least 1.
        samples: Of each chain, at least 1; more than one network in all.
        steps: Of the descent, then of the burn-in, then of the sampling, at least 1.
        units: Of each hidden layer, at least 1.
        layers: Hidden layers, at least 1.
        seed: Of all draws, at least 0.
    """

    def __init__(
        self,
        rows: Rows,
        chains: int = 8,
        samples: int = 6,
        steps: int = 150,
        units: int = 24,
        layers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._chains = check_integer(chains, "chains", low=1)
        self._samples = check_integer(samples, "samples", low=1 if chains > 1 else 2)
        self._steps = check_integer(steps, "steps", low=1)
        self._seed = check_integer(seed, "seed", low=0)
        self._inputs = Inputs(rows)
        hidden = (check_integer(units, "units", low=1),) * check_integer(layers, "layers", low=1)
        self._shape = Shape(self._inputs.width, self._inputs.active, hidden)
        self._X = torch.empty(0, rows.d, dtype=torch.float64)
        self._theta = torch.empty(0)
        self._targets: tuple[int, ...] = ()

    def fit(
        self,
        X: Tensor,
        Y: Tensor,
        Yvar: Tensor | None = None,  # noqa: ARG002 - the noise is sampled too
        *,
        start: Sequence[Sequence[float]] = (),  # noqa: ARG002 - chains start from the prior
        refit: bool = True,  # noqa: ARG002
    ) -> None:
        """Learn from observations; see `Surrogate.fit`.

        Raises:
            RuntimeError: The targets are not finite, or a chain left the finite numbers.
        """
        check_finite(Y, "networks")
        m = Y.shape[1]
        generator = seeded(self._seed)
        drawn = self._shape.draw(self._chains * m, generator)
        start_noise = torch.full((len(drawn), 1), -2.0, dtype=torch.float64)
        energy = self._energy(self._inputs(X).float(), Y.T.repeat_interleave(self._chains, dim=0).float())
        n = len(Y)
        theta = descend(
            lambda theta: energy(theta) / n,
            torch.cat([start_noise, drawn], dim=1).float(),
            steps=self._steps,
            rate=_RATE,
        )
        least = torch.cat([torch.tensor([0.5 * n]), self._shape.spread.float().square().reciprocal()])
        found = sample(energy, theta, least=least, steps=self._steps, samples=self._samples, generator=generator)
        if not bool(torch.isfinite(found).all()):
            raise RuntimeError("A chain of the Bayesian networks left the finite numbers.")
        networks = found[..., 1:].to(torch.float64).reshape(self._samples, m, self._chains, -1)
        self._theta = networks.transpose(0, 1).reshape(m, self._samples * self._chains, -1)
        self._targets = tuple(range(m))
        self._weights = Weights.standard(m, self._theta.shape[1])
        self._X = X

    def _energy(self, inputs: Tensor, Y: Tensor) -> Loss:
        """Return the negative log posterior of noise (log variance) and parameters, a `k`-dim function of `k x (1 + P)`."""
        spread = self._shape.spread.float()
        n = Y.shape[1]

        def energy(theta: Tensor) -> Tensor:
            log_noise, parameters = theta[:, 0], theta[:, 1:]
            output = self._shape.units_and_output(parameters, inputs)[1]
            fit = 0.5 * (output - Y).square().sum(dim=1) * torch.exp(-log_noise) + 0.5 * n * log_noise
            prior = 0.5 * (parameters / spread).square().sum(dim=1)
            return fit + prior + 0.5 * (log_noise - math.log(_NOISE_LEVEL)).square() / 4.0

        return energy

    @property
    def hyperparameters(self) -> list[list[float]]:
        """Nothing, per target: the chains run anew."""
        return [[] for _ in self._targets]

    def _linear(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and features; see `LinearModel`. The features are the samples' deviations from their mean."""
        chosen = list(self._targets)
        theta = self._theta[chosen]
        m, k = theta.shape[:2]
        output = self._shape.units_and_output(theta.reshape(m * k, -1), self._inputs(X))[1].reshape(m, k, len(X))
        mean = output.mean(dim=1)
        return mean, (output - mean[:, None]).transpose(1, 2) / math.sqrt(k)

    def _copy(self) -> Self:
        other = type(self).__new__(type(self))
        torch.nn.Module.__init__(other)
        other.__dict__.update({name: value for name, value in self.__dict__.items() if name not in other.__dict__})
        return other


def sample(
    energy: Loss,
    theta: Tensor,
    *,
    least: Tensor,
    steps: int,
    samples: int,
    generator: torch.Generator,
    size: float = _STEP,
) -> Tensor:
    """Sample densities proportional to ``exp(-energy)`` by scale-adapted SGHMC.

    Args:
        energy: Maps `k x P` points to a `k`-dim Tensor.
        theta: Where the `k` chains start, `k x P`-dim.
        least: The least curvature of each coordinate, `P`-dim, positive: that of the prior.
        steps: Of the burn-in, in which the scales are learned, and again of the sampling.
        samples: How many points of each chain are returned, evenly spaced.
        generator: Of the noise.
        size: Of a step, in units of the learned scales, above 0.

    Returns:
        A `samples x k x P`-dim Tensor.
    """
    squares = torch.maximum(gradient(energy, theta).square(), least)
    velocity = torch.zeros_like(theta)
    every = max(1, steps // samples)
    found = []
    for step in range(steps + every * samples):
        slope = gradient(energy, theta)
        if step < steps:
            squares = torch.lerp(squares, slope * slope, 0.02)
        scale = size**2 * torch.maximum(squares, least).rsqrt()  # the squared step over the mass
        noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype)
        velocity = (1.0 - _FRICTION) * velocity - scale * slope + (2.0 * _FRICTION * scale).sqrt() * noise
        theta = theta + velocity
        if step >= steps and (step - steps + 1) % every == 0:
            found.append(theta)
    return torch.stack(found)
