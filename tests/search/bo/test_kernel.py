from __future__ import annotations

import numpy as np
import torch

from omniforge.search.bo.kernel import MixedKernel
from omniforge.search.bo.rows import Rows


def test_it_is_symmetric_positive_definite_and_largest_at_itself(rows: Rows) -> None:
    kernel = MixedKernel(rows)
    A = kernel.embed(rows.encode(rows.space.sample_many(30, np.random.default_rng(1))))
    K = kernel(kernel.mean, A, A)
    torch.testing.assert_close(K, K.T)
    assert float(torch.linalg.eigvalsh(K + 1e-9 * torch.eye(30)).min()) > 0
    torch.testing.assert_close(K.diagonal(), kernel.diagonal(kernel.mean).expand(30, 1)[:, 0], rtol=1e-5, atol=1e-5)


def test_another_branch_is_less_alike_than_the_same_one(rows: Rows) -> None:
    kernel = MixedKernel(rows)
    here = {"kind": "a", "kind.a.x": 0.5, "rate": 0.5}
    near, far = {**here, "kind.a.x": 0.6}, {"kind": "b", "kind.b.z": 5, "rate": 0.5}
    E = kernel.embed(rows.encode([here, near, far]))
    K = kernel(kernel.mean, E, E)
    assert float(K[0, 0]) > float(K[0, 1]) > float(K[0, 2])
