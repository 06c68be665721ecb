"""The command line: ``omniforge``. Commands load what they need when they run, so ``--help`` answers at once."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from .app import app
    from .console import exit_codes

    with exit_codes():
        app()


__all__ = ["main"]
