"""Read a table from a CSV (plain or gzip), Parquet or Arrow file. What its columns mean is decided elsewhere.

The format is told by the content, not by the name. Reading is strict: what cannot be read as it was meant is refused
with the line, the column and the fix, because a table that was read wrongly trains a model that is wrong silently.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import hashlib
import io
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pandas as pd

from ..errors import DataError
from .column_names import check_choices, check_known, check_unique
from .tidying import tidy_table
from .transform import MISSING_TEXTS

DELIMITERS = (",", ";", "\t", "|")

_GZIP = b"\x1f\x8b"
# The first bytes of files that people give by mistake, and what to do about them.
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "Unpack it, or export the sheet as CSV."),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "Export the sheet as CSV."),
    b"\x89HDF": ("an HDF5 file", "Export the table as Parquet or CSV."),
    b"FEA1": ("a Feather file of version 1", "Write it again as Feather version 2, Parquet or CSV."),
    b"SQLite format 3": ("a SQLite database", "Export the table as Parquet or CSV."),
    b"BZh": ("a bzip2 archive", "Unpack it or pack it with gzip."),
    b"\xfd7zXZ": ("an xz archive", "Unpack it or pack it with gzip."),
    b"(\xb5/\xfd": ("a zstd archive", "Unpack it or pack it with gzip."),
}


def read_table(
    path: str | Path, *, target: str | None = None, delimiter: str | None = None, drop: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a table: a row for each record, plain columns (see ``tidy_table``), rows numbered from 0.

    Args:
        path: A CSV file with a header (UTF-8; plain or gzip), a Parquet file, or an Arrow (Feather 2) file.
        target: A column that must be there.
        delimiter: What separates the cells of a CSV file; by default a tab for ``.tsv`` and a comma for all else.
        drop: Columns to leave out. They must be there.

    Returns:
        The table. ``attrs["source"]`` is the path as it was given, ``attrs["dropped"]`` the names left out.

    Raises:
        DataError: The file is missing, empty, of an unknown format, damaged, ragged or not UTF-8; it has doubled column
            names, no rows, the wrong delimiter, or no such column.
    """
    path = Path(path)
    head = check_file(path)
    check_choices(target, drop=drop)
    known_format = next((read for magic, read in _READERS.items() if head.startswith(magic)), None)
    if known_format is not None:
        frame = known_format(path, drop)
        check_target(target, [str(name) for name in frame.columns], str(path))
    else:
        _refuse_foreign(path, head)
        frame = _read_csv(path, target=target, delimiter=delimiter, drop=drop)
    if frame.empty:
        raise DataError(f"{path} has column names but no rows.", hint="Give a file with at least one row of data.")
    frame.attrs = {"source": str(path), "dropped": list(dict.fromkeys(drop))}
    return tidy_table(frame, source=str(path))


def data_version(path: str | Path) -> str:
    """Return the sha256 of the file's bytes, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_target(target: str | None, names: Sequence[str], source: str) -> None:
    """Refuse a target that is not among the columns ``names``."""
    if target is not None:
        check_known([target], names, source=source, role="the target")


def check_file(path: Path) -> bytes:
    """Return the first bytes of the content, unpacked.

    Raises:
        DataError: There is no such file, it cannot be opened, or it is empty.
    """
    if not path.exists():
        folder = path.parent
        others = [other.name for other in folder.iterdir()] if folder.is_dir() else []
        near = difflib.get_close_matches(path.name, others, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(str(folder / name) for name in near)}?" if near else None
        if not folder.is_dir():
            hint = f"The folder {folder} does not exist either."
        raise DataError(f"There is no data file {path}.", hint=hint or "Check the path of the data file.")
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a CSV, Parquet or Arrow file.", hint="Give one file in it.")
    try:
        with path.open("rb") as file:
            head = file.read(512)
        if head.startswith(_GZIP):
            with gzip.open(path) as packed:
                head = packed.read(512)
    except PermissionError as e:
        raise DataError(f"{path} cannot be read: permission denied.", hint="Change its permissions.") from e
    except (EOFError, gzip.BadGzipFile, zlib.error) as e:
        raise _damaged(path, e) from e
    if not head.strip():
        raise DataError(f"{path} is empty.", hint="Give a file with a header line and at least one row of data.")
    return head


def _refuse_foreign(path: Path, head: bytes) -> None:
    """Refuse a file that is not text."""
    for magic, (what, fix) in _FOREIGN.items():
        if head.startswith(magic):
            raise DataError(f"{path} is {what}; expected CSV, Parquet or Arrow.", hint=fix)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16 text; expected UTF-8.", hint=f"Convert it: iconv -f utf-16 -t utf-8 {path}")
    if b"\0" in head:
        raise DataError(f"{path} is a binary file of an unknown format; expected CSV, Parquet or Arrow.")


def _damaged(path: Path, cause: Exception) -> DataError:
    return DataError(f"{path} is damaged or incomplete: {cause}.", hint="Copy or download the file again.")


def _open_text(path: Path) -> IO[str]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    raw: Any = gzip.open(path) if packed else path.open("rb")  # noqa: SIM115  # closed by the caller with the wrapper
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _header(path: Path, delimiter: str) -> tuple[list[str], str]:
    """Return the column names of a CSV file and the text that they were read from."""
    read: list[str] = []

    def recorded(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            read.append(line)
            yield line

    with _open_text(path) as file:
        rows = csv.reader(recorded(file), delimiter=delimiter)
        names = next((row for row in rows if len(row) > 1 or any(cell.strip() for cell in row)), [])
    if not names:
        raise DataError(f"{path} is empty: it has blank lines only.", hint="Give a file with a header line and rows.")
    return [name.strip() or f"Unnamed: {at}" for at, name in enumerate(names)], "".join(read).strip()


def _read_csv(path: Path, *, target: str | None, delimiter: str | None, drop: Sequence[str]) -> pd.DataFrame:
    """Read a CSV file whose header and rows agree."""
    if delimiter is not None and len(delimiter) != 1:
        raise DataError(f"Delimiter {delimiter!r} has {len(delimiter)} characters; expected one, such as ';'.")
    separator = delimiter or ("\t" if {".tsv", ".tab"} & set(path.suffixes) else ",")
    try:
        names, line = _header(path, separator)
        _check_delimiter(path, names, line, separator=separator, target=target)
        check_unique(names, str(path), drop=drop)
        check_target(target, names, str(path))
        check_known(drop, names, source=str(path), role="to leave out")
        frame = _parse_csv(path, names, separator=separator, drop=set(drop))
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as e:
        if isinstance(e, UnicodeDecodeError):
            raise DataError(
                f"{path} is not UTF-8 text (byte {e.object[e.start]:#04x}: {e.reason}).",
                hint=f"Convert it, for example: iconv -f latin1 -t utf-8 {path} > converted.csv",
            ) from e
        raise _damaged(path, e) from e
    # A header cell without a name and without any value below it is a trailing delimiter, not a column.
    blank = [name for name in frame.columns if name.startswith("Unnamed: ") and frame[name].isna().all()]
    return frame.drop(columns=blank) if len(blank) < frame.shape[1] else frame


def _parse_csv(path: Path, names: list[str], *, separator: str, drop: set[str]) -> pd.DataFrame:
    keep = [at for at, name in enumerate(names) if name not in drop]
    with _open_text(path) as file, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = pd.read_csv(
                file,
                sep=separator,
                header=0,
                names=list(range(len(names))),
                usecols=None if len(keep) == len(names) else keep,
                index_col=False,
                skipinitialspace=True,
                keep_default_na=False,
                na_values=list(MISSING_TEXTS),
                low_memory=False,
                float_precision="round_trip",
            )
        except (pd.errors.ParserError, pd.errors.ParserWarning) as e:
            raise _ragged(path, e, len(names)) from e
    frame.columns = pd.Index([names[int(at)] for at in frame.columns], dtype=object)
    return frame


def _ragged(path: Path, cause: Exception, columns: int) -> DataError:
    """Say which line has too many cells."""
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(cause))
    hint = "Put cells that contain the delimiter in double quotes, or name the delimiter with --delimiter."
    if found:
        expected, line, seen = found.groups()
        return DataError(f"{path}, line {line} has {seen} cells; expected {expected}, as in the header.", hint=hint)
    if isinstance(cause, pd.errors.ParserWarning):
        return DataError(f"{path}: the rows have more cells than the header, which has {columns}.", hint=hint)
    return DataError(f"{path} cannot be read as CSV: {cause}.", hint=hint)


def _check_delimiter(path: Path, names: Sequence[str], line: str, *, separator: str, target: str | None) -> None:
    """Refuse a header that falls apart into columns only with another delimiter."""
    for other in DELIMITERS:
        if other == separator or other not in line:
            continue
        parts = [name.strip() for name in next(csv.reader([line], delimiter=other))]
        found = len(names) == 1 or (target is not None and target not in names and target in parts)
        if found and len(parts) > 1:
            raise DataError(
                f"{path} was read with the delimiter {separator!r} and its header became "
                f"{f'the single column {names[0]!r}' if len(names) == 1 else f'{len(names)} columns'}; "
                f"the delimiter looks like {other!r} ({len(parts)} columns).",
                hint=f"Pass --delimiter {_shell(other)}.",
            )


def _shell(delimiter: str) -> str:
    return {"\t": r"$'\t'"}.get(delimiter, f"'{delimiter}'")


def _read_parquet(path: Path, drop: Sequence[str]) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _from_arrow(pq.ParquetFile(path).read(), path, drop)
    except (pa.ArrowInvalid, OSError) as e:
        raise _damaged(path, e) from e


def _read_arrow(path: Path, drop: Sequence[str]) -> pd.DataFrame:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            return _from_arrow(pa.ipc.open_file(source).read_all(), path, drop)
    except (pa.ArrowInvalid, OSError) as e:
        raise _damaged(path, e) from e


def _read_arrow_stream(path: Path, drop: Sequence[str]) -> pd.DataFrame:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            return _from_arrow(pa.ipc.open_stream(source).read_all(), path, drop)
    except (pa.ArrowInvalid, OSError) as e:
        raise _damaged(path, e) from e


def _from_arrow(table: Any, path: Path, drop: Iterable[str]) -> pd.DataFrame:
    """Return an Arrow table as pandas; an index that pandas stored without a name is left out."""
    names = [str(name) for name in table.column_names]
    check_unique(names, str(path), drop=drop)
    check_known(drop, names, source=str(path), role="to leave out")
    left_out = set(drop)
    keep = [
        at for at, name in enumerate(names) if name not in left_out and not re.fullmatch(r"__index_level_\d+__", name)
    ]
    frame: pd.DataFrame = table.select(keep).to_pandas(ignore_metadata=True, date_as_object=False)
    return frame


_READERS: dict[bytes, Callable[[Path, Sequence[str]], pd.DataFrame]] = {
    b"PAR1": _read_parquet,
    b"ARROW1": _read_arrow,
    b"\xff\xff\xff\xff": _read_arrow_stream,
}
