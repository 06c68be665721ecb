"""Names that resolve to implementations on first use. It imports nothing until a name is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from .errors import BundleError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Map a name to ``"module:attribute"``, resolved on first use.

    Args:
        kind: What the names stand for, as errors say it: ``"strategy"``, ``"runtime"``.
        entries: Name to ``"module:attribute"``. A module that starts with a dot is relative to ``package``.
        package: The package that relative modules start from.
    """

    def __init__(self, kind: str, entries: Mapping[str, str], *, package: str | None = None) -> None:
        self.kind = kind
        self._entries = dict(entries)
        self._package = package
        self._resolved: dict[str, T] = {}

    def register(self, name: str, target: str | T) -> None:
        """Add or replace a name; ``target`` is ``"module:attribute"`` or the object itself."""
        if isinstance(target, str):
            self._entries[name] = target
            self._resolved.pop(name, None)
        else:
            self._entries[name] = ""
            self._resolved[name] = target

    def get(self, name: str) -> T:
        """Return what ``name`` stands for.

        Raises:
            UnknownNameError: Nothing is registered under ``name``; the hint has the nearest matches.
        """
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        if name not in self._resolved:
            self._resolved[name] = resolve(self._entries[name], package=self._package)
        return self._resolved[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


def resolve(target: str, *, package: str | None = None) -> T:  # type: ignore[type-var]  # the caller knows what it named
    """Import ``"module:attribute"`` and return the attribute.

    Raises:
        BundleError: ``target`` has another form, or the module has no such attribute.
    """
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise BundleError(f"Entry point {target!r} is not of the form 'module:attribute'.")
    module = importlib.import_module(module_name, package)
    try:
        found: T = getattr(module, attribute)
    except AttributeError as e:
        raise BundleError(f"Module {module_name!r} has no attribute {attribute!r} (entry point {target!r}).") from e
    return found
