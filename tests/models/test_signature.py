from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from omniforge.models.signature import input_names, signature_of, tensor_signature_of

ROWS = pd.DataFrame(
    {
        "whole": [1, 2],
        "part": [0.5, None],
        "flag": [True, False],
        "when": pd.to_datetime(["2020-01-01", "2021-01-01"]),
        "word": ["a", None],
        "target": [0, 1],
    }
)


def test_the_plan_says_what_is_read() -> None:
    plan = {"columns": [{"name": "b"}, {"name": "a"}]}
    assert input_names(plan, ["a", "b", "c", "target"], target="target") == ["b", "a"]


@pytest.mark.parametrize("plan", [{}, {"columns": ["a"]}, {"columns": 3}])
def test_else_all_but_the_target_is_read(plan: dict[str, object]) -> None:
    assert input_names(plan, ["a", "target", "b"], target="target") == ["a", "b"]


def test_types_are_mlflow_s() -> None:
    signature = signature_of(ROWS, ["whole", "part", "flag", "when", "word", "unseen"], classes=["x", "y"])
    assert [column["type"] for column in signature["inputs"]] == [
        "double",
        "double",
        "boolean",
        "datetime",
        "string",
        "string",
    ]
    assert [column["name"] for column in signature["outputs"]] == ["prediction", "proba_x", "proba_y"]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (None, "double"),
        ([0, 1], "long"),
        ([False, True], "boolean"),
        (["a", "b"], "string"),
        ([1.5, 2.5], "double"),
        ([1, "b"], "string"),
    ],
)
def test_a_prediction_has_the_type_of_the_labels(classes: list[object] | None, expected: str) -> None:
    assert signature_of(ROWS, [], classes=classes)["outputs"][0]["type"] == expected


def test_mlflow_reads_it() -> None:
    import json

    from mlflow.models import ModelSignature

    signature = signature_of(ROWS, ["whole", "word"], classes=["x", "y"])
    read = ModelSignature.from_dict({key: json.dumps(columns) for key, columns in signature.items()})
    assert read.inputs.input_names() == ["whole", "word"]


def test_an_array_is_a_tensor_with_a_free_first_axis() -> None:
    found = tensor_signature_of(np.zeros((7, 3, 8, 8), dtype=np.float32), classes=None)
    assert found["inputs"] == [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 8, 8]}}]
    assert found["outputs"] == signature_of(ROWS, ["whole"], classes=None)["outputs"]
