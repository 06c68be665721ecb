"""A version of a registered model, and how one is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import SpecError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model family.

    Args:
        family: The family's name.
        version: Counts from 1.
        path: The folder of the asset.
        aliases: The aliases that point to this version.
        metrics: Value by name.
        lineage: What the model comes from.
        task: ``"classification"`` or ``"regression"``.
        created_at: When it was registered, UTC.
    """

    family: str
    version: int
    path: Path
    aliases: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""
    created_at: datetime | None = None

    @property
    def name(self) -> str:
        """``family/version``: what every command takes for MODEL."""
        return f"{self.family}/{self.version}"


@dataclass(frozen=True)
class ModelName:
    """A model as it is named: ``family``, ``family@alias`` or ``family/version``."""

    family: str
    alias: str | None = None
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """Read a name.

        Raises:
            SpecError: It is of another form.
        """
        family, at, alias = text.partition("@")
        family, slash, version = family.partition("/")
        is_version = bool(slash) and version.isascii() and version.isdigit() and int(version) > 0
        if (at and slash) or (at and not _NAME.fullmatch(alias)) or (slash and not is_version):
            raise SpecError(
                f"Model {text!r} is not of the form 'family', 'family@alias' or 'family/version'.",
                hint="For example churn, churn@champion or churn/3.",
            )
        return cls(check_family(family), alias=alias or None, version=int(version) if is_version else None)


def check_family(family: str) -> str:
    """Return the name of a family.

    Raises:
        SpecError: It is empty, too long, or has characters that cannot be part of a folder's name.
    """
    if not _NAME.fullmatch(family):
        raise SpecError(
            f"Model family {family!r}: expected up to 200 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit."
        )
    return family
