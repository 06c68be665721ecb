from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_suite import WEIGHTS, linear_model

from omniforge.deploy import check_agreement
from omniforge.deploy.export.agreement import as_rows
from omniforge.errors import ExportError, SpecError, UnknownNameError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 3)).astype(np.float32)
SCORES = X @ WEIGHTS
ONE = WEIGHTS[:, :1]


def test_equal_predictions_agree() -> None:
    agreement = check_agreement(linear_model(), X, SCORES, task="classification")
    assert agreement.ok
    assert (agreement.rows, agreement.skipped, agreement.label_agreement) == (100, 0, 1.0)
    assert agreement.max_abs < 1e-6
    assert agreement.max_relative is None


def test_a_file_can_be_checked(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(linear_model())
    assert check_agreement(tmp_path / "m.onnx", X, SCORES, task="classification").ok


def test_one_wrong_row_is_found_and_named() -> None:
    wrong = SCORES.copy()
    wrong[41, 1] += 1e-3
    with pytest.raises(ExportError, match="row 41") as caught:
        check_agreement(linear_model(), X, wrong, task="classification")
    assert "0.001" in caught.value.message
    assert check_agreement(linear_model(), X, wrong, task="classification", tolerance=1e-2).ok


def test_a_label_may_flip_only_at_a_tie() -> None:
    rows = np.eye(3, dtype=np.float32)
    got = rows @ np.array([[0.50001, 0.49999], [0.7, 0.3], [0.3, 0.7]], dtype=np.float32)
    weights = np.linalg.lstsq(rows, got, rcond=None)[0].astype(np.float32)
    tie = got.copy()
    tie[0] = tie[0, ::-1]
    agreement = check_agreement(linear_model(weights), rows, tie, task="classification")
    assert agreement.ok
    assert agreement.label_agreement == pytest.approx(2 / 3)
    flipped = got.copy()
    flipped[1] = [0.4, 0.6]
    with pytest.raises(ExportError, match="row 1"):
        check_agreement(linear_model(weights), rows, flipped, task="classification", tolerance=0.05)


@pytest.mark.parametrize("shape", [(100,), (100, 1)])
def test_numbers_are_compared_relatively(shape: tuple[int, ...]) -> None:
    expected = (X @ ONE * 1e6).astype(np.float64)
    weights = (ONE * 1e6).astype(np.float32)
    agreement = check_agreement(linear_model(weights), X, expected.reshape(shape), task="regression")
    assert agreement.max_relative is not None
    assert agreement.max_relative < 1e-6
    assert agreement.label_agreement is None
    with pytest.raises(ExportError, match="disagrees"):
        check_agreement(linear_model(weights), X, expected.reshape(shape) * 1.001, task="regression")


def test_a_prediction_near_zero_is_judged_by_the_spread_of_all() -> None:
    expected = (X @ ONE).astype(np.float64)
    expected[0] += 1e-6 - expected[0]
    row = X.copy()
    row[0] = 0.0
    assert check_agreement(linear_model(ONE), row, expected, task="regression").ok


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_nan_never_agrees(task: str) -> None:
    weights = np.full((3, 2 if task == "classification" else 1), np.nan, dtype=np.float32)
    expected = np.zeros((100, weights.shape[1]))
    with pytest.raises(ExportError, match="nan"):
        check_agreement(linear_model(weights), X, expected, task=task)  # type: ignore[arg-type]


def test_ambiguous_rows_are_left_out() -> None:
    wrong = SCORES.copy()
    wrong[:10] += 1.0
    ambiguous = np.arange(100) < 10
    agreement = check_agreement(linear_model(), X, wrong, task="classification", ambiguous=ambiguous)
    assert (agreement.rows, agreement.skipped) == (90, 10)


def test_a_fixed_batch_is_refused() -> None:
    with pytest.raises(ExportError, match="does not run"):
        check_agreement(linear_model(rows=1), X, SCORES, task="classification")


def test_a_wrong_number_of_columns_is_refused() -> None:
    with pytest.raises(ExportError, match=r"expected \[64, 3\]"):
        check_agreement(linear_model(), X, np.zeros((100, 3)), task="classification")


def test_a_broken_model_is_refused() -> None:
    with pytest.raises(ExportError, match="does not run"):
        check_agreement(b"broken", X, SCORES, task="classification")


def test_when_the_time_is_up_fewer_rows_are_compared() -> None:
    assert check_agreement(linear_model(), X, SCORES, task="classification", limit_s=0.0).rows == 64


def test_a_fixed_batch_is_run_in_parts() -> None:
    assert check_agreement(linear_model(rows=7), X, SCORES, task="classification", batch=7).rows == 100
    with pytest.raises(ExportError, match="batch is free, expected 7"):
        check_agreement(linear_model(), X, SCORES, task="classification", batch=7)


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_the_agreement_of_another_runtime_can_be_checked(runtime: str) -> None:
    pytest.importorskip(runtime)
    assert check_agreement(linear_model(), X, SCORES, task="classification", runtime=runtime).max_abs < 1e-5
    with pytest.raises(ExportError, match="disagrees"):
        check_agreement(linear_model(), X, SCORES + 0.1, task="classification", runtime=runtime)
    with pytest.raises(ExportError, match=f"on {runtime}.*Transmogrify"):
        check_agreement(linear_model(op="Transmogrify"), X, SCORES, task="classification", runtime=runtime)


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(UnknownNameError, match="'onnxruntim'"):
        check_agreement(linear_model(), X, SCORES, task="classification", runtime="onnxruntim")


def test_a_table_of_several_values_is_compared_relatively() -> None:
    assert check_agreement(linear_model(), X, SCORES, task="regression").max_relative is not None


def test_rows_with_fractions_are_no_tokens() -> None:
    rows = np.array([[0.5, 1.0]])
    with pytest.raises(ExportError, match="int64"):
        as_rows(rows, "int64")
    assert as_rows(rows, "float32").dtype == np.float32
    assert as_rows(np.array([[1, 2]], dtype=np.int32), "int64").dtype == np.int64


def test_a_small_column_is_judged_by_itself() -> None:
    weights = np.stack([WEIGHTS[:, 0] * 1e5, WEIGHTS[:, 1]], axis=1).astype(np.float32)
    expected = (X @ weights).astype(np.float64)
    assert check_agreement(linear_model(weights), X, expected, task="regression").ok
    expected[:, 1] *= 1.01
    with pytest.raises(ExportError, match="disagrees"):
        check_agreement(linear_model(weights), X, expected, task="regression")


def test_expected_has_a_prediction_for_each_row() -> None:
    with pytest.raises(SpecError, match="for 100 rows"):
        check_agreement(linear_model(), X, SCORES[:7], task="classification")


def test_a_source_that_predicts_nan_is_named() -> None:
    expected = SCORES.astype(np.float64)
    expected[5] = np.nan
    with pytest.raises(ExportError, match="source itself predicts NaN or infinity in row 5"):
        check_agreement(linear_model(), X, expected, task="classification")
