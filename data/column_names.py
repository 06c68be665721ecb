"""Checks of column names, with messages that say what was meant. It looks at no cell."""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

from ..errors import DataError


def check_unique(names: Sequence[str], source: str, *, drop: Iterable[str] = ()) -> None:
    """Refuse column names that occur more than once, unless they are dropped.

    Raises:
        DataError: It names the columns and where they are.
    """
    doubled = [name for name, count in Counter(names).items() if count > 1 and name not in set(drop)]
    if not doubled:
        return
    places = "; ".join(
        f"{name!r} is column {' and '.join(str(i + 1) for i, other in enumerate(names) if other == name)}"
        for name in doubled[:5]
    )
    more = f" (and {len(doubled) - 5} more)" if len(doubled) > 5 else ""
    hint = f"Rename them in the file, or leave all of them out with {drop_option(doubled)}."
    if looks_like_data(names):
        hint = "The first line looks like data: put a line with the column names above it."
    raise DataError(f"{source}: column names must be unique, but {places}{more}.", hint=hint)


def check_known(wanted: Iterable[str], names: Sequence[str], *, source: str, role: str) -> None:
    """Refuse a name that is not among ``names``.

    Args:
        wanted: Names that were asked for.
        names: Names that exist.
        source: The file, for the message.
        role: What the name was given as, such as ``"the target"`` or ``"--drop"``.

    Raises:
        DataError: It names the column that is missing; the hint has the nearest matches.
    """
    for name in wanted:
        if name in names:
            continue
        hint = near_names(name, names)
        if hint is None and looks_like_data(names):
            hint = "The first line looks like data: put a line with the column names above it."
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise DataError(
            f"{source} has no column {name!r} ({role}). Its columns ({len(names)}) are: {shown}.",
            hint=hint or "Give one of these names, spelled as in the file.",
        )


def check_choices(target: str | None, *, drop: Sequence[str], categorical: Sequence[str] = ()) -> None:
    """Refuse choices about columns that contradict each other.

    Raises:
        DataError: The target is to be left out, or a column is to be left out and to be taken as categories.
    """
    if target in drop:
        raise DataError(f"Column {target!r} is the target and cannot be left out.", hint="Choose another target.")
    for name in categorical:
        if name in drop:
            raise DataError(f"Column {name!r} is to be left out and to be taken as categories.", hint="Choose one.")


def near_names(name: str, names: Sequence[str]) -> str | None:
    """Return a question with the names most like ``name``, or None if there are none."""
    folded = {other.casefold(): other for other in names}
    matches = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    if not matches:
        return None
    return f"Did you mean {' or '.join(repr(folded[match]) for match in matches)}?"


def looks_like_data(names: Sequence[str]) -> bool:
    """Return whether most names are numbers, as when a file has no header."""
    return sum(_is_number(name) for name in names) * 2 > len(names)


def drop_option(names: Sequence[str], *, option: str = "--drop") -> str:
    """Return the command line options that leave the columns out, quoted for a shell."""
    return " ".join(f"{option} {shlex.quote(name)}" for name in names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
