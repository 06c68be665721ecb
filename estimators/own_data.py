"""The data that a bundle brings along: loaded by the bundle's own function, written once as a file like a user's.

The file's folder is named by its content, so that a search, its resumption and the next search read the same file.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.reading import data_version
from ..errors import BundleError, OmniForgeError

if TYPE_CHECKING:
    from .bundle import Bundle


def write_own_data(bundle: Bundle, folder: str | Path) -> Path:
    """Load a bundle's own data and write it, unless the same data is there already.

    Args:
        bundle: A bundle with ``data: {load: ...}``.
        folder: Where data is kept; made if it is missing.

    Returns:
        The file, ``<folder>/<bundle>-<hash>/<bundle>.npz`` or ``.parquet``.

    Raises:
        BundleError: The bundle brings no data; its function fails, or returns neither a data frame nor arrays by name.
    """
    try:
        loaded = bundle.load_data()
    except OmniForgeError:
        raise
    except Exception as e:  # the bundle's own code
        raise BundleError(
            f"Bundle {bundle.name!r}: {bundle.data.load} raised {type(e).__name__}: {e}",
            hint="Give --data and --target to search with data of your own.",
        ) from e
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".own.", dir=root))
    try:
        file = _write(loaded, temporary, bundle)
        final = root / f"{bundle.name}-{data_version(file)[:16]}"
        if not (final / file.name).is_file():
            temporary.chmod(0o755)
            with contextlib.suppress(OSError):  # another process has just written the same
                temporary.rename(final)
        return final / file.name
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(loaded: object, folder: Path, bundle: Bundle) -> Path:
    """Write what a bundle's function returned; equal data gives equal bytes."""
    import numpy as np
    import pandas as pd

    if isinstance(loaded, pd.DataFrame):
        loaded.to_parquet(folder / f"{bundle.name}.parquet", index=False)
        return folder / f"{bundle.name}.parquet"
    if isinstance(loaded, Mapping) and loaded and all(isinstance(name, str) for name in loaded):
        arrays = {str(name): np.asarray(values) for name, values in loaded.items()}
        objects = [name for name, values in arrays.items() if values.dtype.hasobject]
        if objects:
            raise BundleError(
                f"Bundle {bundle.name!r}: {bundle.data.load} returned {objects[0]!r} as an array of Python objects; "
                "expected numbers or texts."
            )
        np.savez(folder / f"{bundle.name}.npz", **arrays)  # type: ignore[arg-type]  # a name may be any text
        return folder / f"{bundle.name}.npz"
    raise BundleError(
        f"Bundle {bundle.name!r}: {bundle.data.load} returned {type(loaded).__name__}; expected a pandas DataFrame, or "
        "arrays by name such as {'x': images, 'y': labels}."
    )
