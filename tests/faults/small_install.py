"""The small install of an edge machine: a virtual environment with what ``pip install omniforge`` brings, and no more."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import omniforge

PACKAGES = tuple(
    tomllib.loads((Path(omniforge.__file__).parent / "pyproject.toml").read_text())["project"]["dependencies"]
)


def small_install(folder: Path) -> Path:
    """Make it of links to what is installed here; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for name in needed(PACKAGES):
        distribution = importlib.metadata.distribution(name)
        tops = {path.parts[0] for path in distribution.files or () if path.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(top))).resolve())
    (site / "omniforge").symlink_to(Path(omniforge.__file__).parent)
    return folder / "bin" / "python"


def needed(names: tuple[str, ...]) -> set[str]:
    """Return the names of these packages and of all that they require, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[(]", waiting.pop())[0]).lower()
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or version of Python
        if name not in found:
            found.add(name)
            waiting += [one for one in requires if "extra ==" not in one]
    return found
