from __future__ import annotations

import numpy as np
import pytest
import torch

from omniforge.search import SearchSpace
from omniforge.search.bo.rows import Rows
from omniforge.search.fidelity.process import CurveData, CurveProcess

LINE = SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})
LEVELS = (0, 1, 2)
FULL = torch.full((12,), 2)


def data(n: int, *, known: int) -> CurveData:
    """``n`` curves of which all have the first point and the first ``known`` all of them."""
    X = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    owner, reached = [], []
    for i in range(n):
        for level in LEVELS if i % (n // known) == 0 else LEVELS[:1]:
            owner.append(i)
            reached.append(level)
    at = torch.tensor(reached)
    x = X[owner, 0]
    y = -4.0 * (x - 0.4) ** 2 + at / 2 - 0.5
    return CurveData(X, torch.tensor(owner), at, (y - y.mean()) / y.std())


@pytest.fixture(scope="module")
def process() -> CurveProcess:
    return CurveProcess(Rows(LINE), data(12, known=4), levels=3)


def test_what_was_seen_is_believed(process: CurveProcess) -> None:
    known = process.data
    mean, deviation = process.at(known.X[known.owner], known.level, curves=known.owner)
    assert float((mean - known.y).abs().max()) < 0.25
    assert float(deviation.max()) < 0.5


def test_low_fidelities_of_many_tell_the_full_one(process: CurveProcess) -> None:
    everyone = torch.arange(12)
    final = process.mean(process.data.X, FULL, curves=everyone)
    truth = -4.0 * (process.data.X[:, 0] - 0.4) ** 2
    assert np.corrcoef(final.numpy(), truth.numpy())[0, 1] > 0.95


def test_less_is_known_of_what_is_new_and_further(process: CurveProcess) -> None:
    X, full = process.data.X[1:2], FULL[:1]
    _, seen = process.at(X, 0 * full, curves=torch.tensor([1]))
    _, ahead = process.at(X, full, curves=torch.tensor([1]))
    _, new = process.at(X, full)
    assert float(seen) < float(ahead) <= float(new)


def test_believing_narrows_and_keeps_the_mean() -> None:
    found = CurveProcess(Rows(LINE), data(12, known=4), levels=3)
    X, full, curve = found.data.X[1:2], FULL[:1], torch.tensor([1])
    before = found.at(X, full, curves=curve)
    found.believe(1, 2)
    after = found.at(X, full, curves=curve)
    assert float(after[0]) == pytest.approx(float(before[0]), abs=1e-6)
    assert float(after[1]) < float(before[1])


def test_hyperparameters_can_be_kept(process: CurveProcess) -> None:
    again = CurveProcess(Rows(LINE), process.data, levels=3, start=process.hyperparameters, refit=False)
    assert again.hyperparameters == process.hyperparameters
    torch.testing.assert_close(again.at(process.data.X, FULL), process.at(process.data.X, FULL))


def test_one_point_is_enough() -> None:
    one = CurveData(
        torch.zeros(1, 1, dtype=torch.float64), torch.tensor([0]), torch.tensor([0]),
        torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip
    assert float(CurveProcess(Rows(LINE), one, levels=1).mean(one.X, one.level)) == pytest.approx(0.0)


def test_a_ladder_says_the_same_as_single_looks(process: CurveProcess) -> None:
    X, curves = process.data.X[1:4], torch.tensor([1, 2, 3])
    ladder = process.ladder(X, curves=curves)
    for level in LEVELS:
        mean, deviation = process.at(X, torch.full((3,), level), curves=curves)
        torch.testing.assert_close(ladder.mean[:, level], mean)
        torch.testing.assert_close(ladder.variance[:, level], deviation**2)
    torch.testing.assert_close(ladder.covariance[:, 2], ladder.variance[:, 2])
    assert bool((ladder.covariance[:, 0] ** 2 <= ladder.variance[:, 0] * ladder.variance[:, 2] + 1e-9).all())


def test_a_level_of_noise_is_found_out() -> None:
    rng = np.random.default_rng(0)
    x = rng.random(24)
    X = torch.from_numpy(x)[:, None]
    first, second = rng.standard_normal(24), np.sin(6 * x)
    known = CurveData(
        X,
        torch.arange(24).repeat(2),
        torch.tensor([0] * 24 + [1] * 24),
        torch.from_numpy(np.concatenate([first, second / second.std()])),
    )
    ladder = CurveProcess(Rows(LINE), known, levels=2).ladder(torch.tensor([[0.03], [0.51]], dtype=torch.float64))
    told = ladder.covariance[:, 0] ** 2 / ladder.variance[:, 0] / ladder.variance[:, 1]
    assert float(told.max()) < 0.3
