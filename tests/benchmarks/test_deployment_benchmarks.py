from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omniforge.benchmarks.deployment.hypervolume import volumes
from omniforge.benchmarks.deployment.jobs import Candidate, Run, images


def run(*points: tuple[float, float]) -> Run:
    candidates = [Candidate(i, accuracy, latency_ms, 1.0) for i, (accuracy, latency_ms) in enumerate(points)]
    return Run(candidates, failed=0, search_s=1.0, total_s=2.0)


def test_the_volume_is_taken_from_the_nadir_of_both_fronts() -> None:
    runs = {"one": run((0.9, 4.0), (0.8, 2.0), (0.5, 1.0)), "other": run((0.9, 4.0), (0.7, 2.0), (0.1, 9.0))}
    found = volumes(runs, chance=0.1)["nadir linear"]  # the nadir: 0.5 accurate, 4 ms
    assert found["one"] == pytest.approx(0.3 * 2.0)
    assert found["other"] == pytest.approx(0.2 * 2.0)


def test_what_was_not_measured_adds_nothing() -> None:
    runs = {"one": run((0.9, 4.0), (0.8, 2.0)), "other": run((0.9, 4.0), (0.99, float("nan")))}
    found = volumes(runs, chance=0.1)
    assert found["worst linear"]["one"] == pytest.approx(0.7 * 2.0)
    assert found["worst linear"]["other"] == 0.0


def test_the_images_are_one_file_that_a_job_takes(tmp_path: Path) -> None:
    x = np.arange(40 * 12, dtype=np.uint8).reshape(40, 2, 2, 3)
    np.savez(tmp_path / "cifar10_subset.npz", x_train=x, y_train=np.arange(40) % 10)
    path = images(tmp_path, rows=24, to=tmp_path / "small")
    with np.load(path) as arrays:
        assert arrays["x"].shape == (32, 2, 2, 3)
        assert len(arrays["y"]) == 32
    with pytest.raises(SystemExit, match="--data DIR"):
        images(tmp_path / "nowhere", rows=24, to=tmp_path)
