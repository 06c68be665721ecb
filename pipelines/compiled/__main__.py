"""Compile every pipeline into this folder; a test compares the files with the definitions."""

from __future__ import annotations

import logging
from pathlib import Path

from .. import PIPELINES, compile_pipeline

logging.basicConfig(level=logging.INFO, format="%(message)s")
for name in PIPELINES:
    path = Path(__file__).parent / f"{name}.yaml"
    compile_pipeline(name, path)
    logging.getLogger(__name__).info("wrote %s", path)
