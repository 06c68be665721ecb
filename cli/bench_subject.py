"""What ``omniforge bench`` measures: an ONNX file or a registered model, and the rows that it predicts."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, SpecError

if TYPE_CHECKING:
    import numpy as np

    from ..deploy.runtimes import TensorSpec

    Array = np.ndarray[Any, Any]

_MOST_ROWS = 1024
_COMPILED = (".xml", ".so", ".engine", ".pt2")
_NAMES = ("x", "x_test", "X")


@dataclass(frozen=True)
class Subject:
    """A model and rows.

    Args:
        name: What the user called the model.
        path: The ONNX file.
        rows: ``n x ...`` as the model reads them.
        source: Where the rows come from, as reports say it.
        random: Whether they are random numbers.
    """

    name: str
    path: Path
    rows: Array
    source: str
    random: bool = False


def find_subject(model: str, data: Path | None) -> Subject:
    """Return the model and its rows.

    Args:
        model: An ONNX file, or a registered model: ``family``, ``family@alias``, ``family/version``.
        data: Rows: for a file ``.npy``, ``.npz`` or a CSV of numbers, as the model reads them; for a registered model a file
            of raw rows, as ``omniforge predict`` reads them. ``None``: the registered model's examples, or random rows.

    Raises:
        SpecError: There is no such file, or the name is none.
        DataError: The rows cannot be read.
        UnknownNameError: There is no such registered model.
        MeasurementError: The file is no model.
    """
    path = Path(model)
    if path.suffix in (".onnx", *_COMPILED) or path.is_file():
        if not path.is_file():
            raise SpecError(f"There is no model file {model!r}.")
        return _of_file(path, data)
    return _of_registered(model, data)


def _of_file(path: Path, data: Path | None) -> Subject:
    if data is not None:
        return Subject(str(path), path, read_rows(data)[:_MOST_ROWS], str(data))
    if path.suffix in _COMPILED:
        raise SpecError(
            f"{path.name} needs rows: what a {path.suffix} file reads is not looked up before it is measured.",
            hint="--data rows.npy",
        )
    from ..deploy.rows import random_rows

    source = "random numbers (give real rows with --data)"
    return Subject(str(path), path, random_rows(_spec_of(path)), source, random=True)


def _spec_of(path: Path) -> TensorSpec:
    from ..deploy import DEVICES, RUNTIMES, RuntimeOptions

    with RUNTIMES.get("onnxruntime")().prepare(path, device=DEVICES["local"], options=RuntimeOptions()) as session:
        return session.input


def read_rows(path: Path) -> Array:
    """Read rows as a model reads them from an ``.npy``, ``.npz`` (array ``x``) or CSV file of numbers.

    Args:
        path: The file; the first line of a CSV file may have names.

    Raises:
        DataError: There is no such file, or it holds something else.
    """
    import numpy as np

    try:
        if path.suffix in (".npy", ".npz"):
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            with loaded:
                names = [name for name in _NAMES if name in loaded.files] or loaded.files[:1]
                array: Array = loaded[names[0]]
                return array
        first = path.read_text(encoding="utf-8-sig").partition("\n")[0]
        named = any(not _is_number(cell) for cell in first.split(","))
        return np.loadtxt(path, delimiter=",", skiprows=int(named), ndmin=2, encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"There is no file {str(path)!r}.") from None
    except (OSError, ValueError, IndexError, EOFError, zipfile.BadZipFile) as e:
        raise DataError(
            f"The rows in {str(path)!r} cannot be read: {e}.",
            hint="An ONNX file is given rows as it reads them: .npy, .npz with the array x, or a CSV file of numbers.",
        ) from e


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _of_registered(model: str, data: Path | None) -> Subject:
    import numpy as np

    from ..client import Client
    from ..models.inference import load_inference

    version = Client().model(model)
    module = load_inference(version.path)
    inference = module.Model(version.path)
    about = inference.about
    tensor = (about["signature"]["inputs"] or [{}])[0].get("tensor-spec")
    try:
        if data is not None:
            raw, source = (module.read_rows(data) if tensor else module.read_rows(data, about)), str(data)
        elif tensor:
            raw, source = np.asarray(about["example"], dtype=tensor["dtype"]), "the model's examples"
        else:
            import pandas as pd

            raw, source = pd.DataFrame(about["example"]), "the model's examples"
        rows = inference.features(raw[:_MOST_ROWS])
    except module.InputError as e:
        raise DataError(f"The rows of {source if data is None else data} do not fit {version.name}: {e}") from e
    return Subject(version.name, version.path / "model.onnx", rows, source)
