"""``omniforge predict``, with the model that the job of ``conftest.py`` registered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

CLASSES = ["setosa", "versicolor", "virginica"]


@pytest.fixture
def rows(job: Any, tmp_path: Path) -> Path:
    """New rows: in another order, without the target, with a column too much."""
    frame = pd.read_csv(job.data).sample(40, random_state=1).drop(columns="species")
    frame[[*reversed(frame.columns)]].assign(note="x").to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


@pytest.mark.parametrize("model", ["flowers", "flowers@champion", "flowers/1"])
def test_a_model_by_each_of_its_names(model: str, cli_of_job: Callable[..., Any], rows: Path, tmp_path: Path) -> None:
    called = cli_of_job("predict", model, "--data", rows, "-o", tmp_path / "out" / "p.csv", "--json")
    assert called.code == 0, called.err
    assert json.loads(called.out) == {"model": "flowers/1", "rows": 40, "path": str(tmp_path / "out" / "p.csv")}
    predicted = pd.read_csv(tmp_path / "out" / "p.csv")
    assert list(predicted) == ["prediction", *(f"proba_{name}" for name in CLASSES)]
    probabilities = predicted[[f"proba_{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert [CLASSES[i] for i in probabilities.argmax(axis=1)] == list(predicted["prediction"])


def test_the_predictions_are_good(job: Any, cli_of_job: Callable[..., Any], tmp_path: Path) -> None:
    called = cli_of_job("predict", "flowers", "--data", job.data, "-o", tmp_path / "p.csv")
    assert "150 predictions of flowers/1" in called.out
    right = pd.read_csv(tmp_path / "p.csv")["prediction"] == pd.read_csv(job.data)["species"]
    assert right.mean() > 0.9


def test_the_generated_predict_py_writes_the_same_bytes(
    job: Any, cli_of_job: Callable[..., Any], rows: Path, tmp_path: Path
) -> None:
    """The folder of the model alone, copied nowhere, run by an interpreter that does not know of Omniforge."""
    cli_of_job("predict", "flowers/1", "--data", rows, "-o", tmp_path / "ours.csv")
    script = job.home / "models" / "flowers" / "1" / "predict.py"
    arguments = [sys.executable, str(script), "--data", str(rows), "-o", "alone.csv"]
    subprocess.run(arguments, check=True, cwd=tmp_path, env={})
    assert (tmp_path / "alone.csv").read_bytes() == (tmp_path / "ours.csv").read_bytes()


def test_parquet_is_read_too(cli_of_job: Callable[..., Any], rows: Path, tmp_path: Path) -> None:
    pd.read_csv(rows).to_parquet(tmp_path / "new.parquet")
    cli_of_job("predict", "flowers", "--data", rows, "-o", tmp_path / "a.csv")
    cli_of_job("predict", "flowers", "--data", tmp_path / "new.parquet", "-o", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize(
    ("model", "data", "says"),
    [
        ("flower", "new.csv", "'flowers'"),
        ("flowers/9", "new.csv", "9"),
        ("flowers@best", "new.csv", "best"),
        ("a/b/c", "new.csv", "a/b/c"),
        ("flowers", "nothere.csv", "nothere.csv"),
        ("flowers", "short.csv", "petal width (cm)"),
    ],
)
def test_what_is_wrong_is_named_and_the_old_output_stays(
    model: str, data: str, says: str, cli_of_job: Callable[..., Any], rows: Path, tmp_path: Path
) -> None:
    pd.read_csv(rows).drop(columns="petal width (cm)").to_csv(tmp_path / "short.csv", index=False)
    (tmp_path / "out.csv").write_text("old")
    called = cli_of_job("predict", model, "--data", tmp_path / data, "-o", tmp_path / "out.csv")
    assert called.code == 2, called.err
    assert says in called.err
    assert "Traceback" not in called.err
    assert (tmp_path / "out.csv").read_text() == "old"
    assert list(tmp_path.glob(".out.csv*")) == []


def test_an_output_that_cannot_be_written_is_named(cli_of_job: Callable[..., Any], rows: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for output in (tmp_path, tmp_path / "file" / "out.csv"):
        called = cli_of_job("predict", "flowers", "--data", rows, "-o", output)
        assert called.code == 2, called.err
        assert str(output) in called.err
