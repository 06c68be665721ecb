"""When the next candidates are generated and which tasks are given up on. Pure: ages and durations come in as numbers.

A policy answers two questions about the tasks that are open (not finished):

- *advance*: are few enough open that the strategy should be asked again? At most ``overlap`` of them may still be
  open; the strategy sees those as pending.
- *stragglers*: which running tasks have used up their waiting time? They become ``timeout`` (section 2.1.1).
"""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ...registry import Registry


@dataclass(frozen=True)
class OpenTask:
    """A task that is not finished.

    Attributes:
        id: The task.
        running_s: Seconds since it started; ``None`` while no worker runs it.
        expected_s: The cost model's upper quantile of its duration; ``None`` without a model.
    """

    id: int
    running_s: float | None
    expected_s: float | None = None


@dataclass(frozen=True)
class Decision:
    """What to do now, and when to look again at the latest (seconds; ``inf``: when something changes)."""

    advance: bool
    stragglers: tuple[int, ...] = ()
    check_again_s: float = math.inf


class WaitPolicy(ABC):
    """Decide from the open tasks and the durations of the finished ones."""

    @abstractmethod
    def decide(self, tasks: Sequence[OpenTask], *, durations_s: Sequence[float], overlap: int) -> Decision:
        """Return the decision.

        Args:
            tasks: The open tasks.
            durations_s: Durations of the succeeded tasks of this search, in seconds.
            overlap: How many tasks may be open when the strategy is asked again.
        """


class Synchronous(WaitPolicy):
    """Wait for every task of the round; nothing is given up."""

    def decide(self, tasks: Sequence[OpenTask], *, durations_s: Sequence[float], overlap: int) -> Decision:  # noqa: ARG002
        """Advance when nothing is open."""
        return Decision(advance=not tasks)


class Asynchronous(WaitPolicy):
    """Ask as soon as a worker would run dry; nothing is given up."""

    def decide(self, tasks: Sequence[OpenTask], *, durations_s: Sequence[float], overlap: int) -> Decision:  # noqa: ARG002
        """Advance when at most ``overlap`` tasks are open."""
        return Decision(advance=len(tasks) <= overlap)


class _Limited(WaitPolicy):
    """Ask when a worker would run dry or the rest has waited too long."""

    @abstractmethod
    def limit_s(self, task: OpenTask, durations_s: Sequence[float]) -> float:
        """Return how long ``task`` may run, in seconds."""

    def decide(self, tasks: Sequence[OpenTask], *, durations_s: Sequence[float], overlap: int) -> Decision:
        """Give up what has run longer than its limit; advance when at most ``overlap`` of the others are open."""
        left = {t.id: self.limit_s(t, durations_s) - t.running_s for t in tasks if t.running_s is not None}
        stragglers = tuple(task_id for task_id, rest in left.items() if rest <= 0)
        waiting = [rest for rest in left.values() if rest > 0]
        return Decision(
            advance=len(tasks) - len(stragglers) <= overlap,
            stragglers=stragglers,
            check_again_s=min(waiting, default=math.inf),
        )


class Adaptive(_Limited):
    """Limit every task to the mean plus ``spreads`` standard deviations of the completed durations.

    Args:
        spreads: How many standard deviations above the mean are still waited for.
        minimum_s: Never give up on a task sooner than this; protects slow algorithms among very fast ones.
        enough: With fewer completed tasks there is no limit.
    """

    def __init__(self, *, spreads: float = 4.0, minimum_s: float = 15.0, enough: int = 4) -> None:
        self.spreads = spreads
        self.minimum_s = minimum_s
        self.enough = enough

    def limit_s(self, task: OpenTask, durations_s: Sequence[float]) -> float:  # noqa: ARG002
        """Return the same limit for every task."""
        if len(durations_s) < self.enough:
            return math.inf
        mean = statistics.fmean(durations_s)
        return max(self.minimum_s, 2 * mean, mean + self.spreads * statistics.pstdev(durations_s))


class CostQuantile(Adaptive):
    """Limit a task to ``slack`` times its own expected upper quantile; without a model, as :class:`Adaptive`."""

    def __init__(self, *, slack: float = 1.5, minimum_s: float = 15.0) -> None:
        super().__init__(minimum_s=minimum_s)
        self.slack = slack

    def limit_s(self, task: OpenTask, durations_s: Sequence[float]) -> float:
        """Return the limit of this task."""
        if task.expected_s is None:
            return super().limit_s(task, durations_s)
        return max(self.minimum_s, self.slack * task.expected_s)


POLICIES: Registry[type[WaitPolicy]] = Registry(
    "wait policy",
    {
        "sync": f"{__name__}:Synchronous",
        "adaptive": f"{__name__}:Adaptive",
        "quantile": f"{__name__}:CostQuantile",
        "async": f"{__name__}:Asynchronous",
    },
)
