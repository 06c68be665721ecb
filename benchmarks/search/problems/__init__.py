"""What is searched, by name. A problem is a space, a table or a model that measures, and what is known of its optimum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from .problem import Problem

SETS: dict[str, str] = {
    "nb201": ".nb201:cells",
    "nb201-plain": ".nb201:plain",
    "rbv2": ".surrogates:rbv2_xgboost",
    "lcbench": ".surrogates:lcbench",
    "conditional": ".conditional:problems",
    "constrained": ".constrained:problems",
    "functions": ".functions:problems",
    "permutations": ".permutations:problems",
}


def load(name: str, data: Path | None, *, instances: int) -> Sequence[Problem]:
    """Return up to ``instances`` problems of a set.

    Args:
        name: One of `SETS`.
        data: The folder of the data sets, or None when there is none.
        instances: The most problems of the set, at least 1.

    Raises:
        SystemExit: The set is unknown, or its data are not there.
    """
    if name not in SETS:
        raise SystemExit(f"There is no problem set {name!r}; known: {', '.join(SETS)}.")
    module, _, attribute = SETS[name].partition(":")
    make: Callable[[Path | None], Sequence[Problem]] = getattr(import_module(module, __package__), attribute)
    return make(data)[:instances]


def folder(data: Path | None, name: str) -> Path:
    """Return the folder of one data set.

    Raises:
        SystemExit: It is not there.
    """
    if data is None or not (data / name).is_dir():
        where = "--data is not given" if data is None else f"{data / name} does not exist"
        raise SystemExit(f"The data set {name!r} is needed and {where}: point --data at the folder that holds {name}/.")
    return data / name
