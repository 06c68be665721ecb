"""``omniforge init``: a folder with an estimator bundle to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import SpecError
from .console import out, print_json


def init(
    folder: Annotated[Path, typer.Argument(help="A new folder.", metavar="DIR")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write an estimator bundle to start from, and say how to run it."""
    from ..estimators import write_starter

    try:
        write_starter(folder)
    except OSError as e:
        raise SpecError(f"Folder {str(folder)!r} cannot be written: {e.strerror or e}.") from e
    files = sorted(path.name for path in folder.iterdir())
    if json:
        print_json({"bundle": str(folder.absolute()), "files": files})
        return
    out().print(f"Wrote {', '.join(files)} into {folder}. Next:")
    out().print(f"  omniforge space show {folder}")
    out().print(f"  omniforge run hpo --estimator {folder} --data FILE --target COL")
