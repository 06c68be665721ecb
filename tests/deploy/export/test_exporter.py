from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression

from omniforge.deploy.export.exporter import EXPORTERS, describe, exporter_for
from omniforge.errors import ExportError


class Subclass(LogisticRegression):
    pass


def test_the_library_is_found_through_the_base_classes() -> None:
    import lightgbm
    import torch

    class Network(torch.nn.Module):
        pass

    assert exporter_for(LogisticRegression()).name == "sklearn"
    assert exporter_for(Subclass()).name == "sklearn"
    assert exporter_for(lightgbm.LGBMClassifier()).name == "lightgbm"  # though it is a scikit-learn estimator too
    assert exporter_for(Network()).name == "torch"


def test_a_model_of_no_known_library_is_named() -> None:
    with pytest.raises(ExportError, match=r"test_exporter.*Oracle") as caught:
        exporter_for(type("Oracle", (), {})())
    assert "lightgbm" in str(caught.value)


def test_every_exporter_says_its_name() -> None:
    assert {name: EXPORTERS.get(name).name for name in EXPORTERS} == {name: name for name in EXPORTERS}


def test_a_model_is_described_by_its_class() -> None:
    assert describe(LogisticRegression()) == "sklearn.linear_model._logistic.LogisticRegression"
