"""The ``@estimator.wrap`` decorator: what Omniforge does around the methods that a user writes.

Each kind of method is wrapped in its own way (OmniForce, section 3.2.1 and Listing 1); the rest only gets its failures
turned into causes. Wrapping is idempotent, and a wrapped method still works without a context, a bundle or a reporter.
"""

from __future__ import annotations

import functools
import inspect
import logging
import operator
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from ..errors import OmniForgeError, SpaceError
from .causes import EstimatorError, cause_of
from .context import RunContext, current
from .reporting import StopTraining
from .scores import as_scores

Method = TypeVar("Method", bound=Callable[..., Any])

FIXED_ARGUMENTS = ("run_epochs", "data_path", "is_trainer")

_log = logging.getLogger(__name__)


def wrap(method: Method) -> Method:
    """Let Omniforge watch over a method of an estimator.

    - ``__init__``: the arguments are completed with the defaults of the search space, checked against it, recorded in
      ``self.arguments``; ``self.seed``, ``self.threads`` and ``self.save_dir`` are there before the body runs.
    - ``train``: an early stop ends it quietly; ``self.stopped`` says so.
    - ``calculate_score`` and ``run``: the result has to be a finite number or a mapping of them.
    - every method: an exception becomes an :class:`EstimatorError` with its cause, chained to the original.

    Args:
        method: The function, as it stands in the class body.
    """
    if is_wrapped(method):
        return method
    wrapper = _WRAPPERS.get(method.__name__, _wrap_other)(method)
    wrapper.__dict__["wrapped_by_omniforge"] = True
    return wrapper  # type: ignore[return-value]  # functools.wraps keeps the signature


def is_wrapped(method: object) -> bool:
    """Say whether ``method`` went through :func:`wrap`."""
    return bool(getattr(method, "wrapped_by_omniforge", False))


def _wrap_init(method: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        owner = type(self).__name__
        if "arguments" in vars(self):  # a parent's __init__, called from the child's, which was checked already
            with failures_of(owner, "__init__"):
                method(self, *args, **kwargs)
            return
        around = current()
        arguments = _flatten(signature, owner, self, args, kwargs)
        arguments = _check_fixed(arguments, owner) | _check_settings(arguments, owner, around, type(self))
        try:
            signature.bind(self, **arguments)
        except TypeError as e:
            raise SpaceError(
                f"{owner}.__init__: {e}.", hint="Name every parameter of the space in __init__, or accept **model_args."
            ) from e
        _prepare(self, arguments, around)
        with failures_of(owner, "__init__"):
            method(self, **arguments)

    return wrapped


def _wrap_train(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            with failures_of(type(self).__name__, "train"):
                return method(self, *args, **kwargs)
        except StopTraining as stop:
            _log.info("%s", stop)
            self.stopped = True
            return None

    return wrapped


def _wrap_score(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> float | dict[str, float]:
        owner = type(self).__name__
        with failures_of(owner, "calculate_score"):
            result = method(self, *args, **kwargs)
        scores = as_scores(result, metric=metric_of(self), owner=owner, stage="calculate_score")
        return scores if isinstance(result, Mapping) else scores[metric_of(self)]

    return wrapped


def _wrap_run(method: Callable[..., Any]) -> Callable[..., dict[str, float]]:
    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        owner = type(self).__name__
        with failures_of(owner, "run"):
            try:
                result = method(self, *args, **kwargs)
            except StopTraining as stop:  # the loop is in `run` itself: score what there is
                _log.info("%s", stop)
                self.stopped = True
                result = self.calculate_score()
        return as_scores(result, metric=metric_of(self), owner=owner, stage="run")

    return wrapped


def _wrap_other(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        with failures_of(getattr(self, "__name__", type(self).__name__), method.__name__):
            return method(self, *args, **kwargs)

    return wrapped


_WRAPPERS: Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "__init__": _wrap_init,
    "train": _wrap_train,
    "calculate_score": _wrap_score,
    "run": _wrap_run,
}


def metric_of(instance: object) -> str:
    """Return the name that a bare score of this estimator has."""
    return str(getattr(instance, "primary_metric", "score"))


@contextmanager
def failures_of(owner: str, stage: str) -> Iterator[None]:
    """Turn what foreign code raises into an :class:`EstimatorError` that names the class, the method and the cause."""
    try:
        yield
    except (StopTraining, OmniForgeError):
        raise
    except Exception as e:
        text = str(e) or "no message"
        raise EstimatorError(
            f"{owner}.{stage} raised {type(e).__name__}: {text}", cause=cause_of(e), stage=stage
        ) from e


def _flatten(
    signature: inspect.Signature, owner: str, self: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the given arguments by name, those in ``**model_args`` among them."""
    try:
        bound = signature.bind_partial(self, *args, **kwargs)
    except TypeError as e:
        raise SpaceError(
            f"{owner}.__init__: {e}.", hint="Name every parameter of the space in __init__, or accept **model_args."
        ) from e
    arguments: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(value)
        else:
            arguments[name] = value
    return arguments


def _check_fixed(arguments: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Check the three arguments that every estimator has."""
    missing = [name for name in FIXED_ARGUMENTS if name not in arguments]
    if missing:
        raise SpaceError(f"{owner} needs the argument{'s' * (len(missing) > 1)} {', '.join(missing)}.")
    epochs, data_path, is_trainer = (arguments[name] for name in FIXED_ARGUMENTS)
    try:
        count = operator.index(epochs)
    except TypeError:
        count = 0
    if count < 1 or isinstance(epochs, bool):
        raise SpaceError(f"{owner}: run_epochs = {epochs!r}: expected an integer of at least 1.")
    if not isinstance(data_path, str | os.PathLike):
        raise SpaceError(f"{owner}: data_path = {data_path!r}: expected a path.")
    if not isinstance(is_trainer, bool):
        raise SpaceError(f"{owner}: is_trainer = {is_trainer!r}: expected true or false.")
    return {"run_epochs": count, "data_path": os.fspath(data_path), "is_trainer": is_trainer}


def _check_settings(arguments: Mapping[str, Any], owner: str, around: RunContext, cls: type) -> dict[str, Any]:
    """Complete and check what the search chose; without a space it is taken as it is."""
    settings = {name: value for name, value in arguments.items() if name not in FIXED_ARGUMENTS}
    space = around.space or getattr(cls, "search_space", None)
    if space is None:
        return settings
    try:
        return space.complete(settings)
    except SpaceError as e:
        raise SpaceError(f"{owner}: {e.message}", hint=e.hint) from e


def _prepare(instance: Any, arguments: dict[str, Any], around: RunContext) -> None:
    """Set what every estimator has before its own ``__init__`` runs."""
    instance.arguments = MappingProxyType(arguments)
    for name in FIXED_ARGUMENTS:
        setattr(instance, name, arguments[name])
    instance.seed = around.seed or 0
    instance.threads = around.threads
    instance.save_dir = None if around.save_dir is None else str(around.save_dir)
    instance.stopped = False
    if around.seed is not None:
        _seed_libraries(around.seed)


def _seed_libraries(seed: int) -> None:
    """Seed the global generators, of the libraries that are loaded: user code draws from them without saying so."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
