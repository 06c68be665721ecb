from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.adapters.katib.parameters import Parameters
from omniforge.errors import SpecError


def test_every_kind_becomes_a_parameter(make: Any) -> None:
    parameters = Parameters(
        [
            make.parameter("--lr", "DOUBLE", min="1e-4", max="1", distribution="LOG_UNIFORM"),
            make.parameter("momentum", "DOUBLE", min="0", max="1", step="0.25"),
            make.parameter("layers", "INT", min="2", max="10", step="2"),
            make.parameter("batch", "DISCRETE", values=("064", "16", "32.0")),
            make.parameter("optimizer", "CATEGORICAL", values=("sgd", "1e3")),
            make.parameter("noise", "DOUBLE", min="0.01", max="100", distribution="LOG_NORMAL"),
            make.parameter("units", "INT", min="0", max="12", distribution="NORMAL"),
        ]
    )
    assert parameters.space.to_dict() == {
        "lr": {"type": "float", "range": [1e-4, 1.0], "log": True},
        "momentum": {"type": "float", "range": [0.0, 1.0], "step": 0.25},
        "layers": {"type": "int", "range": [2, 10], "step": 2},
        "batch": {"type": "ordinal", "range": [16.0, 32.0, 64.0]},
        "optimizer": {"type": "choice", "range": ["sgd", "1e3"]},
        "noise": {
            "type": "float",
            "range": [0.01, 100.0],
            "log": True,
            "prior": {"normal": {"mean": 1.0, "std": 4 / 6}},
        },
        "units": {"type": "int", "range": [0, 12], "prior": {"normal": {"mean": 6.0, "std": 2.0}}},
    }


def test_suggestions_come_back_as_the_same_configurations(make: Any) -> None:
    parameters = Parameters(
        [
            make.parameter("--lr", "DOUBLE", min="1e-4", max="1", distribution="LOG_UNIFORM"),
            make.parameter("momentum", "DOUBLE", min="0", max="1", step="0.1"),
            make.parameter("layers", "INT", min="2", max="10", step="2"),
            make.parameter("batch", "DISCRETE", values=("064", "16")),
            make.parameter("kind", "CATEGORICAL", values=("true", "1")),
            make.parameter("one", "INT", min="3", max="3"),
        ]
    )
    for config in parameters.space.sample_many(200, np.random.default_rng(0)):
        sent = parameters.assignments(config)
        assert [name for name, _ in sent] == ["--lr", "momentum", "layers", "batch", "kind", "one"]
        assert parameters.config(dict(sent)) == config
    assert dict(sent)["batch"] in ("064", "16")


def test_what_is_none_of_the_experiment_is_none(make: Any) -> None:
    parameters = Parameters(
        [make.parameter("n", "INT", min="1", max="5"), make.parameter("k", "CATEGORICAL", values=("a", "b"))]
    )
    assert parameters.config({"n": "3.0", "k": "a"}) == {"n": 3, "k": "a"}
    for other in (
        {"n": "9", "k": "a"},
        {"n": "3.5", "k": "a"},
        {"n": "3", "k": "c"},
        {"n": "three", "k": "a"},
        {"n": "3"},
    ):
        assert parameters.config(other) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "DOUBLE", "min": "", "max": "1"}, "min is ''"),
        ({"kind": "DOUBLE", "min": "0", "max": "inf"}, "max is 'inf'"),
        ({"kind": "DOUBLE", "min": "2", "max": "1"}, "min is 2 and max is 1"),
        ({"kind": "DOUBLE", "min": "0", "max": "1", "step": "-1"}, "the step is -1"),
        ({"kind": "DOUBLE", "min": "0", "max": "1", "distribution": "LOG_NORMAL"}, "LOG_NORMAL and min is 0"),
        ({"kind": "INT", "min": "0.5", "max": "1"}, "min is 0.5, expected an integer"),
        ({"kind": "INT", "min": "1", "max": "9", "step": "0.5"}, "step is 0.5, expected an integer"),
        ({"kind": "DISCRETE", "values": ("1", "x")}, "list is 'x'"),
        ({"kind": "DISCRETE", "values": ("1", "1.0")}, "stands twice"),
        ({"kind": "CATEGORICAL", "values": ()}, "list is empty"),
        ({"kind": "CATEGORICAL", "values": ("a", "a")}, "stands twice"),
        ({"kind": "UNKNOWN_TYPE"}, "the type is UNKNOWN_TYPE"),
    ],
)
def test_what_cannot_be_read_is_named(make: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=r"Parameter '--x': .*") as caught:
        Parameters([make.parameter("--x", given.pop("kind"), **given)])
    assert said in caught.value.message


def test_no_parameters_and_two_of_one_name_are_refused(make: Any) -> None:
    with pytest.raises(SpecError, match="no parameters"):
        Parameters([])
    with pytest.raises(SpecError, match="one name"):
        Parameters([make.parameter("x", "INT", min="1", max="2")] * 2)
