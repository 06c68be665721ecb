"""Read, profile and prepare tables and tensors. It trains nothing and knows nothing of jobs.

Importing this package is light: pandas and pyarrow are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .planning import FeaturePlan as FeaturePlan
    from .preparation import prepare as prepare
    from .prepared import PreparedData as PreparedData
    from .profile import ColumnProfile as ColumnProfile
    from .profile import DataProfile as DataProfile
    from .profiling import profile_table as profile_table
    from .reading import data_version as data_version
    from .reading import read_table as read_table
    from .tensor_planning import TensorPlan as TensorPlan
    from .tensor_reading import is_tensor_file as is_tensor_file
    from .tensor_reading import read_rows as read_rows
    from .tensor_reading import read_tensors as read_tensors

_LAZY = {
    "ColumnProfile": ".profile",
    "DataProfile": ".profile",
    "FeaturePlan": ".planning",
    "PreparedData": ".prepared",
    "TensorPlan": ".tensor_planning",
    "data_version": ".reading",
    "is_tensor_file": ".tensor_reading",
    "prepare": ".preparation",
    "profile_table": ".profiling",
    "read_rows": ".tensor_reading",
    "read_table": ".reading",
    "read_tensors": ".tensor_reading",
}

__all__ = [
    "ColumnProfile",
    "DataProfile",
    "FeaturePlan",
    "PreparedData",
    "TensorPlan",
    "data_version",
    "is_tensor_file",
    "prepare",
    "profile_table",
    "read_rows",
    "read_table",
    "read_tensors",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
