"""The Python client: run, watch, resume and cancel jobs, and predict with their models. The command line is made of it."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import OmniForgeError, SpecError, StaleAttemptError, StoreError
from .settings import Settings, load_settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from .components.spec import JobSpec
    from .models import ModelVersion
    from .search import SearchSpace
    from .store import JobRecord, Store

log = logging.getLogger(__name__)

Document = dict[str, Any]
WATCH_INTERVAL_S = 0.4
RESUMABLE = ("queued", "running", "failed", "cancelled")


class Client:
    """Everything that a user does with jobs and models, on this machine.

    Args:
        settings: Where things live; read from the environment when not given.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()

    # -- jobs

    def run(
        self, spec: JobSpec | Mapping[str, Any], *, on_update: Callable[[Document], None] | None = None
    ) -> Document:
        """Run a job to its end and return its document (see ``docs/json.md``).

        Args:
            spec: What is asked for; a mapping is checked as :class:`JobSpec` is.
            on_update: Called with the job's document about twice a second, from another thread.

        Raises:
            InputError: What was given cannot be used; nothing has been written then.
            JobFailedError: The job ended without a model.
            ComponentError: A component failed; carries its traceback.
        """
        from .components.formatter.formatter import check
        from .components.spec import JobSpec
        from .components.start.start import create_job

        checked = spec if isinstance(spec, JobSpec) else JobSpec.parse(spec)
        with self.store() as store:
            record = create_job(store, check(checked, self.settings).spec)
        return self._drive(record, on_update)

    def resume(self, job_id: str, *, on_update: Callable[[Document], None] | None = None) -> Document:
        """Go on with a job that was interrupted, cancelled or failed; finished tasks are kept.

        Raises:
            RecordNotFoundError: There is no such job.
            SpecError: The job has succeeded, or another process is running it.
        """
        with self.store() as store:
            record = store.jobs.get(job_id)
        if record.state not in RESUMABLE:
            raise SpecError(f"Job {job_id} has {record.state}; there is nothing to resume.")
        return self._drive(record, on_update)

    def jobs(self, *, limit: int | None = None) -> list[Document]:
        """Return the jobs, newest first, each as ``{id, name, kind, state, created_at, best, tasks}``."""
        from .components.document import job_summary

        with self.store() as store:
            return [job_summary(store, record) for record in store.jobs.list(limit=limit)]

    def show(self, job_id: str, *, top: int | None = None) -> Document:
        """Return one job's whole document.

        Raises:
            RecordNotFoundError: There is no such job; with near ids.
        """
        from .components.document import job_document

        with self.store() as store:
            return job_document(store, store.jobs.get(job_id), top=top)

    def cancel(self, job_id: str) -> Document:
        """Cancel a job: what runs is ended, what was found is kept, and it can be resumed.

        Raises:
            SpecError: The job has ended already.
        """
        with self.store() as store:
            record = store.jobs.get(job_id)
            if record.state in ("succeeded", "failed", "cancelled"):
                raise SpecError(f"Job {job_id} has {record.state} already; there is nothing to cancel.")
            store.jobs.request_cancel(job_id)
        return self.show(job_id)

    def edit_space(
        self,
        job_id: str,
        space: SearchSpace | None = None,
        *,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        removed: Sequence[str] = (),
        preview: bool = False,
    ) -> Document:
        """Change a job's search space while it lives; what was found is kept, and running tasks finish and count.

        Args:
            job_id: A job that has a plan and has not succeeded.
            space: The new space, such as the advisor suggests.
            changes: Or the keys to change, by the path of the parameter: ``{"rate": {"range": [0.1, 0.9]}}``.
            removed: Parameters to take away: they keep their defaults.
            preview: Say what it would do, and do nothing.

        Returns:
            ``{job, version, hash, changed, changes, kept, outside}``; see ``docs/json.md``.

        Raises:
            RecordNotFoundError: There is no such job; with near ids.
            SpaceError: The result is not a space, or has a parameter that the estimator does not take.
            SpecError: The job has no plan yet, or its strategy cannot go on in that space.
            StoreError: The job has succeeded, or its space was changed meanwhile.
        """
        from .components import live_space

        with self.store() as store:
            job = store.jobs.get(job_id)
            edit = live_space.preview(store, job, space=space, changes=changes, removed=removed)
            if not preview:
                live_space.apply(store, edit)
        return edit.to_dict()

    def watch(self, job_id: str, *, interval_s: float = WATCH_INTERVAL_S) -> Iterator[Document]:
        """Yield a job's document whenever something changed, until it has ended."""
        from .components.document import job_document

        with self.store() as store:
            seen: tuple[Any, ...] | None = None
            while True:
                record = store.jobs.get(job_id)
                counts = store.broker.counts(job_id)
                now = (record.state, tuple(sorted(counts.items())))
                if now != seen:
                    seen = now
                    yield job_document(store, record)
                if record.state not in ("queued", "running"):
                    return
                store.broker.wait(job_id, lambda new, old=counts: new != old, interval_s)  # type: ignore[misc]

    # -- models

    def predict(self, model: str, frame: pd.DataFrame | np.ndarray[Any, Any]) -> pd.DataFrame:
        """Predict with a registered model.

        Args:
            model: ``family``, ``family@alias`` or ``family/version``.
            frame: The columns that the model was trained on; others are ignored. Of images an array ``n x ...``.

        Returns:
            The column ``prediction`` and, for classes, ``proba_<class>``; one row a row of ``frame``.
        """
        from .models import predict

        return predict(self.model(model).path, frame)

    def model(self, name: str) -> ModelVersion:
        """Return a registered model version.

        Raises:
            RecordNotFoundError: There is no such family, alias or version; with near names.
        """
        from .components.registry import model_registry

        return model_registry(self.settings).resolve(name)

    # -- inside

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the record of work."""
        from .store import open_store

        with open_store(self.settings.resolved_store_url) as store:
            yield store

    def _drive(self, record: JobRecord, on_update: Callable[[Document], None] | None) -> Document:
        from .pipelines.run import run_job

        with _only_runner(self.settings.job_path(record.id), record.id), self.store() as store:
            if record.state != "queued":
                store.jobs.start(record.id)  # before the watcher looks: it would stop a job that is still cancelled
                _take_back(store, record.id)
            stop = threading.Event()
            watcher = threading.Thread(target=self._report, args=(record.id, stop, on_update), daemon=True)
            watcher.start()
            try:
                run_job(record, self.settings, stop=stop)
            except KeyboardInterrupt as e:
                _end(store, record.id, "cancelled", error="interrupted")
                e.add_note(f"What was found is kept. Go on with: omniforge jobs resume {record.id}")
                raise
            except OmniForgeError as e:
                cancelled = store.jobs.get(record.id).state == "cancelled"
                _end(store, record.id, "failed", error=e.message)
                if not cancelled:
                    raise
            else:
                _take_back(store, record.id)  # a cancelled job's workers were stopped in the middle of their tasks
            finally:
                stop.set()
                watcher.join(timeout=5)
        document = self.show(record.id)
        if on_update is not None:
            on_update(document)
        return document

    def _report(self, job_id: str, stop: threading.Event, on_update: Callable[[Document], None] | None) -> None:
        """Pass the job's document on while it runs, and stop the run when someone cancels the job."""
        from .components.document import job_document

        with self.store() as store:
            while not stop.wait(WATCH_INTERVAL_S):
                record = store.jobs.get(job_id)
                if record.state == "cancelled":
                    stop.set()
                if on_update is not None:
                    on_update(job_document(store, record, top=5))


def _take_back(store: Store, job_id: str) -> None:
    """Put back what an earlier run of the job held; nothing else can run it now."""
    for task in store.broker.tasks(job_id, states=("reserved", "running")):
        with suppress(StaleAttemptError):  # its lease has just expired: it is back
            store.broker.release(task, cause="interrupted", message="the run was interrupted")


def _end(store: Store, job_id: str, state: str, *, error: str) -> None:
    """Give back what the run held, and end the job; what cannot be saved now is made good when the job is resumed."""
    try:
        _take_back(store, job_id)
        store.jobs.finish(job_id, state, error=error)
    except StoreError as e:
        log.warning("That job %s has %s was not recorded: %s", job_id, state, e.message)


@contextmanager
def _only_runner(folder: Path, job_id: str) -> Iterator[None]:
    """Hold the job's lock, so that one process runs it; the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise SpecError(
                f"Job {job_id} is being run by process {holder}.", hint=f"Watch it: omniforge jobs watch {job_id}"
            ) from e
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)
