"""What a worker and the processes beside it share for one task. It knows nothing of HTTP."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StaleAttemptError
from .messages import FailureMessage, ProgressMessage, ResultMessage, TaskMessage

URL_VARIABLE = "OMNIFORGE_SIDECAR_URL"
TOKEN_VARIABLE = "OMNIFORGE_SIDECAR_TOKEN"  # noqa: S105  # the name of a variable

OnProgress = Callable[[int, dict[str, float]], bool]
Outcome = ResultMessage | FailureMessage

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpooledModel:
    """A model file that has arrived whole.

    Args:
        path: Where it lies.
        sha256: Its digest, in hexadecimal.
        size_bytes: Its size.
    """

    path: Path
    sha256: str
    size_bytes: int


class Session:
    """One task, from the moment a worker offers it until the worker closes it. Its methods may be called from any thread.

    Args:
        task: What is to be done.
        url: Where the sidecar listens.
        on_progress: Called with every step and its metrics, one at a time; returns whether the training should stop.
        spool_dir: Where the model is kept; a temporary folder that :meth:`close` removes when ``None``.
        on_close: Called when it is closed.
    """

    def __init__(
        self,
        task: TaskMessage,
        *,
        url: str,
        on_progress: OnProgress,
        spool_dir: Path | None = None,
        on_close: Callable[[Session], None] | None = None,
    ) -> None:
        self.task = task
        self.url = url
        self.token = secrets.token_urlsafe(32)
        self._on_progress = on_progress
        self._on_close = on_close
        self._owns_spool = spool_dir is None
        self._spool_dir = spool_dir
        self._lock = threading.Lock()
        self._progress_lock = (
            threading.Lock()
        )  # of its own: the callback may take long, and others must not wait for it
        self._last: tuple[ProgressMessage, bool] | None = None
        self._outcome: Outcome | None = None
        self._model: SpooledModel | None = None
        self._deployments: dict[tuple[str, str], dict[str, Any]] = {}
        self._closed = False

    @property
    def outcome(self) -> Outcome | None:
        """The result or the failure, once there is one."""
        return self._outcome

    @property
    def model(self) -> SpooledModel | None:
        """The model that arrived last."""
        return self._model

    @property
    def model_path(self) -> Path | None:
        """Where the model lies, once it has arrived."""
        return self._model.path if self._model is not None else None

    @property
    def deployments(self) -> list[dict[str, Any]]:
        """The deployment reports in the order of their arrival, the last one of each device and runtime."""
        with self._lock:
            return list(self._deployments.values())

    @property
    def spool_dir(self) -> Path:
        """The folder that the model goes to."""
        with self._lock:
            if self._spool_dir is None:
                self._spool_dir = Path(tempfile.mkdtemp(prefix="omniforge-sidecar-"))
            self._spool_dir.mkdir(parents=True, exist_ok=True)
            return self._spool_dir

    def environment(self) -> dict[str, str]:
        """Return the variables from which ``SidecarClient.from_environment`` finds this session."""
        return {URL_VARIABLE: self.url, TOKEN_VARIABLE: self.token}

    def progress(self, message: ProgressMessage) -> bool:
        """Hand progress on and return whether to stop; a message that was repeated is not handed on again.

        Raises:
            StaleAttemptError: The task has an outcome already.
        """
        with self._progress_lock:
            self._refuse_after_outcome("progress")
            # By the text, because a NaN is not equal to itself.
            if self._last is not None and self._last[0].model_dump_json() == message.model_dump_json():
                return self._last[1]
            stop = bool(self._on_progress(message.step, dict(message.metrics)))
            self._last = (message, stop)
            return stop

    def finish(self, outcome: Outcome) -> bool:
        """Take the outcome; return whether it is the one that was taken before.

        Raises:
            StaleAttemptError: It is of another attempt, or differs from the outcome that was taken before.
        """
        with self._lock:
            if outcome.attempt != self.task.attempt:
                raise StaleAttemptError(
                    f"Attempt {outcome.attempt} of task {self.task.task} is reported; attempt {self.task.attempt} is current."
                )
            if self._outcome == outcome:
                return True
            self._refuse_after_outcome("other outcome")
            self._outcome = outcome
            return False

    def keep_model(self, model: SpooledModel) -> None:
        """Take a model that has arrived whole.

        Raises:
            StaleAttemptError: The task has an outcome already: the worker may be using the model.
        """
        with self._lock:
            self.refuse_model()
            previous, self._model = self._model, model
        if previous is not None and previous.path != model.path:
            previous.path.unlink(missing_ok=True)

    def refuse_model(self) -> None:
        """Raise if a model is no longer wanted.

        Raises:
            StaleAttemptError: The task has an outcome and this is not a repetition.
        """
        self._refuse_after_outcome("model")

    def keep_deployment(self, report: Mapping[str, Any]) -> None:
        """Take a deployment report; one of the same device and runtime is replaced."""
        with self._lock:
            self._deployments[str(report["device"]), str(report.get("runtime", ""))] = dict(report)

    def close(self) -> None:
        """End the session: its token is worth nothing any more, a temporary spool folder is removed."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._on_close is not None:
            self._on_close(self)
        if self._owns_spool and self._spool_dir is not None:
            shutil.rmtree(self._spool_dir, ignore_errors=True)

    def _refuse_after_outcome(self, what: str) -> None:
        if self._outcome is not None:
            raise StaleAttemptError(f"Task {self.task.task} has an outcome already; it takes no {what} any more.")
