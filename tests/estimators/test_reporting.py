from __future__ import annotations

import logging

import pytest

from omniforge import estimator
from omniforge.estimators import RecordingReporter, StopTraining, use_reporter


def test_a_report_without_a_reporter_goes_nowhere() -> None:
    estimator.report(1, {"accuracy": 0.5})


def test_reports_arrive_as_floats_in_order() -> None:
    reporter = RecordingReporter()
    with use_reporter(reporter):
        estimator.report(1, {"accuracy": 1})
        estimator.report(2, {"accuracy": 0.5})
    assert reporter.reports == [(1, {"accuracy": 1.0}), (2, {"accuracy": 0.5})]


def test_the_reporter_stops_the_training() -> None:
    with use_reporter(RecordingReporter(stop_at=2)):
        estimator.report(1, {})
        with pytest.raises(StopTraining, match="step 2") as caught:
            estimator.report(2, {})
    assert caught.value.step == 2


def test_values_that_are_not_finite_are_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    reporter = RecordingReporter()
    with use_reporter(reporter), caplog.at_level(logging.WARNING):
        estimator.report(1, {"loss": float("nan"), "accuracy": 0.5})
    assert reporter.reports == [(1, {"accuracy": 0.5})]
    assert "loss" in caplog.text


def test_use_reporter_keeps_the_rest_of_the_context() -> None:
    with estimator.context(seed=9), use_reporter(RecordingReporter()) as inner:
        assert inner.seed == 9
