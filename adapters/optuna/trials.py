"""Trials of Optuna as rewards, and the directions of a study as objectives. Not what a trial's parameters mean."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.study import StudyDirection
from optuna.trial import TrialState

from ...search.candidate import SUCCEEDED, Candidate, Reward
from ...search.objective import Objective
from ..following import stopped_early
from ..foreign_names import names_for

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from ...search.space import Config

_PROPOSED = "omniforge:proposed"
_CHUNK = 2000
"""Characters that every database of Optuna takes in one attribute."""


class Metrics:
    """What the trials of a study measure: its values, and its constraints as bounds.

    Args:
        directions: The directions of the study.
        constraints: The names of the constraints that its trials have; a value of at most 0 is feasible.
    """

    def __init__(self, directions: Sequence[StudyDirection], constraints: Iterable[str]) -> None:
        self._signs = [1 if direction == StudyDirection.MAXIMIZE else -1 for direction in directions]
        self._constraints = names_for(f"constraint_{name}" for name in sorted(constraints))

    @property
    def objectives(self) -> list[Objective]:
        """One per value, then one of weight 0 per constraint."""
        values = [Objective(f"value_{i}", "max" if sign > 0 else "min") for i, sign in enumerate(self._signs)]
        return [*values, *(Objective(name, "min", bound=0.0, weight=0.0) for name in self._constraints.values())]

    def reward(self, trial: FrozenTrial, config: Config, *, finished: Sequence[float]) -> Reward:
        """Return what came of a finished trial.

        A pruned one with an intermediate value counts with `stopped_early`, one without as failed. A constraint that it
        does not have is held, as everywhere in Optuna.

        Args:
            trial: A trial that is complete, pruned or failed.
            config: Its configuration.
            finished: The values of the complete trials of a study with one objective.
        """
        values = list(trial.values or ()) if trial.state == TrialState.COMPLETE else []
        if trial.state == TrialState.PRUNED and len(self._signs) == 1 and trial.intermediate_values:
            last = trial.intermediate_values[max(trial.intermediate_values)]
            values = [stopped_early(last, finished, sign=self._signs[0])] if math.isfinite(last) else []
        duration_s = trial.duration.total_seconds() if trial.duration is not None else None
        if not values:
            return Reward(Candidate(config), {}, state="failed", duration_s=duration_s)
        metrics = {f"value_{i}": value for i, value in enumerate(values)}
        held = {f"constraint_{name}": value for name, value in trial.constraints.items()}
        metrics |= {name: held.get(foreign, 0.0) for foreign, name in self._constraints.items()}
        return Reward(Candidate(config), metrics, state=SUCCEEDED, duration_s=duration_s)


def metrics_of(study: optuna.Study, trials: Sequence[FrozenTrial]) -> Metrics:
    """Return what the trials of a study measure."""
    return Metrics(study.directions, {name for trial in trials for name in trial.constraints})


def propose(study: optuna.Study, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
    """Note on a running trial what was proposed for it, for those who ask before it has asked for everything."""
    text = json.dumps(params, default=repr)
    for i in range(0, len(text), _CHUNK):
        study._storage.set_trial_system_attr(trial._trial_id, f"{_PROPOSED}:{i // _CHUNK}", text[i : i + _CHUNK])


def proposed(trial: FrozenTrial) -> dict[str, Any]:
    """Return what was proposed for a running trial, overlaid with what it did ask for."""
    text, i = "", 0
    while (chunk := trial.system_attrs.get(f"{_PROPOSED}:{i}")) is not None:
        text, i = text + chunk, i + 1
    try:
        params: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0] if text else {}  # a longer one may be below it
    except ValueError:  # another process is still writing
        params = {}
    return {**params, **trial.params}
