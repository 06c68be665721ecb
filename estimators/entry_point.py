"""From ``"module:Class"`` of a bundle to a class that can be run (or a function), or an error that says why not."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import traceback
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import BundleError
from .sdk import TaskEstimator
from .wrapping import FIXED_ARGUMENTS, wrap


def load_class(entry_point: str, *, root: Path, bundle: str) -> type:
    """Import what an entry point names: a module in the bundle's folder, else an installed one.

    Args:
        entry_point: ``"module:Class"``.
        root: The bundle's folder. Its modules may import each other relatively (``from .net import Net``).
        bundle: The bundle's name, for messages.

    Raises:
        BundleError: The module does not import (with the real error), or has no such class.
    """
    module_name, _, attribute = entry_point.partition(":")
    module = _import(module_name, root=root, bundle=bundle)
    found = getattr(module, attribute, None)
    if isinstance(found, type):
        return found
    classes = [name for name, value in vars(module).items() if isinstance(value, type)]
    is_what = "is not a class" if found is not None else "does not exist"
    hint = f"Classes of {module_name}: {', '.join(classes)}." if classes else None
    raise BundleError(f"Bundle {bundle!r}: {attribute!r} in module {module_name!r} {is_what}.", hint=hint)


def load_function(entry_point: str, *, root: Path, bundle: str) -> Callable[[], object]:
    """Import a function that is called without arguments; see :func:`load_class` for the arguments.

    Raises:
        BundleError: The module does not import (with the real error), or has no such function.
    """
    module_name, _, attribute = entry_point.partition(":")
    found = getattr(_import(module_name, root=root, bundle=bundle), attribute, None)
    if callable(found):
        function: Callable[[], object] = found
        return function
    is_what = "is not a function" if found is not None else "does not exist"
    raise BundleError(f"Bundle {bundle!r}: {attribute!r} in module {module_name!r} {is_what}.")


def bind(cls: type, members: Mapping[str, Any], *, bundle: str) -> type[TaskEstimator]:
    """Make a subclass that belongs to a bundle; a class that only looks like an estimator becomes one.

    Args:
        cls: A :class:`TaskEstimator`, or any class with its methods as in the paper's Listing 1: ``__init__`` with
            the three arguments, ``calculate_score``, and ``train`` or ``run``.
        members: Class attributes of the subclass: the search space, the primary metric.
        bundle: The bundle's name, for messages.

    Raises:
        BundleError: The class lacks methods or arguments that it needs.
    """
    _check_methods(cls, bundle)
    _check_arguments(cls, bundle)
    namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__, **members}
    if issubclass(cls, TaskEstimator):
        bases: tuple[type, ...] = (cls,)
    else:
        bases = (cls, TaskEstimator)
        own = ("__init__", "train", "calculate_score", "run")
        namespace |= {name: wrap(getattr(cls, name)) for name in own if hasattr(cls, name)}
        namespace.setdefault("train", TaskEstimator.train)
    try:
        bound: type[TaskEstimator] = types.new_class(cls.__name__, bases, exec_body=lambda body: body.update(namespace))
    except TypeError as e:
        raise BundleError(f"Bundle {bundle!r}: {cls.__name__} cannot be used as an estimator: {e}.") from e
    missing = sorted(set(getattr(bound, "__abstractmethods__", ())) - ({"train"} if "run" in namespace else set()))
    if missing:
        raise BundleError(f"Bundle {bundle!r}: {cls.__name__} does not define {', '.join(missing)}.")
    bound.__abstractmethods__ = frozenset()  # a class with its own `run` need not have a `train`
    return bound


def _check_methods(cls: type, bundle: str) -> None:
    lacks = [] if callable(getattr(cls, "calculate_score", None)) else ["calculate_score()"]
    if not callable(getattr(cls, "train", None)) and not callable(getattr(cls, "run", None)):
        lacks.append("train() or run()")
    if lacks:
        raise BundleError(
            f"Bundle {bundle!r}: {cls.__name__} is not an estimator: it lacks {' and '.join(lacks)}.",
            hint="Derive it from omniforge.TaskEstimator, or give it the methods of one.",
        )


def _check_arguments(cls: type, bundle: str) -> None:
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]  # read, not called
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    missing = [name for name in FIXED_ARGUMENTS if name not in parameters and not takes_any]
    if missing:
        raise BundleError(
            f"Bundle {bundle!r}: {cls.__name__}.__init__ does not take {', '.join(missing)}.",
            hint="Expected: def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args).",
        )


def _import(module_name: str, *, root: Path, bundle: str) -> types.ModuleType:
    own = (root / f"{module_name.replace('.', '/')}.py").exists() or (root / module_name.replace(".", "/")).is_dir()
    known = set(sys.modules)
    try:
        if not own:
            return importlib.import_module(module_name)
        return importlib.import_module(f"{_package_of(root)}.{module_name}")
    except (Exception, SystemExit) as e:  # the code is the user's: whatever it raises is theirs to see
        for name in set(sys.modules) - known:
            if name.startswith(_package_name(root)):
                del sys.modules[name]
        place = _place(e, root)
        raise BundleError(
            f"Bundle {bundle!r}: module {module_name!r} does not import: {type(e).__name__}: {e}{place}.",
            hint=None if own else f"There is no {module_name.replace('.', '/')}.py in {root} either.",
        ) from e


def _package_name(root: Path) -> str:
    return f"omniforge_bundle_{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]}"


def _package_of(root: Path) -> str:
    """Make the bundle's folder a package under a name of its own: two bundles may both have an ``estimator.py``."""
    name = _package_name(root)
    if name not in sys.modules:
        package = types.ModuleType(name, "The modules of one estimator bundle.")
        package.__path__ = [str(root)]
        sys.modules[name] = package
    if str(root) not in sys.path:
        sys.path.append(str(root))  # `import net` of a sibling works too; at the end, so that nothing is shadowed
    importlib.invalidate_caches()
    return name


def _place(error: BaseException, root: Path) -> str:
    """Return ``" (file, line n)"`` of the bundle's own line that failed, when there is one."""
    if isinstance(error, SyntaxError):
        return ""  # its text says the place
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(root)]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
