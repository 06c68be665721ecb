"""``omniforge serve``: says that it comes later and what serves today."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import OmniForgeError


def serve(
    model: Annotated[str, typer.Argument(help="family, family@alias or family/version.", metavar="MODEL")],
) -> None:
    """Serve a model (comes in a later release)."""
    raise OmniForgeError(
        "Serving comes in a later release.",
        hint=f"Until then: omniforge predict {model} --data FILE -o OUT.csv, or the model folder's own predict.py.",
    )
