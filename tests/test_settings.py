from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from omniforge.errors import SpecError
from omniforge.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("OMNIFORGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_everything_is_below_the_home_by_default(tmp_path: Path) -> None:
    settings = load_settings()
    home = tmp_path / ".omniforge"
    assert settings.home_path == home
    assert settings.resolved_store_url == f"sqlite:///{home / 'omniforge.db'}"
    assert settings.resolved_registry_url == f"sqlite:///{home / 'registry.db'}"
    assert settings.job_path("churn-1") == home / "jobs" / "churn-1"
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OMNIFORGE_HOME", "~/models")
    monkeypatch.setenv("OMNIFORGE_STORE_URL", "postgresql://host/db")
    monkeypatch.setenv("OMNIFORGE_LEASE_S", "2.5")
    monkeypatch.setenv("OMNIFORGE_UNKNOWN", "is somebody else's")
    settings = load_settings()
    assert settings.home_path == tmp_path / "models"
    assert settings.resolved_store_url == "postgresql://host/db"
    assert settings.lease_s == 2.5


@pytest.mark.parametrize("value", ["soon", "0", "-1"])
def test_a_wrong_variable_is_named_with_its_value(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIFORGE_LEASE_S", value)
    with pytest.raises(SpecError, match=f"OMNIFORGE_LEASE_S = '{value}'"):
        load_settings()


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(home=Path("here"), lease_s=3.0, image="forge:1")
    given = settings.environment()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    child = load_settings()
    assert (child.home_path, child.lease_s, child.image) == (tmp_path / "here", 3.0, "forge:1")
    assert child.resolved_store_url == f"sqlite:///{tmp_path / 'here' / 'omniforge.db'}"
    assert child.environment() == given


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().lease_s = 3.0  # type: ignore[misc]
