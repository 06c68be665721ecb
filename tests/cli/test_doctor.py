from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.cli.doctor import examine


def test_this_installation_is_well(cli: Callable[..., Any]) -> None:
    called = cli("doctor", "--json")
    found = {finding["name"]: finding for finding in json.loads(called.out)}
    assert called.code == 0, called.out
    assert found["store"]["status"] == "ok"
    assert "ONNX Runtime" in found["device local"]["detail"]
    assert "python" in cli("doctor").out


def test_what_is_broken_is_named_with_its_fix(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIFORGE_STORE_URL", "postgresql://nobody@127.0.0.1:9/none")
    called = cli("doctor", "--json")
    found = {finding["name"]: finding for finding in json.loads(called.out)}
    assert called.code == 1
    assert found["store"]["status"] == "broken"
    assert found["store"]["fix"]


def test_looking_creates_nothing(home: Path) -> None:
    examine()
    assert not home.exists()
