"""The model registry of this installation, from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models import ModelRegistry
    from ..settings import Settings


def model_registry(settings: Settings) -> ModelRegistry:
    """Return the registry that ``settings`` name."""
    from ..models import ModelRegistry

    return ModelRegistry(settings.resolved_registry_url, settings.home_path / "models")
