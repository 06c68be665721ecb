"""The values that a run gives."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from omniforge.errors import OmniForgeError
from omniforge.pipelines.local import Artifact, RunStoppedError, TaskEvent


def test_an_artifact_is_where_its_uri_says() -> None:
    assert Artifact("m", "system.Model", "/a/b").path == Path("/a/b")


def test_values_do_not_change() -> None:
    event = TaskEvent("t", "t", "started", 0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.state = "failed"  # type: ignore[misc]


def test_a_stop_is_an_error_of_ours() -> None:
    assert issubclass(RunStoppedError, OmniForgeError)
    assert RunStoppedError("stopped").exit_code == 1
