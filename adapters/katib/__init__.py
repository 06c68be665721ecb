"""Omniforge as a suggestion service of Katib, the gRPC interface ``api.v1.beta1``. Needs ``omniforge[katib]``.

Importing this package loads neither gRPC nor a strategy; `serve` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .server import SuggestionServer as SuggestionServer

__all__ = ["SuggestionServer"]


def __getattr__(name: str) -> object:
    """Load the server on first use (PEP 562)."""
    if name == "SuggestionServer":
        from .server import SuggestionServer

        return SuggestionServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
