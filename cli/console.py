"""Where the command line prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ComponentError, MissingDependencyError, OmniForgeError

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130


def out() -> Console:
    """Return the console for results."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    """Return the console for progress and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn errors into a message and an exit code.

    0 success; 1 the work failed; 2 what was given is wrong; 130 interrupted.
    """
    try:
        yield
    except OmniForgeError as e:
        show_error(e)
        raise SystemExit(e.exit_code) from e
    except ModuleNotFoundError as e:
        show_error(_not_installed(e))
        raise SystemExit(1) from e
    except KeyboardInterrupt:
        err().print("Interrupted.", style="yellow")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(1) from None


def _not_installed(error: ModuleNotFoundError) -> MissingDependencyError:
    """Say what a small installation, an edge machine's say, lacks for a command.

    Raises:
        ModuleNotFoundError: It is a module of this package: a defect, whose traceback is wanted.
    """
    top = (error.name or "").partition(".")[0]
    if not top or top == __package__.partition(".")[0]:
        raise error
    return MissingDependencyError(
        f"This command needs {top}, which is not installed.", hint="Run: pip install 'omniforge[automl]'"
    )


@contextmanager
def interruptible() -> Iterator[None]:
    """Say at Ctrl-C how to go on (the notes of the exception), and exit with 130; typer alone would say nothing."""
    try:
        yield
    except KeyboardInterrupt as e:
        for line in ("Interrupted.", *getattr(e, "__notes__", ())):
            err().print(line, style="yellow", markup=False)
        raise SystemExit(INTERRUPTED) from None


def show_error(error: OmniForgeError) -> None:
    """Print what went wrong, the details of a failed component, and what to do about it."""
    from rich.markup import escape

    console = err()
    if isinstance(error, ComponentError) and error.details:
        console.print(error.details.rstrip(), style="dim", markup=False)
    console.print(f"[bold red]Error:[/] {escape(error.message)}")
    if error.hint:
        console.print(f"[bold]Hint:[/] {escape(error.hint)}")
