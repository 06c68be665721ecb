from __future__ import annotations

import numpy as np
import pytest
import torch

from omniforge.search import SearchSpace
from omniforge.search.bo.rows import Rows
from omniforge.search.fidelity.process import CurveData, CurveProcess

LINE = SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})
LEVELS = (0.0, 0.5, 1.0)


def data(n: int, *, known: int) -> CurveData:
    """``n`` curves of which all have the first point and the first ``known`` all of them."""
    X = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    owner, u = [], []
    for i in range(n):
        for level in LEVELS if i % (n // known) == 0 else LEVELS[:1]:
            owner.append(i)
            u.append(level)
    at = torch.tensor(u, dtype=torch.float64)
    x = X[owner, 0]
    y = -4.0 * (x - 0.4) ** 2 + at - 0.5
    return CurveData(X, torch.tensor(owner), at, (y - y.mean()) / y.std())


@pytest.fixture(scope="module")
def process() -> CurveProcess:
    return CurveProcess(Rows(LINE), data(12, known=4))


def test_what_was_seen_is_believed(process: CurveProcess) -> None:
    known = process.data
    mean, deviation = process.at(known.X[known.owner], known.u, curves=known.owner)
    assert float((mean - known.y).abs().max()) < 0.25
    assert float(deviation.max()) < 0.5


def test_low_fidelities_of_many_tell_the_full_one(process: CurveProcess) -> None:
    everyone = torch.arange(12)
    final = process.mean(process.data.X, torch.ones(12, dtype=torch.float64), curves=everyone)
    truth = -4.0 * (process.data.X[:, 0] - 0.4) ** 2
    assert np.corrcoef(final.numpy(), truth.numpy())[0, 1] > 0.95


def test_less_is_known_of_what_is_new_and_further(process: CurveProcess) -> None:
    X, one = process.data.X[1:2], torch.ones(1, dtype=torch.float64)
    _, seen = process.at(X, 0 * one, curves=torch.tensor([1]))
    _, ahead = process.at(X, one, curves=torch.tensor([1]))
    _, new = process.at(X, one)
    assert float(seen) < float(ahead) <= float(new)


def test_believing_narrows_and_keeps_the_mean() -> None:
    found = CurveProcess(Rows(LINE), data(12, known=4))
    X, one, curve = found.data.X[1:2], torch.ones(1, dtype=torch.float64), torch.tensor([1])
    before = found.at(X, one, curves=curve)
    found.believe(1, 1.0)
    after = found.at(X, one, curves=curve)
    assert float(after[0]) == pytest.approx(float(before[0]), abs=1e-6)
    assert float(after[1]) < float(before[1])


def test_hyperparameters_can_be_kept(process: CurveProcess) -> None:
    again = CurveProcess(Rows(LINE), process.data, start=process.hyperparameters, refit=False)
    assert again.hyperparameters == process.hyperparameters
    X, u = process.data.X, torch.ones(12, dtype=torch.float64)
    torch.testing.assert_close(again.at(X, u), process.at(X, u))


def test_one_point_is_enough() -> None:
    one = CurveData(
        torch.zeros(1, 1, dtype=torch.float64), torch.tensor([0]), torch.zeros(1, dtype=torch.float64),
        torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip
    assert float(CurveProcess(Rows(LINE), one).mean(one.X, one.u)) == pytest.approx(0.0)
