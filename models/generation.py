"""The files of an asset that are generated: ``predict.py``, its requirements, what MLflow reads. Texts only."""

from __future__ import annotations

import ast
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import SpecError

_RUNS_ON = ("numpy", "onnxruntime", "pandas")
_TEMPLATE_NAMES = frozenset({"FOLDER", "InputError", "Model", "ROWS_AT_ONCE", "main", "read_rows"})
_TABLES, _TENSORS = "predict.py.j2", "predict_tensors.py.j2"


def predict_source(
    transform_source: str,
    *,
    task: str,
    target: str,
    inputs: Sequence[str],
    class_count: int | None,
    tensor: str | None = None,
) -> str:
    """Return the source of the stand-alone inference function.

    Args:
        transform_source: Source that defines ``transform(plan, frame)``.
        task: ``"classification"`` or ``"regression"``.
        target: The column that is predicted.
        inputs: The raw columns that the model reads.
        class_count: Number of classes; ``None`` for regression.
        tensor: The shape and type of the rows where they are arrays, as people read it; ``None`` for tables.

    Raises:
        SpecError: ``transform_source`` does not parse, has no such function, or imports relatively.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701  # Python, not HTML
    )
    template = templates.get_template(_TABLES if tensor is None else _TENSORS)
    about = f"Predict {target} ({task})." if class_count is None else f"Predict {target} ({class_count} classes)."
    source = template.render(
        target=_in_docstring(target),
        task=task,
        class_count=class_count,
        transform_source=_pasted(transform_source),
        description=repr(about.replace("%", "%%")),
        columns_help=repr((tensor or ", ".join(inputs)).replace("%", "%%")),
        shape=tensor or "",
    )
    ast.parse(source)  # a defect of the template must not reach an asset
    return source


def _in_docstring(text: str) -> str:
    """Return a column's name as it can stand in a docstring."""
    return json.dumps(text, ensure_ascii=True).replace("\\", "").replace('"', "'")


def _pasted(source: str) -> str:
    """Return a module's source as it can stand inside another one: without its docstring and ``__future__`` imports.

    Raises:
        SpecError: It does not parse, defines no ``transform``, or imports from its own package.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as e:
        raise SpecError(f"transform_source does not parse: line {e.lineno}: {e.msg}.") from e
    if not any(isinstance(node, ast.FunctionDef) and node.name == "transform" for node in tree.body):
        raise SpecError("transform_source defines no function transform(plan, frame).")
    taken = sorted(_top_level_names(tree) & _TEMPLATE_NAMES)
    if taken:
        raise SpecError(f"transform_source defines {taken[0]!r}, a name that predict.py has for something else.")
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > 0]
    if relative:
        raise SpecError(
            f"transform_source, line {relative[0].lineno}: a relative import cannot work in a stand-alone file."
        )
    lines = source.splitlines()
    for node in reversed(tree.body):
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        is_docstring = node is tree.body[0] and ast.get_docstring(tree) is not None
        if is_future or is_docstring:
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).strip("\n")


def _top_level_names(tree: ast.Module) -> set[str]:
    """Return what a module defines."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names


def requirements_text() -> str:
    """Return what ``predict.py`` runs on, in the versions that the model was made with."""
    pinned = "".join(f"{name}=={metadata.version(name)}\n" for name in _RUNS_ON)
    return f"# python {platform.python_version()}\n{pinned}# pyarrow, to read Parquet and Arrow files\n"


def environment_text() -> str:
    """Return the ``python_env.yaml`` that MLflow builds an environment from."""
    return f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"


def mlmodel_text(signature: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the ``MLmodel`` file: MLflow loads ``predict.py`` as a Python function, and shows the signature.

    Args:
        signature: ``{"inputs": [...], "outputs": [...]}``, lists of MLflow column specifications.
    """
    import yaml

    function = {
        "loader_module": "predict",
        "code": ".",
        "data": ".",
        "python_version": platform.python_version(),
        "env": {"virtualenv": "python_env.yaml"},
    }
    text: str = yaml.safe_dump(
        {
            "flavors": {"python_function": function},
            "signature": {key: json.dumps(list(columns), ensure_ascii=True) for key, columns in signature.items()},
        },
        sort_keys=False,
        allow_unicode=False,
    )
    return text
