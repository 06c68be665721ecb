"""Omniforge as a sampler of Optuna: ``optuna.create_study(sampler=OmniforgeSampler())``. Needs ``omniforge[optuna]``."""

from __future__ import annotations

from ...errors import MissingDependencyError

try:
    import optuna as _optuna  # noqa: F401
except ImportError as e:
    raise MissingDependencyError(
        "The Optuna sampler needs Optuna, which is not installed.", hint="pip install 'omniforge[optuna]'"
    ) from e

from .given import suggest
from .sampler import OmniforgeSampler

__all__ = ["OmniforgeSampler", "suggest"]
