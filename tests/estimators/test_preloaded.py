from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from omniforge.errors import BundleError
from omniforge.estimators import write_starter
from omniforge.estimators.preloaded import loaded


def test_a_bundle_is_loaded_once() -> None:
    bundle, estimator_class = loaded("tabular")
    assert bundle.name == "tabular"
    assert loaded("tabular") == (bundle, estimator_class)


def test_importing_loads_what_the_environment_names(tmp_path: Path) -> None:
    folder = write_starter(tmp_path / "mine")
    code = (
        "import omniforge.estimators.preloaded as p, sys\n"
        f"hits = p.loaded.cache_info().currsize\np.loaded({str(folder)!r})\n"
        "print(hits, p.loaded.cache_info().hits)"
    )
    environment = {**os.environ, "OMNIFORGE_BUNDLE": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


def test_a_bundle_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothere"):
        loaded(str(tmp_path / "nothere"))
