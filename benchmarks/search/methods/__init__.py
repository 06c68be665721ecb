"""What searches, by name: our strategies, and peers behind the same two calls. No method itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol

from omniforge.search import strategies


class Session(Protocol):
    """One search by one method."""

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """Return what `tell` needs and a configuration of the problem's space."""

    def tell(self, handle: Any, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Take the measurements of a configuration, none of which are there when it failed."""


Start = Callable[..., Session]
"""Begins a search: ``start(problem, seed=..., evaluations=...)``."""

PEERS: dict[str, str] = {
    "optuna-tpe": ".optuna_peer:tpe",
    "optuna-gp": ".optuna_peer:gp",
    "optuna-nsga2": ".optuna_peer:nsga2",
    "smac": ".smac_peer:start",
    "ax": ".ax_peer:start",
    "hebo": ".hebo_peer:start",
}
_NEEDS = {"smac": "smac", "ax": "ax-platform", "hebo": "HEBO"}


def find(name: str, variants: Mapping[str, str] | None = None) -> Start:
    """Return a method by name.

    Args:
        name: A peer, one of our strategies, or a variant.
        variants: Names to JSON that `omniforge.search.strategy` takes, such as ``{"auto": {"initial": 20}}``.

    Raises:
        SystemExit: It is unknown, or its library is not installed.
    """
    from . import ours

    if variants and name in variants:
        return ours.starter(json.loads(variants[name]))
    if name in strategies():
        return ours.starter(name)
    if name not in PEERS:
        known = ", ".join([*strategies(), *PEERS, *(variants or ())])
        raise SystemExit(f"There is no method {name!r}; known: {known}.")
    module, _, attribute = PEERS[name].partition(":")
    try:
        start: Start = getattr(import_module(module, __package__), attribute)
    except ImportError as e:
        needed = _NEEDS.get(name, name.partition("-")[0])
        raise SystemExit(
            f"The method {name!r} needs {needed} ({e}): run `make bench-peers`, then .venv-peers/bin/python."
        ) from e
    return start
