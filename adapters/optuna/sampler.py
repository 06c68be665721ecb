"""The sampler: Optuna's study in, its parameters out; all state is in the study. Not the search, which a strategy does."""

from __future__ import annotations

import secrets
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from ...errors import SpecError
from ...search.space import SearchSpace
from ...search.strategy import check_integer
from ..following import Choice, Follower, derived_seed
from .given import view_of
from .inferred import InferredSpace
from .trials import metrics_of, propose, proposed
from .view import View

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_MOST_STUDIES = 8
_TRIES = 3
"""How often it asks anew when another process, which knew the same, proposed the same at the same time."""


class OmniforgeSampler(BaseSampler):  # type: ignore[misc]  # optuna is not typed here
    """Let a strategy of Omniforge choose the parameters of an Optuna study.

    ::

        study = optuna.create_study(sampler=OmniforgeSampler(seed=0))
        study.optimize(objective, n_trials=100)

    Without ``space`` the first trial is drawn at random and shows which parameters there are; later ones show which of them
    depend on which. Ranges may change and parameters may be added while the study lives. A parameter that could not be
    foreseen is drawn uniformly.

    Several objectives, constraints (``trial.set_constraint``), failed and pruned trials (see `Metrics.reward`), enqueued
    ones, threads (``n_jobs``) and several processes on one storage are all learned from; trials that run are believed to
    return what the model predicts. The same seed gives the same trials where they run one after another.

    Args:
        strategy: A name such as ``"auto"``, or a mapping from one name to its options, ``{"bo": {"acquisition": "logei"}}``.
        space: A `SearchSpace`, for an objective that asks with `suggest` (conditions, rules and cells are known from the
            first trial on); or Optuna's distributions by name; or None.
        seed: At least 0; None draws one.
        n_startup_trials: How many trials finish before the strategy is asked; until then all is drawn uniformly. The
            strategies have their own initial design, so 0 is best.
        constraints_func: As other samplers have it: returns the constraints of a completed trial, feasible when at most 0.

    Raises:
        UnknownNameError: No strategy has that name.
        SpecError: An option is unknown or out of range, or ``space`` is something else.
    """

    def __init__(
        self,
        strategy: Choice = "auto",
        *,
        space: SearchSpace | Mapping[str, BaseDistribution] | None = None,
        seed: int | None = None,
        n_startup_trials: int = 0,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
    ) -> None:
        _check_space(space)
        self._choice = strategy
        self._space = space
        self._seed = secrets.randbits(32) if seed is None else check_integer(seed, "seed", low=0)
        self._n_startup_trials = check_integer(n_startup_trials, "n_startup_trials", low=0)
        self._constraints_func = constraints_func
        Follower(strategy, seed=0)
        self._start()

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._studies: dict[str, _StudyMemory] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the study has anyway, so that the sampler can be pickled and copied."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_studies")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back `__getstate__`."""
        self.__dict__.update(state)
        self._start()

    def reseed_rng(self) -> None:
        """Do nothing: what is drawn depends on the seed and on the trial's number, which no two trials share."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the distributions of all parameters that are known; which of them are active is decided together."""
        with self._lock:
            trials = _others(study, trial)
            if sum(t.state.is_finished() for t in trials) < self._n_startup_trials:
                return {}
            view = self._memory(study).view(trials)
            return {} if view is None else view.distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values of the active parameters among those in ``search_space``."""
        if not search_space:
            return {}
        with self._lock:
            memory = self._memory(study)
            trials = _others(study, trial)
            for _ in range(_TRIES):
                view = memory.view(trials, search_space)
                if view is None:
                    return {}
                asked = memory.ask(study, trial, trials=trials, view=view)
                params = {name: value for name, value in asked.items() if name in search_space}
                propose(study, trial, params)
                trials = _others(study, trial)
                if not any(other.state == TrialState.RUNNING and proposed(other) == params for other in trials):
                    break
        return params

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter uniformly; the same one for the same seed, trial and name."""
        seed = derived_seed(self._seed, trial.number, zlib.crc32(param_name.encode()))
        return RandomSampler(seed=seed).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,  # noqa: ARG002 - Optuna's signature
    ) -> None:
        """Record what ``constraints_func`` says of a completed trial."""
        if self._constraints_func is not None and state == TrialState.COMPLETE:
            held = [float(value) for value in self._constraints_func(trial)]
            study._storage.set_trial_system_attr(trial._trial_id, "constraints", held)

    def _memory(self, study: optuna.Study) -> _StudyMemory:
        """Return what is remembered of a study; of the last few of them."""
        name = f"{study.study_name}:{study._study_id}"
        memory = self._studies.pop(name, None)
        if memory is None:
            memory = _StudyMemory(Follower(self._choice, seed=self._seed), self._space)
        self._studies[name] = memory
        while len(self._studies) > _MOST_STUDIES:
            self._studies.pop(next(iter(self._studies)))
        return memory


def _check_space(space: object) -> None:
    listed = isinstance(space, Mapping) and all(isinstance(value, BaseDistribution) for value in space.values())
    if not (space is None or isinstance(space, SearchSpace) or listed):
        hint = "Give a SearchSpace, a mapping from names to Optuna's distributions, or nothing."
        raise SpecError(f"space is {space!r}, expected a search space.", hint=hint)


class _StudyMemory:
    """What a sampler keeps of one study, all of which its trials give again."""

    def __init__(self, follower: Follower, space: SearchSpace | Mapping[str, BaseDistribution] | None) -> None:
        self._follower = follower
        self._given = view_of(space) if isinstance(space, SearchSpace) else None
        self._inferred = InferredSpace(None if isinstance(space, SearchSpace) else space)

    def view(self, trials: Sequence[FrozenTrial], asked: Mapping[str, BaseDistribution] | None = None) -> View | None:
        """Return the view of what is searched; see `InferredSpace.view`."""
        return self._given if self._given is not None else self._inferred.view(trials, asked)

    def ask(
        self, study: optuna.Study, trial: FrozenTrial, *, trials: Sequence[FrozenTrial], view: View
    ) -> dict[str, Any]:
        """Learn from the other trials and return the parameters for this one."""
        metrics = metrics_of(study, trials)
        follower = self._follower
        follower.bind(view.space, metrics.objectives, turn=trial.number)
        new = [t for t in trials if t.state in _FINISHED and not follower.knows(t.number)]
        finished = [t.values[0] for t in trials if t.state == TrialState.COMPLETE]
        rewards = {}
        for other in new:
            config = view.config(other.params, complete=other.state == TrialState.COMPLETE)
            rewards[other.number] = None if config is None else metrics.reward(other, config, finished=finished)
        follower.learn(rewards)
        running = (view.config(proposed(t), complete=False) for t in trials if t.state == TrialState.RUNNING)
        pending = [config for config in running if config is not None]
        (config,) = follower.ask(1, pending=pending, turn=trial.number)
        return view.params(config)


def _others(study: optuna.Study, trial: FrozenTrial) -> list[FrozenTrial]:
    return [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
