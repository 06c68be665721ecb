"""Canonical names: however kfp numbered nested components, the result is one and runs the same."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from omniforge.pipelines.canonical import canonical

Compiled = Callable[[str], Path]


def shuffled(document: dict[str, Any], order: tuple[int, ...]) -> dict[str, Any]:
    """Return the pipeline with its ``comp-say*`` and ``exec-say*`` renamed to one another."""
    says = sorted(name.removeprefix("comp-") for name in document["components"] if name.startswith("comp-say"))
    text = json.dumps(document)
    for kind in ("comp", "exec"):
        for says_index, name in enumerate(says):
            text = text.replace(f'"{kind}-{name}"', f'"{kind}-<{order[says_index]}>"')
        for index, name in enumerate(says):
            text = text.replace(f'"{kind}-<{index}>"', f'"{kind}-{name}"')
    renamed: dict[str, Any] = json.loads(text)
    return renamed


@pytest.mark.parametrize("order", itertools.permutations(range(4)))
def test_any_numbering_leads_to_the_same_document(compiled: Compiled, order: tuple[int, ...]) -> None:
    document = yaml.safe_load(compiled("nested").read_text())
    other = shuffled(document, order)
    assert (other == document) == (order == (0, 1, 2, 3))
    assert canonical(other, {}) == (document, {})


@pytest.mark.parametrize("name", ["search", "files", "failing", "branches", "unsupported", "loop_in_loop"])
def test_a_pipeline_that_nests_none_keeps_its_names(compiled: Compiled, name: str) -> None:
    document = yaml.safe_load(next(iter(compiled(name).read_text().split("\n---\n"))))
    before = copy.deepcopy(document)
    assert canonical(document, {}) == (before, {})
    assert document == before


def test_components_that_share_an_executor_get_their_own(compiled: Compiled) -> None:
    document = yaml.safe_load(compiled("nested").read_text())
    shared = copy.deepcopy(document)
    shared["components"]["comp-say-3"]["executorLabel"] = "exec-say-2"
    del shared["deploymentSpec"]["executors"]["exec-say-3"]
    assert canonical(shared, {}) == (document, {})


def test_platform_settings_follow_their_executor(compiled: Compiled) -> None:
    document = yaml.safe_load(compiled("nested").read_text())
    other = shuffled(document, (1, 0, 2, 3))
    settings = {f"exec-say{suffix}": {"podMetadata": {"labels": {"n": suffix}}} for suffix in ("", "-2", "-3")}
    bare: dict[str, Any] = {"pipelineConfig": {}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}, "bare": bare}}
    _, renamed = canonical(other, platform)
    executors = renamed["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors == {
        "exec-say": settings["exec-say-2"], "exec-say-2": settings["exec-say"], "exec-say-3": settings["exec-say-3"],
    }  # fmt: skip
    assert renamed["platforms"]["bare"] == bare
