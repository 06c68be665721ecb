from __future__ import annotations

import ast
import json

import pytest
import yaml

from omniforge.errors import SpecError
from omniforge.models.generation import environment_text, mlmodel_text, predict_source, requirements_text

TRANSFORM = (
    '"""Doc."""\nfrom __future__ import annotations\nimport math\n\n\ndef transform(plan, frame):\n    return 1\n'
)


def generate(transform_source: str = TRANSFORM, target: str = "price", inputs: tuple[str, ...] = ("a", "b")) -> str:
    return predict_source(transform_source, task="regression", target=target, inputs=inputs, class_count=None)


def test_it_is_python_with_the_transform_inside() -> None:
    source = generate()
    names = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert {"transform", "Model", "main"} <= names
    assert source.count("from __future__") == 1
    assert '"""Doc."""' not in source
    assert max(len(line) for line in source.splitlines()) <= 120


def test_it_imports_nothing_but_what_it_says() -> None:
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(ast.parse(generate()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - {"__future__", "argparse", "difflib", "json", "math", "os", "pathlib", "runpy", "sys"} == {
        "numpy",
        "onnxruntime",
        "pandas",
    }


@pytest.mark.parametrize("name", ['a "quoted" name', "50%", "back\\slash", "new\nline", "{{ braces }}", "naïve", '"""'])
def test_any_column_name_can_be_said(name: str) -> None:
    ast.parse(generate(target=name, inputs=(name,)))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def transform(:", "line 1"),
        ("x = 1", "no function transform"),
        ("from .planning import x\ndef transform(plan, frame): ...", "line 1: a relative import"),
        ("def transform(plan, frame): ...\nclass Model: ...", "'Model'"),
        ("FOLDER, other = 1, 2\ndef transform(plan, frame): ...", "'FOLDER'"),
    ],
)
def test_a_source_that_cannot_stand_alone_is_refused(source: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        generate(source)


def test_requirements_are_pinned() -> None:
    pinned = [line for line in requirements_text().splitlines() if not line.startswith("#")]
    assert [line.partition("==")[0] for line in pinned] == ["numpy", "onnxruntime", "pandas"]
    assert all(line.partition("==")[2] for line in pinned)


def test_the_mlmodel_file_is_yaml() -> None:
    signature = {"inputs": [{"name": "a", "type": "double", "required": True}], "outputs": []}
    content = yaml.safe_load(mlmodel_text(signature))
    assert json.loads(content["signature"]["inputs"]) == signature["inputs"]
    assert content["flavors"]["python_function"]["loader_module"] == "predict"
    assert yaml.safe_load(environment_text())["dependencies"] == ["-r requirements.txt"]


def test_for_arrays_it_reads_arrays_and_no_tables() -> None:
    source = predict_source(
        TRANSFORM, task="classification", target="y", inputs=["x"], class_count=3, tensor="n x 8 x 8, uint8"
    )
    assert "n x 8 x 8, uint8" in source
    assert "numpy.load" in source or "np.load" in source
    assert not any(word in source for word in ("read_csv", "read_parquet", "delimiter", "{%", "difflib"))
    assert max(len(line) for line in source.splitlines()) <= 132
