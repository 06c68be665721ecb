from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.components.registry import model_registry
from omniforge.errors import SpecError
from omniforge.settings import Settings


def test_models_live_at_home_unless_told_otherwise(tmp_path: Path) -> None:
    registry = model_registry(Settings(home=tmp_path))
    assert registry.url == f"sqlite:///{tmp_path / 'registry.db'}"
    assert registry.artifacts_dir == tmp_path / "models"
    elsewhere = model_registry(Settings(home=tmp_path, registry_url="postgresql://user@host/models"))
    assert elsewhere.url == "postgresql://user@host/models"
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_no_registry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'ftp://host'"):
        model_registry(Settings(home=tmp_path, registry_url="ftp://host"))
