"""The generators that know no observation: ``uniform``, ``prior`` and ``sobol``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...design import SobolDesign
from ...space.configure import walk
from ...space.domain import Categorical
from ...space.numeric import Numeric
from ..parts import Observed

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ...space import Parameter
    from ..rows import Rows


class Uniform:
    """Draws that ignore priors: every parameter uniform on its scale, from the top of the tree down."""

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:  # noqa: ARG002
        """Return ``count`` rows; see `CandidateGenerator.generate`."""
        space = rows.space

        def choose(parameter: Parameter) -> Any:
            domain = parameter.domain
            if isinstance(domain, Numeric) and domain.prior is not None:
                if domain.count is not None:
                    return domain.point(int(rng.integers(domain.count)))
                return domain.from_unit(rng.random())
            if isinstance(domain, Categorical) and domain.weights is not None:
                return domain.normalize(domain.values[int(rng.integers(len(domain.values)))])
            return domain.sample(rng)

        return rows.encode([space.repair(walk(space, choose)) for _ in range(count)])


class Prior:
    """Draws from the priors and the weights that the space declares, uniform where there are none."""

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:  # noqa: ARG002
        """Return ``count`` rows; see `CandidateGenerator.generate`."""
        return rows.encode(rows.space.sample_many(count, rng))


class SobolDraws:
    """Points of a scrambled Sobol sequence through the priors: evener than draws in a few dimensions."""

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:  # noqa: ARG002
        """Return ``count`` rows; see `CandidateGenerator.generate`."""
        design = SobolDesign(rows.space, seed=int(rng.integers(2**31)))
        return rows.encode([design.config(position) for position in range(count)])
