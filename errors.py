"""The failures that Omniforge raises, by what can be done about them.

::

    OmniForgeError(Exception)                 the root; .message, .hint, .retryable, .exit_code
    ├── InputError(ValueError)                what was given is wrong; exit code 2, a retry cannot help
    │   ├── SpaceError                        a search space or a configuration
    │   ├── DataError                         a data file, a column, a target
    │   ├── SpecError                         an objective, a budget, a setting of a job
    │   ├── BundleError                       an estimator bundle
    │   └── UnknownNameError(LookupError)     a name that nothing answers to; carries the nearest matches
    ├── StoreError(RuntimeError)              the record of work
    │   ├── StoreUnavailableError(ConnectionError)   does not answer; a retry can help
    │   ├── StaleAttemptError                 a report by someone who no longer holds the task
    │   └── RecordNotFoundError(LookupError)  no such job, task or worker; exit code 2
    ├── LaunchError(RuntimeError)             a workload could not be started
    ├── ExportError(RuntimeError)             a model could not be exported, or does not agree with its source
    ├── MeasurementError(RuntimeError)        a device or a runtime could not measure a model
    ├── MissingDependencyError(ImportError)   an extra is not installed; the hint is the command that installs it
    ├── ComponentError(RuntimeError)          a component of a pipeline failed; names it, carries its traceback
    ├── JobFailedError(RuntimeError)          a job ended without a model
    ├── EstimatorError(RuntimeError)          an estimator's code failed; carries its cause (estimators.causes)
    ├── SidecarError(RuntimeError)            the sidecar does not answer or refuses (sidecar.client)
    └── DeviceError(RuntimeError)             a device refuses; no model is to blame (sidecar.device)
        └── DeviceLostError(ConnectionError)  does not answer; a retry can help

Only entry points (the command line, an HTTP service, a pipeline component) turn these into exit codes or statuses.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OmniForgeError(Exception):
    """Say what went wrong and how to mend it.

    Args:
        message: One sentence that names the field, the value and what was expected.
        hint: What to do about it; printed on a line of its own.
    """

    retryable = False
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class InputError(OmniForgeError, ValueError):
    """What the user gave is wrong; the same input will fail again."""

    exit_code = 2


class SpaceError(InputError):
    """A search space does not parse, or a configuration does not belong to it."""


class DataError(InputError):
    """A data file, a column or a target cannot be used."""


class SpecError(InputError):
    """A setting of a job (objective, budget, workers, strategy) is wrong."""


class BundleError(InputError):
    """An estimator bundle is incomplete or does not load."""


class UnknownNameError(InputError, LookupError):
    """A name that nothing answers to.

    Args:
        kind: What was looked up, such as ``"strategy"``.
        name: The name that was asked for.
        known: The names that exist; the nearest become the hint.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str] = ()) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if near:
            hint = f"Did you mean {' or '.join(repr(match) for match in near)}?"
        elif names:
            shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            hint = f"Known: {shown}."
        else:
            hint = None
        super().__init__(f"There is no {kind} named {name!r}.", hint=hint)
        self.kind = kind
        self.name = name
        self.nearest = tuple(near)


class StoreError(OmniForgeError, RuntimeError):
    """The record of work refused or failed."""


class StoreUnavailableError(StoreError, ConnectionError):
    """The store does not answer; the same call can succeed later."""

    retryable = True
    exit_code = 2


class StaleAttemptError(StoreError):
    """A task was reported by someone who no longer holds its current attempt."""


class RecordNotFoundError(StoreError, LookupError):
    """No such job, task, worker or model version."""

    exit_code = 2


class LaunchError(OmniForgeError, RuntimeError):
    """A workload could not be started."""

    retryable = True


class ExportError(OmniForgeError, RuntimeError):
    """A model could not be exported, or its export does not agree with it."""


class MeasurementError(OmniForgeError, RuntimeError):
    """A runtime or a device could not measure a model."""

    retryable = True


class MissingDependencyError(OmniForgeError, ImportError):
    """An optional dependency is not installed; the hint is the command that installs it."""


class ComponentError(OmniForgeError, RuntimeError):
    """A component of a pipeline failed.

    Args:
        component: The name of the failed component in the pipeline.
        message: What it raised, in one line.
        details: The traceback, as text.
    """

    def __init__(self, component: str, message: str, *, details: str = "", hint: str | None = None) -> None:
        super().__init__(f"Component {component!r} failed: {message}", hint=hint)
        self.component = component
        self.details = details


class JobFailedError(OmniForgeError, RuntimeError):
    """A job ended without a model."""
