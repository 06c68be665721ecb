"""The package's own face: light to import, and each public name is one thing whatever was imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest

import omniforge.search


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pandas', 'scipy', 'sklearn', 'botorch', 'yaml'}"
    assert run(f"import sys, omniforge.search\nprint(sorted({heavy} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize("name", sorted(omniforge.search.__all__))
def test_every_public_name_resolves(name):
    assert getattr(omniforge.search, name) is not None


@pytest.mark.parametrize("name", ["ablation", "importance", "strategy"])
def test_a_function_is_not_hidden_by_the_module_of_the_same_name(name):
    code = f"import omniforge.search.{name}\nfrom omniforge.search import {name} as found\nprint(type(found).__name__)"
    assert run(code) == "function"


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="has no attribute 'stratgy'"):
        omniforge.search.stratgy  # noqa: B018
