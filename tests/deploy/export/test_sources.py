from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.runtime_suite import WEIGHTS, linear_model
from torch import nn

from omniforge.data import prepare, tensor_transform, transform
from omniforge.deploy import export_onnx
from omniforge.deploy.export.sources import random_rows, reference_predictions, source_of_asset, source_of_file
from omniforge.errors import DataError, ExportError, SpecError
from omniforge.models import write_asset

ROWS = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(linear_model())
    return path


def test_a_file_without_data_gets_random_rows_and_says_so(model: Path) -> None:
    source = source_of_file(model)
    assert (source.name, source.rows.shape, source.labels, source.is_real) == ("m.onnx", (256, 3), None, False)
    assert "random" in source.origin
    assert np.array_equal(source.rows, random_rows(model))
    np.testing.assert_allclose(reference_predictions(source, most=5), source.rows[:5] @ WEIGHTS, rtol=1e-5)


def test_random_tokens_are_those_of_the_table(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).integers(0, 7, size=(30, 4))
    network = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(12, 1))
    export_onnx(network, tokens, tmp_path / "m.onnx", task="regression")
    rows = random_rows(tmp_path / "m.onnx")
    assert (rows.dtype, rows.min(), rows.max()) == (np.int64, 0, 6)


def test_a_model_of_rows_of_any_size_needs_data(tmp_path: Path) -> None:
    import onnx

    model = onnx.load_model_from_string(linear_model())
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "any"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(SpecError, match="any size"):
        random_rows(tmp_path / "m.onnx")


@pytest.mark.parametrize("kind", ["npy", "npz", "npz of parts", "csv"])
def test_rows_of_a_file(kind: str, model: Path, tmp_path: Path) -> None:
    labels = np.arange(30) % 2
    path = tmp_path / f"data.{kind[:3]}"
    if kind == "npy":
        np.save(path, ROWS.astype(np.float64))
    elif kind == "npz":
        np.savez(path, x=ROWS, y=labels)
    elif kind == "csv":
        pd.DataFrame(ROWS, columns=["a", "b", "c"]).to_csv(path, index=False)
    else:
        np.savez(path, x_train=ROWS * 2, y_train=labels, x_test=ROWS, y_test=labels)
    source = source_of_file(model, data=path)
    np.testing.assert_allclose(source.rows, ROWS, rtol=1e-6)
    assert source.rows.dtype == np.float32
    assert (source.labels is not None) == kind.startswith("npz")
    assert source.origin == str(path)


@pytest.mark.parametrize(
    ("rows", "message"), [(np.zeros((3, 4)), r"\[3, 4\]"), (np.zeros((0, 3)), "no rows"), (np.array([["a"]]), "data")]
)
def test_rows_that_do_not_fit_are_named(rows: np.ndarray, message: str, model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", rows)
    with pytest.raises(DataError, match=message):
        source_of_file(model, data=tmp_path / "data.npy")


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(ExportError, match=r"m\.onnx"):
        source_of_file(tmp_path / "m.onnx")


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A registered model's folder, with the prepared data and the table that it was made of."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    folder = tmp_path_factory.mktemp("asset")
    iris = load_iris(as_frame=True)
    frame = iris.data.assign(species=iris.target_names[iris.target])
    frame.to_csv(folder / "iris.csv", index=False)
    data = prepare(folder / "iris.csv", target="species", out_dir=folder / "prepared")
    x, y = data.arrays("train", "onehot")
    export_onnx(LogisticRegression(max_iter=500).fit(x, y), np.asarray(x), folder / "m.onnx", task="classification")
    write_asset(
        folder / "asset", onnx_path=folder / "m.onnx", plan=data.plan("onehot").to_dict(),
        transform_source=inspect.getsource(transform), task="classification", classes=data.classes, target="species",
        metrics={}, lineage={}, example_rows=data.rows("test")[:5],
    )  # fmt: skip
    return {"folder": folder / "asset", "prepared": data.root, "csv": folder / "iris.csv"}


def test_a_registered_model_is_judged_by_the_rows_that_training_did_not_see(asset: dict[str, Any]) -> None:
    source = source_of_asset(asset["folder"], name="flowers/1", prepared=asset["prepared"])
    assert source.labels is not None
    assert source.calibration is not None
    assert len(source.rows) == len(source.labels) < len(source.calibration)
    assert (reference_predictions(source).argmax(axis=1) == source.labels).mean() > 0.8
    assert "test rows" in source.origin


def test_raw_rows_become_features_and_their_target_labels(asset: dict[str, Any]) -> None:
    source = source_of_asset(asset["folder"], name="flowers/1", data=asset["csv"])
    assert source.rows.shape == (150, 4)
    assert source.labels is not None
    assert np.array_equal(source.labels, np.repeat([0, 1, 2], 50))
    assert (reference_predictions(source).argmax(axis=1) == source.labels).mean() > 0.9


def test_an_image_model_reads_raw_images_and_their_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, digits = rng.integers(0, 255, size=(60, 6, 6)).astype(np.uint8), np.arange(60) % 3
    names = np.array(["ape", "bee", "cow"])
    np.savez(tmp_path / "images.npz", x=images, y=digits, classes=names)
    data = prepare(tmp_path / "images.npz", target="y", out_dir=tmp_path / "prepared")
    x, _ = data.arrays("train", "tensor")
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.Softmax(dim=1))
    export_onnx(network, np.asarray(x), tmp_path / "m.onnx", task="classification")
    folder = write_asset(
        tmp_path / "asset", onnx_path=tmp_path / "m.onnx", plan=data.plan("tensor").to_dict(),
        transform_source=inspect.getsource(tensor_transform), task="classification", classes=data.classes, target="y",
        metrics={}, lineage={}, example_rows=data.rows("test")[:5],
    )  # fmt: skip
    given = source_of_asset(folder, name="animals/1", data=tmp_path / "images.npz")
    assert given.rows.shape == (60, 1, 6, 6)
    assert given.labels is not None
    assert np.array_equal(given.labels, digits)
    kept = source_of_asset(folder, name="animals/1", prepared=data.root)
    assert kept.labels is not None
    assert kept.rows.dtype == np.float32
    assert reference_predictions(kept).shape == (len(kept.labels), 3)
    assert source_of_asset(folder, name="animals/1").rows.shape == (1, 1, 6, 6)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "images.npz").read_bytes()[:900])
    with pytest.raises(DataError, match=r"cut\.npz"):
        source_of_asset(folder, name="animals/1", data=tmp_path / "cut.npz")
    np.savez(tmp_path / "short.npz", x=images, y=digits[:5])
    with pytest.raises(DataError, match="5 values for 60 rows"):
        source_of_asset(folder, name="animals/1", data=tmp_path / "short.npz")


def test_without_prepared_data_the_examples_are_left(asset: dict[str, Any], tmp_path: Path) -> None:
    source = source_of_asset(asset["folder"], name="flowers/1", prepared=tmp_path / "gone")
    assert len(source.rows) == 5
    assert source.labels is None
    assert "examples" in source.origin


@pytest.mark.parametrize("change", ["class", "column"])
def test_raw_rows_that_do_not_fit_are_named(change: str, asset: dict[str, Any], tmp_path: Path) -> None:
    frame = pd.read_csv(asset["csv"])
    frame = frame.replace({"setosa": "tulip"}) if change == "class" else frame.drop(columns="petal width (cm)")
    frame.to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(DataError, match="'tulip'.*setosa" if change == "class" else "petal width"):
        source_of_asset(asset["folder"], name="flowers/1", data=tmp_path / "data.csv")


def test_class_indices_of_an_array_file_stay_indices(model: Path, tmp_path: Path) -> None:
    y = np.arange(30) % 2
    np.savez(tmp_path / "d.npz", x=ROWS, y=y, classes=np.array(["no", "yes"]))
    labels = source_of_file(model, data=tmp_path / "d.npz").labels
    assert labels is not None
    assert np.array_equal(labels, y)
    np.savez(tmp_path / "d.npz", x=ROWS, y=np.array(["no", "yes"])[y])
    with pytest.raises(DataError, match="no numbers") as caught:
        source_of_file(model, data=tmp_path / "d.npz")
    assert "0 to k-1" in str(caught.value.hint)


def test_a_model_of_two_outputs_is_told_what_to_do(tmp_path: Path) -> None:
    import onnx

    model = onnx.load_model_from_string(linear_model())
    model.graph.output.append(model.graph.output[0])
    model.graph.output[1].name = "second"
    model.graph.node.add(op_type="Identity", input=[model.graph.output[0].name], output=["second"])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ExportError) as caught:
        source_of_file(tmp_path / "m.onnx")
    assert "extract_model" in str(caught.value.hint)
