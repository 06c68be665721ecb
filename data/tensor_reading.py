"""Read tensors from a NumPy file: images, sequences or tokens with their target, or bare rows to predict.

A data set is an ``.npz`` archive with the arrays ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test``, ``y_test``;
``classes`` may name the classes that ``y`` counts, ``layout`` may say what the axes of a row are. Nothing that could
carry code (a pickle) is loaded. What the arrays mean for a task is decided in ``tensors.py``.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .column_names import near_names
from .reading import check_file

TARGET = "y"
LAYOUTS: Mapping[str, str] = {
    "hw": "images of one channel: height, width",
    "hwc": "images: height, width, channels",
    "chw": "images: channels, height, width",
    "tf": "sequences: steps, features",
    "t": "tokens: steps",
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_NPY = b"\x93NUMPY"
_CHANNELS = (1, 2, 3, 4)
_CHUNK_ROWS = 4096

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TensorTable:
    """A data set of tensors as its file has it.

    Args:
        source: The file, as it was given.
        x: ``n`` raw rows.
        y: ``n`` targets.
        test: The first row of the test split, which is the end of ``x``; None when the file has no split.
        layout: What the axes of a row are, one of ``LAYOUTS``.
        classes: The names of the classes that ``y`` counts; None when the file has none.
        unused: Arrays of the file that mean nothing here.
    """

    source: str
    x: Array
    y: Array
    test: int | None
    layout: str
    classes: Array | None
    unused: tuple[str, ...] = ()


def is_tensor_file(path: str | Path) -> bool:
    """Return whether a file is a NumPy file (``.npz``, ``.npy``): its content tells, and for a damaged one its name.

    Raises:
        DataError: There is no such file, or it cannot be opened.
    """
    path = Path(path)
    head = check_file(path)
    if head.startswith(_NPY):
        return True
    if not head.startswith(_ZIP):
        return path.suffix == ".npz"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return path.suffix == ".npz"
    return path.suffix == ".npz" or (bool(names) and all(name.endswith(".npy") for name in names))


def read_tensors(path: str | Path, target: str = TARGET) -> TensorTable:
    """Read a data set of tensors.

    Args:
        path: An ``.npz`` file.
        target: The array to predict; with ``_train`` and ``_test`` behind it where the file has a test split.

    Raises:
        DataError: The file is missing, damaged or holds objects; an array is missing; the shapes do not fit together;
            a value is not finite.
    """
    path = Path(path)
    arrays = _load(path)
    names = _names(path, arrays, target)
    parts = [(arrays[x], _flat(arrays[y], f"{path}: {y}")) for x, y in names]
    for (x, y), (x_name, y_name) in zip(parts, names, strict=True):
        if x.ndim == 0 or len(x) != len(y):
            shown = "no rows" if x.ndim == 0 else f"{len(x):,} rows"
            raise DataError(f"{path}: {x_name!r} has {shown} and {y_name!r} {len(y):,}; expected as many.")
    if len({x.shape[1:] for x, _ in parts}) > 1 or len({x.dtype for x, _ in parts}) > 1:
        shown = " and ".join(f"{name!r} {x.dtype} {x.shape}" for (x, _), (name, _) in zip(parts, names, strict=True))
        raise DataError(f"{path}: {shown} differ in the shape or the type of a row; expected the same.")
    x = parts[0][0] if len(parts) == 1 else np.concatenate([x for x, _ in parts])
    y = parts[0][1] if len(parts) == 1 else np.concatenate([y for _, y in parts])
    used = {name for pair in names for name in pair} | {"classes", "layout"}
    x, layout = _checked_rows(x, arrays.get("layout"), where=f"{path}: {names[0][0]!r}")
    return TensorTable(
        source=str(path),
        x=x,
        y=y,
        test=None if len(parts) == 1 else len(parts[0][0]),
        layout=layout,
        classes=arrays.get("classes"),
        unused=tuple(sorted(set(arrays) - used)),
    )


def read_rows(path: str | Path) -> Array:
    """Read bare rows to predict.

    Args:
        path: An ``.npy`` file, or an ``.npz`` file with the array ``x`` (or ``x_test``, or a single one).

    Raises:
        DataError: The file is missing, damaged or holds objects, or does not say which array is meant.
    """
    path = Path(path)
    arrays = _load(path)
    for name in ("x", "x_test", *(arrays if len(arrays) == 1 else ())):
        if name in arrays:
            return arrays[name]
    raise DataError(
        f"{path} has the arrays {_listed(arrays)}; expected 'x', the rows to predict.",
        hint="Write it with numpy.savez(file, x=rows), or give an .npy file.",
    )


def _load(path: Path) -> dict[str, Array]:
    """Return the arrays of a file by name; ``x`` for an ``.npy`` file."""
    check_file(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            return {str(name): loaded[name] for name in loaded.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError) as e:
        if "allow_pickle" in str(e):
            raise DataError(
                f"{path} holds Python objects, or is no NumPy file: a pickle can run code and is not loaded.",
                hint="Write numbers and texts only: numpy.savez(file, x=images, y=labels), not arrays of objects.",
            ) from e
        raise DataError(
            f"{path} is damaged or incomplete: {str(e) or type(e).__name__}.", hint="Copy or write the file again."
        ) from e


def _names(path: Path, arrays: Mapping[str, Array], target: str) -> list[tuple[str, str]]:
    """Return which arrays are the rows and their target: one pair, or one for training and one for the test."""
    wanted = [("x", target)] if "x" in arrays else [(f"x_{part}", f"{target}_{part}") for part in ("train", "test")]
    missing = next((name for pair in wanted for name in pair if name not in arrays), None)
    if missing is None:
        return wanted
    if "x" not in arrays and "x_train" not in arrays:
        missing = "x"
    role = "the target" if missing.startswith(target) else "the rows"
    near = near_names(missing, list(arrays))
    raise DataError(
        f"{path} has no array {missing!r} ({role}); it has {_listed(arrays)}.",
        hint=near or "Write it with numpy.savez(file, x=images, y=labels), or x_train, y_train, x_test and y_test.",
    )


def _flat(y: Array, where: str) -> Array:
    """Return a target as one value for each row."""
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{where} has the shape {y.shape}; expected one value for each row.",
            hint="Of one-hot classes, write the index: y.argmax(axis=1)." if y.ndim == 2 else None,
        )
    return y


def _checked_rows(x: Array, given: Array | None, *, where: str) -> tuple[Array, str]:
    """Return the rows and their layout.

    Raises:
        DataError: They are no images, sequences or tokens, or hold something else than finite numbers.
    """
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where} has the type {x.dtype}; expected numbers.")
    layout = _layout(x, None if given is None else str(given), where=where)
    if x.dtype == np.float16 or x.dtype == np.float64:
        x = x.astype(np.float32)
    if 0 in x.shape:
        raise DataError(f"{where} has the shape {x.shape}: there is nothing in it.")
    if x.dtype.kind == "f":
        for start in range(0, len(x), _CHUNK_ROWS):
            finite = np.isfinite(x[start : start + _CHUNK_ROWS]).reshape(len(x[start : start + _CHUNK_ROWS]), -1)
            if not finite.all():
                row = start + int(np.argmin(finite.all(axis=1)))
                raise DataError(
                    f"{where} has a value that is not a finite number in row {row + 1:,}.",
                    hint="Fill or leave out such rows before you write the file.",
                )
    return x, layout


def _layout(x: Array, given: str | None, *, where: str) -> str:
    if given is not None:
        if given not in LAYOUTS or x.ndim != len(given) + 1:
            known = ", ".join(repr(name) for name in LAYOUTS)
            raise DataError(
                f"{where} has the shape {x.shape} and the layout {given!r}; expected one of {known} with an axis each."
            )
        return given
    if x.ndim == 4:
        if x.shape[3] in _CHANNELS:
            return "hwc"
        if x.shape[1] in _CHANNELS:
            return "chw"
        raise DataError(
            f"{where} has the shape {x.shape}: neither its second nor its last axis has 1 to 4 channels.",
            hint="Say what the axes are: numpy.savez(file, x=images, y=labels, layout='chw').",
        )
    if x.ndim == 3:
        return "hw"
    if x.ndim == 2 and x.dtype.kind in "iu":
        return "t"
    what = "a table" if x.ndim == 2 else f"{x.ndim} axes"
    raise DataError(
        f"{where} has the shape {x.shape}, which is {what}; expected images (n x h x w, n x h x w x c or n x c x h x w), "
        "sequences (n x t x f, layout='tf') or tokens (whole numbers, n x t).",
        hint="Write a table as CSV or Parquet." if x.ndim == 2 else None,
    )


def _listed(arrays: Mapping[str, Array]) -> str:
    return ", ".join(repr(name) for name in arrays) or "no arrays"
