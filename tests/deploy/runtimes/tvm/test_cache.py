from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from omniforge.deploy.runtimes.tvm.cache import Tuning, TuningSummary, read_tuning, write_tuning

FOUND = Tuning(2, {"a": "[1]", "b": "[2]"}, {"a": 1e-6, "b": 2e-6}, 12.5, 40, 10.0, None, new_trials=40)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_tuning(tmp_path / "cache", "key", FOUND)
    assert read_tuning(tmp_path / "cache", "key", kernels=2) == replace(FOUND, new_trials=0)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["key.json"]
    assert FOUND.summary() == TuningSummary(2, 2, 12.5, 40, 40)
    assert FOUND.summary().complete


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    empty = read_tuning(tmp_path, "key", kernels=2)
    assert empty == Tuning(2)
    assert not empty.complete
    assert not empty.summary().complete


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "costs": {"a": 1}}', "\x00"])
def test_a_broken_file_is_ignored_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str) -> None:
    (tmp_path / "key.json").write_text(content)
    with caplog.at_level(logging.WARNING):
        assert read_tuning(tmp_path, "key", kernels=2) == Tuning(2)
    assert "key.json" in caplog.text or "99" in content
    write_tuning(tmp_path, "key", FOUND)
    assert read_tuning(tmp_path, "key", kernels=2).complete


def test_the_faster_record_of_each_kernel_is_kept(tmp_path: Path) -> None:
    write_tuning(tmp_path, "key", FOUND)
    other = Tuning(2, {"a": "[3]", "b": "[4]"}, {"a": 3e-6, "b": 1e-6}, 1.0, 4, 5.0, 4)
    write_tuning(tmp_path, "key", other)
    kept = read_tuning(tmp_path, "key", kernels=2)
    assert kept.records == {"a": "[1]", "b": "[4]"}
    assert (kept.asked_s, kept.asked_trials) == (10.0, None)
    assert json.loads((tmp_path / "key.json").read_text())["costs"] == {"a": 1e-6, "b": 1e-6}


def test_a_result_covers_a_budget_that_is_no_larger() -> None:
    assert FOUND.covers(budget_s=10.0, trials=None)
    assert FOUND.covers(budget_s=10.0, trials=5)
    assert not FOUND.covers(budget_s=11.0, trials=None)
    limited = replace(FOUND, asked_trials=8)
    assert limited.covers(budget_s=10.0, trials=8)
    assert not limited.covers(budget_s=10.0, trials=None)
    assert not replace(FOUND, kernels=3).covers(budget_s=1.0, trials=1)  # one kernel is not tuned yet
