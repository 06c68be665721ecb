"""Names used elsewhere (``--lr``, ``layer.0/units``) as names that spaces and objectives take. Not what they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..search.space.declaration import RESERVED


def names_for(foreign: Iterable[str]) -> dict[str, str]:
    """Return a name for each foreign one: of ASCII letters, digits, ``_`` and ``-``, close to it, and different from all others.

    Args:
        foreign: Different names, in an order that decides who gets a number when two would become one.
    """
    found: dict[str, str] = {}
    taken = set(RESERVED)
    for name in foreign:
        base = re.sub(r"[^A-Za-z0-9_-]", "_", name).lstrip("-")
        if not re.match(r"[A-Za-z_]", base):
            base = f"p{base}"
        number, candidate = 1, base
        while candidate in taken:
            number += 1
            candidate = f"{base}_{number}"
        taken.add(candidate)
        found[name] = candidate
    return found
