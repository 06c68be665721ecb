"""The device agent: an edge machine that measures models for others, and its client.

Importing this package loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .agent import AgentOptions as AgentOptions
    from .agent import DeviceAgent as DeviceAgent
    from .client import DeviceClient as DeviceClient
    from .connection import DeviceError as DeviceError
    from .connection import DeviceLostError as DeviceLostError

_LAZY = {
    "AgentOptions": ".agent",
    "DeviceAgent": ".agent",
    "DeviceClient": ".client",
    "DeviceError": ".connection",
    "DeviceLostError": ".connection",
}

__all__ = ["AgentOptions", "DeviceAgent", "DeviceClient", "DeviceError", "DeviceLostError"]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
