"""A first bundle to start from: a small neural network that can be searched, saved and deployed as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import BundleError
from ...files import write_text
from ..manifest import FILE_NAME

_TEMPLATES = Path(__file__).parent
_FILES = (FILE_NAME, "estimator.py")


def write_starter(folder: str | Path, *, name: str | None = None) -> Path:
    """Write a bundle that can be searched as it stands.

    Args:
        folder: The bundle's folder; made when it does not exist.
        name: The bundle's name: lower-case letters, digits, ``_`` and ``-``; the folder's name when not given.

    Returns:
        The folder.

    Raises:
        BundleError: The name cannot be used, or the folder has a bundle already; nothing is written then.
    """
    import jinja2

    target = Path(folder)
    name = target.resolve().name if name is None else name
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise BundleError(
            f"{name!r} cannot name a bundle.", hint="Use lower-case letters, digits, _ and -, a letter first."
        )
    present = [file for file in _FILES if (target / file).exists()]
    if present:
        raise BundleError(f"{target} has {' and '.join(present)} already.", hint="Choose another folder.")
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=False,  # noqa: S701  # it writes Python and YAML, and the name is checked
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    values = {"name": name, "class_name": class_name(name)}
    rendered = {file: templates.get_template(f"{file}.j2").render(values) for file in _FILES}
    for file, text in rendered.items():
        write_text(target / file, text)
    return target


def class_name(name: str) -> str:
    """Return the class that a bundle's name suggests: ``digits_mlp`` gives ``DigitsMLP``."""
    words = [word for word in re.split(r"[_-]+", name) if word]
    return "".join(word.upper() if word in {"mlp", "cnn", "knn", "svm"} else word.capitalize() for word in words)
