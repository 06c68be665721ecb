"""Prepare a data file, a table or tensors, for training: profile, split, fit the plans, write it once and atomically.

A folder that holds the same data prepared in the same way is used as it is. Else everything is written into a temporary
folder beside it, which then takes its place: a reader sees the whole of it or nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from .column_names import check_choices
from .planning import ENCODINGS, fit_plan
from .prepared import FORMAT, RECORD_NAME, PreparedData
from .profile import DataProfile
from .profiling import profile_table
from .reading import check_file, data_version, read_table
from .splitting import SPLITS, split_rows, strata_of
from .target import Target, read_target
from .tensor_reading import is_tensor_file, read_tensors
from .tensors import profile_tensors, read_tensor_target, write_tensors

Fill = Callable[[Path], Mapping[str, Any]]


def prepare(
    path: str | Path,
    target: str,
    out_dir: str | Path,
    *,
    task: str = "auto",
    seed: int = 0,
    valid_fraction: float = 0.2,
    test_fraction: float = 0.2,
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
    delimiter: str | None = None,
    accept: Callable[[DataProfile], object] | None = None,
) -> PreparedData:
    """Prepare a data file into a folder, or return what is there if it is the same.

    Args:
        path: The data file: a table (see ``read_table``), or an ``.npz`` file of tensors (see ``read_tensors``).
        target: The column to predict, or the array.
        out_dir: The folder, made if it is missing. Prepared data of other content or options is replaced.
        task: ``auto``, ``classification`` or ``regression``.
        seed: Of the split.
        valid_fraction: The share of rows for validation.
        test_fraction: The share of rows for the test; a file of tensors may bring its own test split.
        drop: Columns to leave out.
        categorical: Columns to take as categories whatever they look like.
        delimiter: What separates the cells of a CSV file; see ``read_table``.
        accept: Called with the profile before anything is written; what it raises ends the call.

    Raises:
        DataError: The file, a column or the target cannot be used, or ``out_dir`` holds something else.
        SpecError: A fraction is out of range.
        UnknownNameError: There is no such task.
    """
    out_dir = Path(out_dir)
    options: dict[str, Any] = {
        "target": target,
        "task": task,
        "seed": seed,
        "valid_fraction": valid_fraction,
        "test_fraction": test_fraction,
        "drop": sorted(set(drop)),
        "categorical": sorted(set(categorical)),
        "delimiter": delimiter,
    }
    check_file(Path(path))
    check_choices(target, drop=drop, categorical=categorical)
    version = data_version(path)
    key = hashlib.sha256(json.dumps([FORMAT, version, options], sort_keys=True).encode()).hexdigest()
    with _locked(out_dir.parent):
        existing = _existing(out_dir)
    if existing is not None and existing.key == key:
        return existing
    record = {"format": FORMAT, "key": key, "data_version": version, "source": Path(path).name, "options": options}
    profile, fill = _read_tensors(Path(path), options) if is_tensor_file(path) else _read_table(Path(path), options)
    if accept is not None:
        accept(profile)
    return _write(profile, fill, out_dir, record=record)


def _read_table(path: Path, options: Mapping[str, Any]) -> tuple[DataProfile, Fill]:
    """Return the profile of a table, and what writes it split and encoded into a folder."""
    name, drop, categorical = options["target"], options["drop"], options["categorical"]
    frame = read_table(path, target=name, delimiter=options["delimiter"], drop=drop)
    profile = profile_table(frame, name, task=options["task"], categorical=categorical)
    target = read_target(frame[profile.target], task=profile.task, source=profile.source)
    return profile, lambda folder: _write_table(frame, target, profile, folder, options)


def _read_tensors(path: Path, options: Mapping[str, Any]) -> tuple[DataProfile, Fill]:
    """Return the profile of a data set of tensors, and what writes it split and normalized into a folder."""
    given = [name for name in ("drop", "categorical", "delimiter") if options[name]]
    if given:
        raise DataError(f"{path} holds arrays and has no columns; {given[0]!r} is for tables.", hint="Leave it out.")
    table = read_tensors(path, options["target"])
    target = read_tensor_target(table, options["target"], task=options["task"])
    shares = {name: options[name] for name in ("valid_fraction", "test_fraction", "seed")}
    return profile_tensors(table, target), lambda folder: write_tensors(table, target, folder, **shares)


def _existing(out_dir: Path) -> PreparedData | None:
    """Return the prepared data in a folder, or None if it is free or of another format.

    Raises:
        DataError: The folder holds something else, which must not be replaced.
    """
    if (out_dir / RECORD_NAME).is_file():
        try:
            return PreparedData.load(out_dir)
        except DataError:
            return None
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise DataError(f"{out_dir} exists and holds no prepared data.", hint="Give an empty or a new folder.")
    return None


def _write(profile: DataProfile, fill: Fill, out_dir: Path, *, record: Mapping[str, Any]) -> PreparedData:
    """Write into a temporary folder that takes the place of ``out_dir``."""
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    try:
        full = {
            **record,
            "target": profile.target,
            "task": profile.task,
            "classes": None if profile.classes is None else list(profile.classes),
            "profile": dataclasses.replace(profile, source=record["source"]).to_dict(),
            **fill(temporary),
        }
        (temporary / RECORD_NAME).write_text(json.dumps(full, allow_nan=False), encoding="utf-8")
        temporary.chmod(0o755)
        with _locked(out_dir.parent):  # a folder is not there for a moment while another takes its place
            _take_place(temporary, out_dir, key=record["key"])
            return PreparedData.load(out_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_table(
    frame: pd.DataFrame, target: Target, profile: DataProfile, folder: Path, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Split a table, fit its plans, write its arrays; return its sizes and plans."""
    if not target.present.all():
        frame = frame[target.present].reset_index(drop=True)
    strata = strata_of(target.y, classes=None if target.classes is None else len(target.classes))
    shares = {name: options[name] for name in ("valid_fraction", "test_fraction", "seed")}
    parts = split_rows(strata, **shares)
    rows = {split: frame.iloc[parts[split]].reset_index(drop=True) for split in SPLITS}
    plans = {encoding: fit_plan(rows["train"], profile, encoding) for encoding in ENCODINGS}
    for split in SPLITS:
        for encoding, plan in plans.items():
            np.save(folder / f"{split}_{encoding}.npy", plan.transform(rows[split]))
        np.save(folder / f"{split}_y.npy", target.y[parts[split]])
        rows[split].to_parquet(folder / f"{split}_rows.parquet", index=False)
    return {
        "sizes": {split: len(parts[split]) for split in SPLITS},
        "plans": {encoding: plan.to_dict() for encoding, plan in plans.items()},
    }


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads from replacing prepared data in ``folder``; nothing where it does not exist."""
    if not folder.is_dir():
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: `_take_place` tries again
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take_place(temporary: Path, out_dir: Path, *, key: str) -> None:
    """Put the temporary folder where ``out_dir`` is, unless another process was faster with the same data."""
    for _ in range(10):
        try:
            temporary.rename(out_dir)  # atomic; also over an empty folder
        except OSError as e:
            if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            existing = _existing(out_dir)
            if existing is not None and existing.key == key:
                return
            aside = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.old.", dir=out_dir.parent))
            with contextlib.suppress(FileNotFoundError):  # another process has just moved it
                out_dir.replace(aside)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            return
    raise DataError(
        f"{out_dir} keeps changing: other processes prepare other data into it.", hint="Give another folder."
    )
