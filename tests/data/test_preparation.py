from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from omniforge.data import DataProfile, PreparedData, prepare
from omniforge.errors import DataError, InputError, SpecError, UnknownNameError


def stamp(data: PreparedData) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in data.root.iterdir()}


@pytest.fixture
def diabetes(tmp_path: Path) -> Path:
    path = tmp_path / "diabetes.csv.gz"
    load_diabetes(as_frame=True, scaled=False).frame.to_csv(path, index=False)
    return path


def test_classification_end_to_end(tmp_path: Path) -> None:
    frame = load_breast_cancer(as_frame=True).frame
    frame.to_parquet(tmp_path / "cancer.parquet")
    data = prepare(tmp_path / "cancer.parquet", "target", tmp_path / "out")
    assert (data.task, data.classes) == ("classification", [0, 1])
    total = sum((data.arrays(split, "onehot")[1] == 1).sum() for split in ("train", "valid", "test"))
    assert total == (frame["target"] == 1).sum()
    for split in ("train", "valid", "test"):
        y = data.arrays(split, "onehot")[1]
        assert (y == 1).mean() == pytest.approx((frame["target"] == 1).mean(), abs=0.01)


def test_regression_end_to_end(diabetes: Path, tmp_path: Path) -> None:
    data = prepare(diabetes, "target", tmp_path / "out")
    assert (data.task, data.classes) == ("regression", None)
    means = []
    for split in ("train", "valid", "test"):
        x, y = data.arrays(split, "ordinal")
        assert y.dtype == np.float64
        assert np.isfinite(x).all()
        np.testing.assert_array_equal(y, data.rows(split)["target"])
        means.append(y.mean())
    assert np.ptp(means) < 0.1 * np.mean(means)


def test_rows_without_a_target_are_left_out(mixed: pd.DataFrame, tmp_path: Path) -> None:
    mixed.loc[mixed.index[::10], "bought"] = None
    mixed.to_parquet(tmp_path / "m.parquet")
    data = prepare(tmp_path / "m.parquet", "bought", tmp_path / "out")
    assert sum(data.sizes.values()) == 360
    assert any("40 rows without a target" in warning for warning in data.profile.warnings)


class TestAgain:
    def test_the_same_is_not_written_again(self, mixed_csv: Path, tmp_path: Path) -> None:
        first = prepare(mixed_csv, "bought", tmp_path / "out")
        before = stamp(first)
        assert stamp(prepare(mixed_csv, "bought", tmp_path / "out")) == before

    def test_the_same_content_under_another_name_is_the_same(self, mixed_csv: Path, tmp_path: Path) -> None:
        first = prepare(mixed_csv, "bought", tmp_path / "out")
        before, key = stamp(first), first.key
        moved = mixed_csv.rename(tmp_path / "renamed.csv.gz")
        again = prepare(moved, "bought", tmp_path / "out")
        assert (stamp(again), again.key) == (before, key)

    @pytest.mark.parametrize(
        "options", [{"seed": 1}, {"drop": ["age"]}, {"categorical": ["age"]}, {"test_fraction": 0.1}]
    )
    def test_other_options_replace_it(self, mixed_csv: Path, tmp_path: Path, options: dict[str, Any]) -> None:
        first = prepare(mixed_csv, "bought", tmp_path / "out")
        second = prepare(mixed_csv, "bought", tmp_path / "out", **options)
        assert second.key != first.key
        assert PreparedData.load(tmp_path / "out").key == second.key

    def test_other_content_replaces_it(self, mixed: pd.DataFrame, mixed_csv: Path, tmp_path: Path) -> None:
        first = prepare(mixed_csv, "bought", tmp_path / "out")
        mixed.head(200).to_csv(mixed_csv, index=False)
        second = prepare(mixed_csv, "bought", tmp_path / "out")
        assert first.data_version != second.data_version
        assert sum(second.sizes.values()) == 200

    def test_two_preparations_give_the_same_bytes(self, mixed_csv: Path, tmp_path: Path) -> None:
        one, other = (prepare(mixed_csv, "bought", tmp_path / name, seed=3).root for name in ("a", "b"))
        for path in sorted(one.iterdir()):
            assert path.read_bytes() == (other / path.name).read_bytes(), path.name

    def test_an_empty_folder_is_used(self, mixed_csv: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        assert prepare(mixed_csv, "bought", tmp_path / "out").sizes["train"] == 240

    def test_missing_folders_are_made(self, mixed_csv: Path, tmp_path: Path) -> None:
        assert prepare(mixed_csv, "bought", tmp_path / "jobs" / "1" / "data").root.is_dir()

    def test_a_folder_with_something_else_is_refused(self, mixed_csv: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("years of work")
        with pytest.raises(DataError, match="holds no prepared data"):
            prepare(mixed_csv, "bought", tmp_path / "out")
        assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"

    def test_many_at_once(self, mixed_csv: Path, tmp_path: Path) -> None:
        with ThreadPoolExecutor(6) as pool:
            keys = {data.key for data in pool.map(lambda _: prepare(mixed_csv, "bought", tmp_path / "out"), range(6))}
        assert len(keys) == 1
        assert [path.name for path in tmp_path.glob(".out*")] == []

    def test_many_at_once_with_different_seeds(self, mixed_csv: Path, tmp_path: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda seed: prepare(mixed_csv, "bought", tmp_path / "out", seed=seed), range(4)))
        assert PreparedData.load(tmp_path / "out").sizes["train"] == 240
        assert [path.name for path in tmp_path.glob(".out*")] == []


def csv(tmp_path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(tmp_path / "bad.csv", index=False)
    return tmp_path / "bad.csv"


def small(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(40) * 0.7, **columns, "y": ["n", "p"] * 20})


BAD: dict[str, tuple[Callable[[], pd.DataFrame], dict[str, Any], str]] = {
    "constant target": (lambda: small().assign(y="n"), {}, "always is 'n'"),
    "a class with one row": (lambda: small().assign(y=["n", "p"] * 19 + ["n", "q"]), {}, "a class with one row: 'q'"),
    "all-missing column": (lambda: small(e=[None] * 40), {}, "column 'e' has no value"),
    "infinities": (lambda: small(i=[np.inf] + [1.5] * 39), {}, "column 'i' has 1 infinite value"),
    "mixed types": (lambda: small(m=[i if i % 2 else f"t{i}" for i in range(40)]), {}, "column 'm' mixes types"),
    "no such target": (small, {"target": "Y2"}, "no column 'Y2'"),
    "unknown column": (small, {"drop": ["b"]}, "no column 'b'"),
    "contradiction": (small, {"drop": ["a"], "categorical": ["a"]}, "'a' is to be left out and"),
    "target dropped": (small, {"drop": ["y"]}, "'y' is the target"),
    "texts for regression": (small, {"task": "regression"}, "'n' is not a number"),
    "too few rows": (lambda: small().head(6), {}, "has 6 rows"),
}


class TestBadInput:
    @pytest.mark.parametrize("case", BAD)
    def test_a_clear_message_and_nothing_written(self, tmp_path: Path, case: str) -> None:
        make, options, message = BAD[case]
        options = {"target": "y", **options}
        path = csv(tmp_path, make())
        with pytest.raises(DataError) as caught:
            prepare(path, options.pop("target"), tmp_path / "made" / "out", **options)
        assert isinstance(caught.value, InputError)
        assert caught.value.exit_code == 2
        assert message in caught.value.message
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "no data file"),
            ("", "is empty"),
            ("a;y\n1;n\n", "looks like ';'"),
            ("a,a,y\n1,2,n\n", "'a' is column 1 and 2"),
        ],
    )
    def test_files(self, tmp_path: Path, text: Any, message: str) -> None:
        path = tmp_path / "bad.csv"
        if text is not None:
            path.write_text(text)
        with pytest.raises(DataError, match=message):
            prepare(path, "y", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_bad_file_leaves_what_was_prepared(self, mixed_csv: Path, tmp_path: Path) -> None:
        before = stamp(prepare(mixed_csv, "bought", tmp_path / "out"))
        mixed_csv.write_text("a,b\n")
        with pytest.raises(DataError):
            prepare(mixed_csv, "bought", tmp_path / "out")
        assert stamp(PreparedData.load(tmp_path / "out")) == before

    def test_fractions_and_task(self, mixed_csv: Path, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="valid_fraction"):
            prepare(mixed_csv, "bought", tmp_path / "out", valid_fraction=0.9)
        with pytest.raises(UnknownNameError, match="'ranking'"):
            prepare(mixed_csv, "bought", tmp_path / "out", task="ranking")
        assert not (tmp_path / "out").exists()

    def test_a_failed_write_leaves_nothing(self, mixed_csv: Path, tmp_path: Path) -> None:
        folder = tmp_path / "full"
        folder.mkdir()
        code = (
            "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "from omniforge.data import prepare\n"
            "import pandas, pyarrow.parquet\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"  # the same as a full disk: writes fail
            "try:\n    prepare(sys.argv[1], 'bought', sys.argv[2])\n"
            "except OSError as e:\n    print('refused', e.errno is not None)\n"
        )
        command = [sys.executable, "-c", code, str(mixed_csv), str(folder / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("refused"), done.stderr
        assert list(folder.iterdir()) == []


def test_the_record_is_plain_json(mixed_csv: Path, tmp_path: Path) -> None:
    root = prepare(mixed_csv, "bought", tmp_path / "out").root
    text = (root / "prepared.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert str(tmp_path) not in text


def test_what_the_caller_does_not_accept_is_not_written(mixed_csv: Path, tmp_path: Path) -> None:
    seen = []

    def refuse(profile: DataProfile) -> None:
        seen.append(profile.task)
        raise SpecError("not this one")

    with pytest.raises(SpecError, match="not this one"):
        prepare(mixed_csv, "bought", tmp_path / "data" / "out", accept=refuse)
    assert seen == ["classification"]
    assert not (tmp_path / "data").exists()
