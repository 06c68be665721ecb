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
    import pandas as pd


def predict(asset_dir: str | Path, frame: pd.DataFrame) -> pd.DataFrame:
    """Predict raw rows with the model asset in a folder.

    Args:
        asset_dir: The folder of the asset; its files are checked against their hashes first.
        frame: ``n`` raw rows. Columns that the model does not read are ignored; their order does not matter.

    Returns:
        A table with the index of ``frame``: ``prediction`` (labels in their own type), and for a classification
        ``proba_<class>`` for each class.

    Raises:
        StoreError: There is no asset, or a file of it was changed.
        DataError: A column is missing, or a cell cannot be read as what the column holds.
    """
    folder = Path(asset_dir)
    module = load_inference(folder)
    try:
        result: pd.DataFrame = module.Model(folder).predict(frame)
    except module.InputError as e:
        message = str(e)
        raise DataError(message[:1].upper() + message[1:]) from e
    return result


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
