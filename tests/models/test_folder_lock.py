from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.errors import StoreError, StoreUnavailableError
from omniforge.models.folder_lock import folder_lock


def test_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with folder_lock(folder):
        with pytest.raises(StoreUnavailableError, match="held"), folder_lock(folder, timeout_s=0.01):
            pass
        with folder_lock(tmp_path / "a" / "c", timeout_s=0.01):
            pass
    with folder_lock(folder, timeout_s=0.01):
        pass


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"), folder_lock(tmp_path):
        raise RuntimeError("boom")
    with folder_lock(tmp_path, timeout_s=0.01):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"), folder_lock(tmp_path / "file" / "x"):
        pass
