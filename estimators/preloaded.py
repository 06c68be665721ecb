"""Loads estimators once in a process and its forks. Importing it loads the one that ``OMNIFORGE_BUNDLE`` names.

A bundle's module is not installed, so that it has no name that a warm process could be told to import; this one has.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from .bundle import Bundle, load_bundle

if TYPE_CHECKING:
    from .sdk import TaskEstimator

BUNDLE_VARIABLE = "OMNIFORGE_BUNDLE"


@lru_cache(maxsize=8)
def loaded(source: str) -> tuple[Bundle, type[TaskEstimator]]:
    """Return a bundle and its class; both stay as they were when they were first loaded.

    Raises:
        BundleError: See :func:`load_bundle`.
    """
    bundle = load_bundle(source)
    return bundle, bundle.estimator_class()


if os.environ.get(BUNDLE_VARIABLE):
    loaded(os.environ[BUNDLE_VARIABLE])
