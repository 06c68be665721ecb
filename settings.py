"""Where things live and how they are reached, from the environment (``OMNIFORGE_*``). It creates nothing on disk."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import SpecError


class Settings(BaseSettings):
    """One machine's settings; every field is an environment variable ``OMNIFORGE_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="OMNIFORGE_", extra="ignore", frozen=True)

    home: Path = Field(default=Path(".omniforge"), description="jobs, store, model registry and caches")
    store_url: str | None = Field(
        default=None, description="sqlite:///... or postgresql://...; default: SQLite in home"
    )
    registry_url: str | None = Field(default=None, description="MLflow tracking URL; default: SQLite in home")
    image: str = Field(default="omniforge/omniforge:latest", description="container image of pipeline components")
    lease_s: float = Field(default=30.0, gt=0, description="how long a reserved task is held without a heartbeat")

    @property
    def home_path(self) -> Path:
        """The home folder, absolute."""
        return self.home.expanduser().resolve()

    @property
    def resolved_store_url(self) -> str:
        """The store's URL, the default filled in."""
        return self.store_url or f"sqlite:///{self.home_path / 'omniforge.db'}"

    @property
    def resolved_registry_url(self) -> str:
        """The model registry's URL, the default filled in."""
        return self.registry_url or f"sqlite:///{self.home_path / 'registry.db'}"

    def job_path(self, job_id: str) -> Path:
        """The folder that a job writes to."""
        return self.home_path / "jobs" / job_id

    def environment(self) -> dict[str, str]:
        """The variables that give a child process the same settings and keep its caches under home."""
        caches = self.home_path / "cache"
        return {
            "OMNIFORGE_HOME": str(self.home_path),
            "OMNIFORGE_STORE_URL": self.resolved_store_url,
            "OMNIFORGE_REGISTRY_URL": self.resolved_registry_url,
            "OMNIFORGE_IMAGE": self.image,
            "OMNIFORGE_LEASE_S": str(self.lease_s),
            "ORT_DISABLE_TELEMETRY": os.environ.get("ORT_DISABLE_TELEMETRY", "1"),
            "MLFLOW_DISABLE_TELEMETRY": os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true"),
            "MPLBACKEND": os.environ.get("MPLBACKEND", "Agg"),
            "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(caches / "matplotlib")),
        }


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SpecError: A variable has a value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SpecError(
            f"Environment variable OMNIFORGE_{field.upper()} = {first.get('input')!r}: {first['msg']}."
        ) from e
