"""Shared by all tests: the conformance suites are importable as ``conformance.<suite>``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
