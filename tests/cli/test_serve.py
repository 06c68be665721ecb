from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_serve_says_that_it_comes_later(cli: Callable[..., Any]) -> None:
    called = cli("serve", "churn/1")
    assert called.code == 1
    assert "later release" in called.err
    assert "omniforge predict churn/1" in called.err
