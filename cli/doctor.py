"""``omniforge doctor``: what is installed, what works here, what is missing and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from .console import out, print_json

MEASURING = ("onnxruntime", "fastapi")
SEARCHING = ("torch", "botorch", "scikit-learn", "lightgbm", "skl2onnx", "mlflow", "kfp", "sqlalchemy")
OPTIONAL = {
    "psycopg": ("PostgreSQL as the store", "pip install 'omniforge[postgres]'"),
    "mlperf_loadgen": ("MLPerf's scenarios in omniforge bench", "pip install 'omniforge[loadgen]'"),
}
_PACKAGES = {"mlperf_loadgen": "mlcommons_loadgen"}


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; ``status`` is ``ok``, ``missing`` (optional) or ``broken``."""

    name: str
    status: str
    detail: str
    fix: str = ""


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check this installation; exits with 1 when something that is needed does not work."""
    found = examine()
    if json:
        print_json([asdict(finding) for finding in found])
    else:
        _show(found)
    if any(finding.status == "broken" for finding in found):
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """Return every finding."""
    found = [_python(), *(_package(name) for name in MEASURING), *_searching()]
    found += [_optional(name, use, fix) for name, (use, fix) in OPTIONAL.items()]
    found += _runtimes()
    checks: list[tuple[str, Callable[[], str], str]] = [
        ("resources", _resources, ""),
        ("home", _home, "Set OMNIFORGE_HOME to a folder that can be written."),
        ("device local", _device, "pip install onnxruntime"),
    ]
    if not any(finding.name == "search" for finding in found):
        checks.append(("store", _store, "Check OMNIFORGE_STORE_URL."))
    return [*found, *(_try(name, check, fix) for name, check, fix in checks)]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Finding("python", "ok" if good else "broken", version, "" if good else "Install Python 3.11 or newer.")


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "broken", "not installed", f"pip install {name}")


def _searching() -> list[Finding]:
    """Return what a search needs; one line where nothing of it is there, as on a machine that only measures."""
    found = [_package(name) for name in SEARCHING]
    if any(finding.status == "ok" for finding in found):
        return found
    return [Finding("search", "missing", "not installed: this machine can measure", "pip install 'omniforge[automl]'")]


def _optional(name: str, use: str, fix: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding(name, "missing", f"not installed; needed for {use}", fix)
    return Finding(name, "ok", f"{importlib.metadata.version(_PACKAGES.get(name, name))}: {use}")


def _runtimes() -> list[Finding]:
    """Return which runtimes a model can be measured with here, beside ONNX Runtime."""
    from ..deploy.runtimes.availability import available

    found = []
    for name, one in available().items():
        versions = ", ".join(f"{package} {version}" for package, version in one.versions.items())
        detail = versions or "not installed"
        detail += f"; to run models it needs {one.lacks}" if one.lacks else ""
        found.append(Finding(f"runtime {name}", "ok" if one.usable else "missing", detail, one.install or ""))
    return found


def _try(name: str, check: Callable[[], str], fix: str) -> Finding:
    try:
        return Finding(name, "ok", check())
    except Exception as e:  # noqa: BLE001  # whatever is wrong is what the doctor reports
        return Finding(name, "broken", f"{type(e).__name__}: {e}", getattr(e, "hint", None) or fix)


def _resources() -> str:
    from ..components.scheduler.resources import machine_resources

    free = machine_resources()
    return f"{free.cores} cores, {free.memory_bytes / 2**30:.1f} GiB of memory free"


def _home() -> str:
    import os
    from pathlib import Path

    from ..settings import load_settings

    home = load_settings().home_path
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"{existing} cannot be written")
    return str(home if home.exists() else Path(f"{home} (will be created)"))


def _store() -> str:
    from ..settings import load_settings
    from ..store import open_store

    settings = load_settings()
    if settings.store_url is None and not (settings.home_path / "omniforge.db").exists():
        return "SQLite in home (will be created)"
    with open_store(settings.resolved_store_url) as store:
        return f"{len(store.jobs.list())} jobs"


def _device() -> str:
    import onnxruntime

    providers = ", ".join(onnxruntime.get_available_providers())
    return f"ONNX Runtime {onnxruntime.__version__}: {providers}"


def _show(found: list[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    styles = {"ok": "green", "missing": "yellow", "broken": "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in found:
        fix = f"  {escape(finding.fix)}" if finding.fix else ""
        table.add_row(f"[{styles[finding.status]}]{finding.status}[/]", finding.name, escape(finding.detail) + fix)
    out().print(table)
