"""What a strategy proposes and what it gets back: values without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SUCCEEDED = "succeeded"
CANCELLED = "cancelled"
STATES = (SUCCEEDED, "failed", "timeout", CANCELLED)


@dataclass(frozen=True)
class Candidate:
    """A configuration to evaluate.

    Args:
        config: The path of each active parameter to its JSON value.
        fidelity: What is spent on it, by name (epochs, trees, rows), or None for the estimator's full fidelity.
        id: The store's id of its task, when there is one.
    """

    config: dict[str, Any]
    fidelity: Mapping[str, float] | None = None
    id: int | None = None


@dataclass(frozen=True)
class Reward:
    """What came of a candidate.

    Args:
        candidate: What was evaluated.
        metrics: Its measurements by `Objective.key`; may be empty unless it succeeded.
        state: ``succeeded``, ``failed``, ``timeout`` or ``cancelled`` (nobody's fault: it says nothing and may come again).
        cause: Why it did not succeed, such as ``out_of_memory``.
        duration_s: How long it took in seconds.

    Raises:
        ValueError: The state is another word.
    """

    candidate: Candidate
    metrics: Mapping[str, float] = field(default_factory=dict)
    state: str = SUCCEEDED
    cause: str | None = None
    duration_s: float | None = None

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"The state of a reward is {self.state!r}, expected one of {', '.join(STATES)}.")
