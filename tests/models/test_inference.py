from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniforge.errors import DataError, StoreError
from omniforge.models import predict
from omniforge.models.inference import load_inference

# Runs predict.py where nothing of Omniforge or of the training libraries can be imported.
ISOLATED = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"omniforge", "sklearn", "torch", "lightgbm", "mlflow", "onnx", "skl2onnx", "scipy"}:
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_alone(asset: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", ISOLATED, str(asset / "predict.py"), *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def write_csv(rows: pd.DataFrame, path: Path) -> Path:
    rows.to_csv(path, index=False)
    return path


def test_columns_and_labels(asset: Path, rows: pd.DataFrame) -> None:
    result = predict(asset, rows)
    assert list(result.columns) == ["prediction", "proba_no", "proba_yes", "proba_perhaps"]
    assert len(result) == len(rows)
    best = result.drop(columns="prediction").to_numpy().argmax(axis=1)
    assert list(result["prediction"]) == [["no", "yes", "perhaps"][at] for at in best]


@pytest.mark.parametrize(
    ("classes", "kind"), [([0, 1, 5], "i"), ([0.5, 1.0, 2.0], "f"), (["a", "b", "c"], "O"), ([1, "b", True], "O")]
)
def test_labels_keep_their_type(
    make_asset: Callable[..., Path], rows: pd.DataFrame, classes: list[Any], kind: str
) -> None:
    result = predict(make_asset(classes=classes), rows)
    assert result["prediction"].dtype.kind == kind
    assert set(result["prediction"]) <= set(classes)
    assert list(result.columns[1:]) == [f"proba_{label}" for label in classes]


def test_booleans_stay_booleans(make_asset: Callable[..., Path], rows: pd.DataFrame) -> None:
    weights = np.array([[0.01, -0.01], [0.2, -0.1], [0.5, 0.0]], dtype=np.float32)
    result = predict(make_asset(classes=[False, True], weights=weights), rows)
    assert result["prediction"].dtype == bool


def test_regression_has_one_column(make_asset: Callable[..., Path], rows: pd.DataFrame) -> None:
    asset = make_asset(task="regression", classes=None, weights=np.array([[0.5], [0.0], [0.0]], dtype=np.float32))
    result = predict(asset, rows)
    assert list(result.columns) == ["prediction"]
    np.testing.assert_allclose(result["prediction"], rows["age"] / 2)


def test_the_index_of_the_rows_is_kept(asset: Path, rows: pd.DataFrame) -> None:
    part = rows.iloc[5:8]
    assert list(predict(asset, part).index) == [5, 6, 7]
    np.testing.assert_array_equal(predict(asset, part)["proba_no"], predict(asset, rows)["proba_no"].iloc[5:8])


def test_order_and_extra_columns_do_not_matter(asset: Path, rows: pd.DataFrame) -> None:
    shuffled = rows[["target", "size", "level", "age"]].assign(more=1).rename(columns={"age": " age "})
    pd.testing.assert_frame_equal(predict(asset, shuffled), predict(asset, rows))


def test_no_rows_are_no_predictions(asset: Path, rows: pd.DataFrame) -> None:
    result = predict(asset, rows.head(0))
    assert (len(result), result.shape[1]) == (0, 4)


def test_missing_columns_are_named_with_the_nearest(asset: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="Missing columns 'age', 'level' \\(is it 'levels'\\?\\)"):
        predict(asset, rows.drop(columns="age").rename(columns={"level": "levels"}))


def test_a_cell_that_cannot_be_read_is_named(asset: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="Column 'age'"):
        predict(asset, rows.assign(age=np.nan))


def test_a_changed_inference_function_is_not_run(asset: Path, rows: pd.DataFrame) -> None:
    with (asset / "predict.py").open("a") as file:
        file.write("raise SystemExit('run')\n")
    with pytest.raises(StoreError, match=r"predict\.py"):
        predict(asset, rows)


def test_two_assets_do_not_mix(make_asset: Callable[..., Path], rows: pd.DataFrame) -> None:
    first = make_asset("first")
    second = make_asset("second", plan={"other": 100.0, "columns": [{"name": n} for n in ("age", "size", "level")]})
    before = predict(first, rows)
    assert not predict(second, rows).equals(before)
    pd.testing.assert_frame_equal(predict(first, rows), before)
    assert load_inference(first) is load_inference(second)  # the same code, another plan


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "rows.arrow", "rows.tsv"])
def test_alone_it_predicts_the_same(asset: Path, rows: pd.DataFrame, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "rows.parquet":
        rows.to_parquet(path)
    elif name == "rows.arrow":
        rows.to_feather(path)
    elif name == "rows.csv.gz":
        path.write_bytes(gzip.compress(rows.to_csv(index=False).encode()))
    else:
        rows.to_csv(path, index=False, sep="\t" if name == "rows.tsv" else ",")
    done = run_alone(asset, "--data", str(path), "-o", str(tmp_path / "out.csv"), cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    alone = pd.read_csv(tmp_path / "out.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(alone, predict(asset, rows), check_exact=True)


def test_alone_it_writes_to_standard_output(asset: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    path = write_csv(rows.head(2), tmp_path / "rows.csv")
    done = run_alone(asset, "--data", str(path), "--threads", "1", cwd=tmp_path)
    assert done.stdout.splitlines()[0] == "prediction,proba_no,proba_yes,proba_perhaps"
    assert len(done.stdout.splitlines()) == 3


def test_alone_it_reports_to_no_one(asset: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    path = write_csv(rows.head(2), tmp_path / "rows.csv")
    assert run_alone(asset, "--data", str(path), cwd=tmp_path).returncode == 0
    assert not (tmp_path / ".cache").exists()  # where onnxruntime's telemetry keeps its identifier and its queue


def test_alone_it_helps(asset: Path, tmp_path: Path) -> None:
    done = run_alone(asset, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--data" in done.stdout
    assert "age, size, level" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        ("", "cannot be read"),
        ("age,size\n1,2\n", "missing column 'level'"),
        ("age;size;level\n1;2;low\n", "missing columns"),
        ("age,size,level\n?,2,low\n", "column 'age'"),
        ("age,size,level\n1,2,low\n1,2,3,4,5\n", "cannot be read"),
    ],
)
def test_alone_it_says_what_is_wrong(asset: Path, tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_text(content)
    done = run_alone(asset, "--data", str(path), "-o", str(tmp_path / "out.csv"), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_alone_an_output_that_cannot_be_written_is_named(asset: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    path = write_csv(rows, tmp_path / "rows.csv")
    done = run_alone(asset, "--data", str(path), "-o", str(tmp_path / "none" / "out.csv"), cwd=tmp_path)
    assert done.returncode == 1
    assert "out.csv cannot be written" in done.stderr


def test_mlflow_loads_it(asset: Path, rows: pd.DataFrame) -> None:
    import mlflow.pyfunc

    loaded = mlflow.pyfunc.load_model(str(asset))
    frame = rows.drop(columns="target").astype({"age": "float64"})
    pd.testing.assert_frame_equal(loaded.predict(frame), predict(asset, rows))


def test_images_are_predicted(image_asset: Path, pixels: np.ndarray) -> None:
    result = predict(image_asset, pixels)
    assert list(result.columns) == ["prediction", "proba_night", "proba_day"]
    bright = pixels.mean(axis=(0, 1, 2))
    relative = (pixels - bright).mean(axis=(1, 2)) / pixels.std(axis=(0, 1, 2))
    sure = np.abs(relative.mean(axis=1)) > 1e-3
    assert list(result["prediction"][sure]) == list(np.where(relative.mean(axis=1) > 0, "day", "night")[sure])
    pd.testing.assert_frame_equal(predict(image_asset, pixels[7:9]), result[7:9].reset_index(drop=True), rtol=1e-5)
    assert predict(image_asset, pixels[:0]).shape == (0, 3)


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "named.npz"])
def test_alone_images_are_predicted_the_same(image_asset: Path, pixels: np.ndarray, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "rows.npy":
        np.save(path, pixels)
    else:
        np.savez(path, **({"x": pixels, "y": pixels[:, 0, 0, 0]} if name == "rows.npz" else {"images": pixels}))
    done = run_alone(image_asset, "--data", str(path), "-o", str(tmp_path / "out.csv"), cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    alone = pd.read_csv(tmp_path / "out.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(alone, predict(image_asset, pixels), check_exact=True)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((3, 4, 4, 3), dtype=np.uint8), "expected n x 4 x 5 x 3"),
        (np.zeros((3, 4, 5, 3)), "expected whole numbers (uint8), from 0 to 255"),
        (np.array(3), "A single value"),
        (pd.DataFrame({"a": [1]}), "reads arrays (n x 4 x 5 x 3, uint8), not a table"),
    ],
)
def test_what_are_no_such_images_is_refused(image_asset: Path, rows: Any, says: str) -> None:
    with pytest.raises(DataError) as caught:
        predict(image_asset, rows)
    assert says in str(caught.value)


def test_an_array_is_no_table(asset: Path) -> None:
    with pytest.raises(DataError, match="reads a table, not an array"):
        predict(asset, np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("name", "says"),
    [("text.npy", "no .npy or .npz file"), ("gone.npy", "there is no file"), ("two.npz", "expected 'x'")],
)
def test_alone_a_file_that_holds_no_rows_is_refused(image_asset: Path, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "text.npy").write_text("a,b")
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    done = run_alone(image_asset, "--data", str(tmp_path / name), cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr


def test_mlflow_loads_a_model_of_images(image_asset: Path, pixels: np.ndarray) -> None:
    import mlflow.pyfunc

    loaded = mlflow.pyfunc.load_model(str(image_asset))
    pd.testing.assert_frame_equal(loaded.predict(pixels), predict(image_asset, pixels))
