"""The calls of Katib's suggestion service, as values: messages in, messages out. Not the network; `server` has it."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

from ...errors import SpecError
from .experiment import ExperimentSearch
from .messages import message

MOST_EXPERIMENTS = 32


class SuggestionService:
    """Answer for any number of experiments; the latest `MOST_EXPERIMENTS` of them stay warm.

    What is forgotten, by age or by a restart, is learned again from the trials that every request carries.

    Args:
        answer_within_s: When random candidates take the place of what the strategy has not found yet, in seconds. Katib
            gives up after 60.
    """

    def __init__(self, *, answer_within_s: float = 40.0) -> None:
        self._answer_within_s = answer_within_s
        self._lock = threading.Lock()
        self._searches: OrderedDict[bytes, tuple[threading.Lock, ExperimentSearch]] = OrderedDict()

    def get_suggestions(self, request: Any, *, time_left_s: float | None = None) -> Any:
        """Answer a ``GetSuggestionsRequest``.

        Args:
            request: The message.
            time_left_s: Until the caller gives up, in seconds, when it is known.

        Raises:
            SpecError: The experiment cannot be used.
        """
        count = request.current_request_number or request.request_number
        if count < 0:
            raise SpecError(f"current_request_number is {count}, expected at least 0.")
        lock, search = self._search(request.experiment)
        timeout_s = self._answer_within_s if time_left_s is None else min(self._answer_within_s, 0.7 * time_left_s)
        with lock:
            found = search.suggest(
                count, trials=request.trials, total=request.total_request_number, timeout_s=max(timeout_s, 0.0)
            )
        reply = message("GetSuggestionsReply")()
        for assignments in found:
            added = reply.parameter_assignments.add()
            for name, value in assignments:
                added.assignments.add(name=name, value=value)
        return reply

    def validate_algorithm_settings(self, request: Any) -> Any:
        """Answer a ``ValidateAlgorithmSettingsRequest``.

        Raises:
            SpecError: The parameters, the algorithm, its settings or the objective cannot be used.
        """
        if request.experiment.spec.HasField("nas_config"):
            hint = "Declare the choices as categorical parameters under spec.parameters."
            raise SpecError("The experiment has a nasConfig, which Omniforge does not read.", hint=hint)
        ExperimentSearch(request.experiment).close()
        return message("ValidateAlgorithmSettingsReply")()

    def close(self) -> None:
        """Forget all experiments and end their threads."""
        with self._lock:
            while self._searches:
                self._searches.popitem()[1][1].close()

    def _search(self, experiment: Any) -> tuple[threading.Lock, ExperimentSearch]:
        """Return the search of an experiment, by its name and all that it says of the search."""
        parts = (experiment.spec.parameter_specs, experiment.spec.objective, experiment.spec.algorithm)
        digest = hashlib.sha256(experiment.name.encode())
        for part in parts:
            digest.update(part.SerializeToString(deterministic=True) + b"\0")
        key = digest.digest()
        with self._lock:
            if key not in self._searches:
                self._searches[key] = (threading.Lock(), ExperimentSearch(experiment))
            self._searches.move_to_end(key)
            while len(self._searches) > MOST_EXPERIMENTS:
                self._searches.popitem(last=False)[1][1].close()
            return self._searches[key]
