from __future__ import annotations

import torch

from omniforge.search.bo.rows import INACTIVE, MIDDLE, Rows


def test_what_is_not_active_is_neutral(rows: Rows) -> None:
    X = rows.encode([{"kind": "a", "kind.a.x": 0.25, "rate": 0.5}])
    assert X[0, rows.encoding.columns["kind.b.z"]].tolist() == [MIDDLE]
    assert rows.decode(X) == [{"kind": "a", "kind.a.x": 0.25, "rate": 0.5}]
    assert INACTIVE not in X[0, rows.categorical].tolist()


def test_only_active_numbers_that_decide_nothing_are_free(rows: Rows) -> None:
    free = rows.free([{"kind": "a", "kind.a.x": 0.25, "rate": 0.5}])[0]
    names = {name for name, columns in rows.encoding.columns.items() if bool(free[list(columns)].any())}
    assert names == {"kind.a.x", "rate"}
    assert bool(rows.deciding[torch.tensor(rows.categorical)].all())
