from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from omniforge.errors import BundleError, UnknownNameError
from omniforge.registry import Registry, resolve


@pytest.fixture
def codecs() -> Registry[Callable[..., Any]]:
    return Registry("codec", {"dump": "json:dumps", "load": "json:loads", "gone": "json:gone"})


def test_a_name_is_resolved_on_first_use(codecs: Registry[Callable[..., Any]]) -> None:
    assert codecs.get("dump") is json.dumps
    assert list(codecs) == ["dump", "gone", "load"]
    assert len(codecs) == 3
    assert "load" in codecs
    assert "store" not in codecs


def test_nothing_is_imported_until_it_is_asked_for() -> None:
    code = (
        "import sys; from omniforge.registry import Registry; r = Registry('x', {'a': 'wave:open'});"
        "before = 'wave' in sys.modules; r.get('a'); print(before, 'wave' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "True"]


def test_an_unknown_name_has_the_nearest(codecs: Registry[Callable[..., Any]]) -> None:
    with pytest.raises(UnknownNameError) as caught:
        codecs.get("dumb")
    assert str(caught.value) == "There is no codec named 'dumb'.\nDid you mean 'dump'?"


def test_names_are_added_and_replaced(codecs: Registry[Callable[..., Any]]) -> None:
    assert codecs.get("load") is json.loads
    codecs.register("load", "json:load")
    codecs.register("double", lambda x: 2 * x)
    assert codecs.get("load") is json.load
    assert codecs.get("double")(4) == 8


def test_relative_modules_start_from_the_package() -> None:
    strategies: Registry[Any] = Registry("x", {"files": ".files:write_text"}, package="omniforge")
    assert strategies.get("files").__module__ == "omniforge.files"


@pytest.mark.parametrize("target", ["json", "json:", ":dumps", ""])
def test_an_entry_point_of_another_form_is_refused(target: str) -> None:
    with pytest.raises(BundleError, match="'module:attribute'"):
        resolve(target)


def test_a_missing_attribute_is_named(codecs: Registry[Callable[..., Any]]) -> None:
    with pytest.raises(BundleError, match="Module 'json' has no attribute 'gone'"):
        codecs.get("gone")
