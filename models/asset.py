"""A model asset: one folder that predicts alone. It is written whole or not at all, and read only if it is unharmed.

::

    model.onnx          the model, features -> probabilities or prediction
    model.json          what it is: task, classes, feature plan, signature, metrics, lineage, hashes of the other files
    predict.py          the inference function, stand-alone
    requirements.txt    what predict.py runs on
    MLmodel             the same for MLflow, with python_env.yaml
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SpecError, StoreError
from .generation import environment_text, mlmodel_text, predict_source, requirements_text
from .signature import input_names, signature_of, tensor_signature_of

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
DESCRIPTION = "model.json"
_EXAMPLES = 5


def write_asset(
    folder: str | Path,
    *,
    onnx_path: str | Path,
    plan: Mapping[str, Any],
    transform_source: str,
    task: str,
    classes: Sequence[Any] | None,
    target: str,
    metrics: Mapping[str, float],
    lineage: Mapping[str, Any],
    example_rows: pd.DataFrame | np.ndarray[Any, Any],
) -> Path:
    """Write a model asset; an asset that is there already is replaced.

    Args:
        folder: The asset's folder; its parent is made if it is missing.
        onnx_path: The exported model: features or a tensor in, probabilities in the order of ``classes`` or prediction out.
        plan: The feature plan, a JSON object.
        transform_source: Python source that defines ``transform(plan, rows)``, raw rows to what the model reads. It is
            pasted into ``predict.py``: standard library, numpy and pandas only, no relative import.
        task: ``"classification"`` or ``"regression"``.
        classes: The labels as JSON values (text, number, boolean); ``None`` for regression.
        target: The column or array that is predicted.
        metrics: Value by name.
        lineage: What the model comes from, a JSON object: data version, space, plan, code, environment, seed, job.
        example_rows: Some raw rows, at least one: a data frame for a model of tables, an array ``n x ...`` for a model of
            images, sequences or tokens. They tell the types, and a few of them become the input example.

    Returns:
        The folder, absolute.

    Raises:
        SpecError: ``classes`` does not go with ``task``, ``transform_source`` is no such source, or there is no model.
        StoreError: The folder cannot be written: nothing is left there.
    """
    _check(task, classes)
    if not Path(onnx_path).is_file():
        raise SpecError(f"There is no exported model {onnx_path}.")
    folder = Path(folder).absolute()
    inputs, signature, tensor = _described(example_rows, plan, target=target, classes=classes)
    source = predict_source(
        transform_source,
        task=task,
        target=target,
        inputs=inputs,
        class_count=len(classes) if classes else None,
        tensor=tensor,
    )
    about = {
        "format": FORMAT,
        "task": task,
        "target": target,
        "classes": None if classes is None else list(classes),
        "signature": signature,
        "metrics": {name: float(value) for name, value in metrics.items()},
        "lineage": dict(lineage),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": dict(plan),
        "example": _example(example_rows, inputs),
    }
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        temporary.chmod(0o755)
        shutil.copyfile(onnx_path, temporary / "model.onnx")
        (temporary / "predict.py").write_text(source, encoding="utf-8")
        (temporary / "requirements.txt").write_text(requirements_text(), encoding="utf-8")
        (temporary / "python_env.yaml").write_text(environment_text(), encoding="utf-8")
        (temporary / "MLmodel").write_text(mlmodel_text(signature), encoding="utf-8")
        _describe(temporary, about)
        replace_folder(temporary, folder)
    except OSError as e:
        raise StoreError(f"The model asset cannot be written to {folder}: {e.strerror or e}.") from e
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def read_asset(folder: str | Path, *, verify: bool = True) -> dict[str, Any]:
    """Return what an asset's ``model.json`` says.

    Args:
        folder: The asset's folder.
        verify: Whether to compare its files with their hashes.

    Raises:
        StoreError: There is no asset, it is from a newer Omniforge, or a file of it is missing or was changed.
    """
    folder = Path(folder)
    try:
        about: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise StoreError(f"There is no model asset in {folder}: {DESCRIPTION} cannot be read ({e}).") from e
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise StoreError(
            f"The model asset in {folder} has the format {about.get('format') if isinstance(about, dict) else '?'!r}; "
            f"expected {FORMAT}.",
            hint="It was written by another version of Omniforge.",
        )
    if verify:
        for name, recorded in about["files"].items():
            if not (folder / name).is_file() or _sha256(folder / name) != recorded["sha256"]:
                raise StoreError(
                    f"The file {name} of the model asset in {folder} is missing or was changed since it was written.",
                    hint="Restore the folder from a copy, or register the model again.",
                )
    return about


def replace_folder(new: Path, folder: Path) -> None:
    """Move the folder ``new`` to ``folder``; what is there is replaced, and stays if moving fails."""
    if not folder.exists():
        new.rename(folder)
        return
    old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    folder.rename(old)  # onto an empty folder
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check(task: str, classes: Sequence[Any] | None) -> None:
    if task not in ("classification", "regression"):
        raise SpecError(f"task = {task!r}: expected 'classification' or 'regression'.")
    if (task == "classification") != (classes is not None):
        raise SpecError(f"classes = {classes!r} with the task {task!r}: expected labels for a classification only.")
    for label in classes or ():
        if not isinstance(label, str | int | float | bool):
            raise SpecError(f"The class {label!r} is a {type(label).__name__}; expected a text, a number or a boolean.")


def update_asset(folder: Path, changes: Mapping[str, Any]) -> None:
    """Change what the ``model.json`` of an asset says; the other files stay as they are."""
    about = read_asset(folder, verify=False)
    _write_description(folder, {**about, **changes})


def _describe(folder: Path, about: Mapping[str, Any]) -> None:
    """Write ``model.json`` with the hashes of the other files, last."""
    files = {path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for path in sorted(folder.iterdir())}
    _write_description(folder, {**about, "files": files})


def _write_description(folder: Path, about: Mapping[str, Any]) -> None:
    text = json.dumps(about, ensure_ascii=False, indent=1)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def _described(
    rows: pd.DataFrame | np.ndarray[Any, Any], plan: Mapping[str, Any], *, target: str, classes: Sequence[Any] | None
) -> tuple[list[str], dict[str, list[dict[str, Any]]], str | None]:
    """Return the names of the inputs, the signature, and for arrays the shape and type of a batch for people."""
    if isinstance(rows, np.ndarray):
        shape = " x ".join(["n", *(str(size) for size in rows.shape[1:])])
        return [], tensor_signature_of(rows, classes=classes), f"{shape}, {rows.dtype}"
    inputs = input_names(plan, [str(name) for name in rows.columns], target=target)
    return inputs, signature_of(rows, inputs, classes=classes), None


def _example(rows: pd.DataFrame | np.ndarray[Any, Any], inputs: Sequence[str]) -> list[Any]:
    """Return a few rows as JSON objects, or one row that is an array as nested lists."""
    if isinstance(rows, np.ndarray):
        return list(rows[:1].tolist())
    present = [name for name in inputs if name in rows.columns]
    text = rows[present].head(_EXAMPLES).to_json(orient="records", date_format="iso", force_ascii=False)
    example: list[Any] = json.loads(text)
    return example


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
