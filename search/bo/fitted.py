"""What a fit of a surrogate leaves to the next one, as values. Without torch, so that a strategy can be loaded without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fitted:
    """What a later fit starts from.

    Args:
        count: The number of observations at the last fit of hyperparameters.
        hyperparameters: What it found, per objective.
        success: The hyperparameters of the model of failures, as `hyperparameters`.
    """

    count: int = 0
    hyperparameters: tuple[tuple[float, ...], ...] = ()
    success: tuple[tuple[float, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "count": self.count,
            "hyperparameters": [list(vector) for vector in self.hyperparameters],
            "success": [list(vector) for vector in self.success],
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Fitted:
        """Invert `to_dict`."""
        vectors = (tuple(tuple(vector) for vector in mapping.get(key, ())) for key in ("hyperparameters", "success"))
        return cls(int(mapping["count"]), *vectors)
