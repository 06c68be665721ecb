"""A small real asset, and a registry whose database is made once and copied for each test."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.runtime_models import build, linear_model
from onnx import helper

from omniforge.data import tensor_transform
from omniforge.data.tensor_planning import fit_tensor_plan
from omniforge.models import ModelRegistry, write_asset

TRANSFORM = '''"""Turn raw rows into features."""

from __future__ import annotations

import numpy as np

SHIFT = {"low": -1.0, "high": 1.0}


def transform(plan, frame):
    """Read two numbers and a word."""
    numbers = frame[["age", "size"]].to_numpy(dtype=np.float32)
    if np.isnan(numbers).any():
        raise ValueError("column 'age': a value is missing")
    words = frame["level"].map(SHIFT).fillna(plan["other"]).to_numpy(dtype=np.float32)
    return np.column_stack([numbers, words])
'''
PLAN = {
    "other": 0.0,
    "missing": ["", "?"],
    "columns": [{"name": "age", "kind": "numeric"}, {"name": "size", "kind": "numeric"}, {"name": "level"}],
}
WEIGHTS = np.array([[0.01, -0.01, 0.0], [0.2, -0.1, 0.1], [0.5, 0.0, -0.5]], dtype=np.float32)

WriteAsset = Callable[..., Path]


@pytest.fixture
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, size=700),
            "level": rng.choice(["low", "high", "odd"], size=700),
            "size": rng.normal(size=700).round(3),
            "target": 0,
        }
    )


@pytest.fixture
def make_asset(tmp_path: Path, rows: pd.DataFrame) -> WriteAsset:
    """Return a function that writes an asset of three classes; its arguments replace the defaults."""

    def make(folder: str = "asset", **changes: Any) -> Path:
        onnx_path = tmp_path / "exported.onnx"
        onnx_path.write_bytes(linear_model(changes.pop("weights", WEIGHTS)))
        arguments: dict[str, Any] = {
            "onnx_path": onnx_path,
            "plan": PLAN,
            "transform_source": TRANSFORM,
            "task": "classification",
            "classes": ["no", "yes", "perhaps"],
            "target": "target",
            "metrics": {"accuracy": 0.9},
            "lineage": {"job_id": "job-1", "task_id": 7, "seed": 0},
            "example_rows": rows.head(10),
        }
        return write_asset(tmp_path / folder, **{**arguments, **changes})

    return make


@pytest.fixture
def asset(make_asset: WriteAsset) -> Path:
    return make_asset()


@pytest.fixture
def pixels() -> np.ndarray:
    """Raw images, ``n x h x w x c``."""
    return np.random.default_rng(0).integers(0, 256, size=(300, 4, 5, 3), dtype=np.uint8)


@pytest.fixture
def image_asset(tmp_path: Path, pixels: np.ndarray) -> Path:
    """The asset of a model of images, two classes: a bright one is a day."""
    plan = fit_tensor_plan(pixels, layout="hwc")
    nodes = [
        helper.make_node("ReduceMean", ["features"], ["level"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["level", "last"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    constants = {"last": np.array([1]), "weights": np.array([[-9.0, 9.0]], dtype=np.float32)}
    (tmp_path / "images.onnx").write_bytes(build(nodes, constants, row=plan.shape, columns=2))
    return write_asset(
        tmp_path / "image_asset",
        onnx_path=tmp_path / "images.onnx",
        plan=plan.to_dict(),
        transform_source=inspect.getsource(tensor_transform),
        task="classification",
        classes=["night", "day"],
        target="y",
        metrics={"accuracy": 1.0},
        lineage={"job_id": "job-2"},
        example_rows=pixels[:5],
    )


@pytest.fixture(scope="session")
def registry_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    ModelRegistry(f"sqlite:///{folder / 'template.db'}", folder / "models").prepare()
    return folder / "template.db"


@pytest.fixture
def registry(registry_template: Path, tmp_path: Path) -> ModelRegistry:
    shutil.copy(registry_template, tmp_path / "registry.db")
    return ModelRegistry(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "models")
