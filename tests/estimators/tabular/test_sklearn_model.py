from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import skops.io

from omniforge.errors import BundleError
from omniforge.estimators.tabular.algorithm import Problem
from omniforge.estimators.tabular.forests import RandomForest


class Foreign:
    """A type that no model of the family has."""


def test_a_file_with_foreign_types_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    skops.io.dump(Foreign(), tmp_path / "model.skops")
    with pytest.raises(BundleError, match="Foreign"):
        RandomForest.load(tmp_path, {}, Problem("classification", 2))


@pytest.mark.parametrize("name", ["random_forest", "hist_gradient_boosting", "linear", "knn"])
def test_the_native_model_is_scikit_learns(name: str, make: Any, classes: Any) -> None:
    X, y = classes
    made = make(name, Problem("classification", 3))
    list(made.steps(X, y, 10))
    assert type(made.native_model).__module__.startswith("sklearn.")
