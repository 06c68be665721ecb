"""Predict with an asset by its own generated inference function: the code that ``python predict.py`` runs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import DataError, StoreError
from .asset import read_asset

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def predict(asset_dir: str | Path, frame: pd.DataFrame | np.ndarray[Any, Any]) -> pd.DataFrame:
    """Predict raw rows with the model asset in a folder.

    Args:
        asset_dir: The folder of the asset; its files are checked against their hashes first.
        frame: ``n`` raw rows. Columns that the model does not read are ignored; their order does not matter. For a model
            of images, sequences or tokens an array ``n x ...``, in the shape and type of its training data.

    Returns:
        A table with the index of ``frame``, or numbered from 0: ``prediction`` (labels in their own type), and for a classification
        ``proba_<class>`` for each class.

    Raises:
        StoreError: There is no asset, or a file of it was changed.
        DataError: A column is missing, a cell cannot be read as what the column holds, or the rows are a table where the
            model reads arrays, or the other way round.
    """
    folder = Path(asset_dir)
    _check_kind(folder, frame)
    module = load_inference(folder)
    try:
        result: pd.DataFrame = module.Model(folder).predict(frame)
    except module.InputError as e:
        message = str(e)
        raise DataError(message[:1].upper() + message[1:]) from e
    return result


def _check_kind(folder: Path, frame: pd.DataFrame | np.ndarray[Any, Any]) -> None:
    (first, *_) = read_asset(folder, verify=False)["signature"]["inputs"] or [{}]
    wanted = first.get("tensor-spec")
    if wanted is not None and hasattr(frame, "columns"):
        shape = " x ".join(["n", *(str(size) for size in wanted["shape"][1:])])
        raise DataError(
            f"The model reads arrays ({shape}, {wanted['dtype']}), not a table.",
            hint="Give an .npy or .npz file: numpy.save('rows.npy', rows).",
        )
    if wanted is None and not hasattr(frame, "columns"):
        raise DataError("The model reads a table, not an array.", hint="Give a CSV, Parquet or Arrow file of rows.")


def load_inference(folder: Path) -> Any:
    """Import the ``predict.py`` of an asset, after checking that it is the one that was written.

    Raises:
        StoreError: There is no asset, or a file of it was changed.
    """
    about = read_asset(folder)
    name = f"_omniforge_asset_{about['files']['predict.py']['sha256'][:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, folder / "predict.py")
    if spec is None or spec.loader is None:
        raise StoreError(f"The inference function {folder / 'predict.py'} cannot be loaded.")
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
