"""A prepared data set on disk: arrays of each split and encoding, the raw rows, the plans and the profile.

::

    prepared.json                 what it is: format, key, data version, target, task, classes, profile, plans, sizes
    <split>_<encoding>.npy        X, float32 n x d; loaded memory-mapped
    <split>_y.npy                 class indices (int64) or values (float64)
    <split>_rows.parquet          the raw rows, tidy, target included, in the same order

Loading touches only the JSON file; arrays come from disk when they are read, and processes share their pages.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, SpecError, UnknownNameError
from .profile import DataProfile, Label, Task
from .splitting import SPLITS

if TYPE_CHECKING:
    import pandas as pd

    from .planning import FeaturePlan

FORMAT = 1
RECORD_NAME = "prepared.json"

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PreparedData:
    """A prepared data set.

    Args:
        root: Its folder.
        record: What ``prepared.json`` says.
    """

    root: Path
    record: Mapping[str, Any]

    @classmethod
    def load(cls, root: str | Path) -> PreparedData:
        """Load a prepared data set.

        Raises:
            DataError: There is none in the folder, or it is of another format.
        """
        root = Path(root)
        try:
            record = json.loads((root / RECORD_NAME).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as e:
            raise DataError(f"There is no prepared data in {root}.", hint="Prepare a data file into it first.") from e
        except json.JSONDecodeError as e:
            raise DataError(
                f"{root / RECORD_NAME} is damaged: {e}.", hint="Delete the folder and prepare again."
            ) from e
        if record.get("format") != FORMAT:
            raise DataError(
                f"The prepared data in {root} has the format {record.get('format')!r}; expected {FORMAT}.",
                hint="Delete the folder and prepare again.",
            )
        return cls(root, record)

    @property
    def key(self) -> str:
        """The hash of the file's content and all options: equal keys mean equal prepared data."""
        return str(self.record["key"])

    @property
    def data_version(self) -> str:
        """The sha256 of the data file's bytes."""
        return str(self.record["data_version"])

    @property
    def source(self) -> str:
        """The name of the data file."""
        return str(self.record["source"])

    @property
    def target(self) -> str:
        """The column that is predicted."""
        return str(self.record["target"])

    @property
    def task(self) -> Task:
        """``classification`` or ``regression``."""
        task: Task = self.record["task"]
        return task

    @property
    def classes(self) -> list[Label] | None:
        """The classes in the order of their indices, with the types of the file; None for regression."""
        classes: list[Label] | None = self.record["classes"]
        return None if classes is None else list(classes)

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each split."""
        return dict(self.record["sizes"])

    @cached_property
    def profile(self) -> DataProfile:
        """What is known about the table."""
        return DataProfile.from_dict(self.record["profile"])

    def plan(self, encoding: str) -> FeaturePlan:
        """Return how raw rows become the features of an encoding.

        Raises:
            UnknownNameError: There is no such encoding.
        """
        from .planning import FeaturePlan  # needs pandas, which loading does not

        return FeaturePlan.from_dict(self.record["plans"][self._known("encoding", encoding, self.record["plans"])])

    def arrays(self, split: str, encoding: str, *, rows: float = 1.0) -> tuple[Array, Array]:
        """Return features and target of a split, read-only and memory-mapped.

        Args:
            split: ``train``, ``valid``, ``test``, or several joined by ``+`` (then a copy in memory).
            encoding: ``ordinal`` or ``onehot``.
            rows: The share of the rows, in (0, 1]: a stratified sample, always the same one, contained in every larger
                one, with every class in it.

        Returns:
            ``X``, float32 ``n x d``, and ``y``, int64 class indices or float64 values, ``n``.

        Raises:
            UnknownNameError: There is no such split or encoding.
            SpecError: ``rows`` is out of range.
        """
        self._known("encoding", encoding, self.record["plans"])
        if not 0.0 < rows <= 1.0:
            raise SpecError(f"rows = {rows}: expected a share above 0 and at most 1.")
        if "+" in split:
            parts = [self.arrays(part, encoding, rows=rows) for part in split.split("+")]
            return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
        size = self.sizes[self._known("split", split, SPLITS)]
        count = min(size, max(math.ceil(rows * size), len(self.record["classes"] or ()), 1))
        x = np.load(self.root / f"{split}_{encoding}.npy", mmap_mode="r")
        y = np.load(self.root / f"{split}_y.npy", mmap_mode="r")
        return x[:count], y[:count]

    def rows(self, split: str) -> pd.DataFrame:
        """Return the raw rows of a split, tidy, the target included, in the order of the arrays.

        Raises:
            UnknownNameError: There is no such split.
        """
        import pandas as pd

        return pd.read_parquet(self.root / f"{self._known('split', split, SPLITS)}_rows.parquet")

    @staticmethod
    def _known(what: str, name: str, known: Any) -> str:
        if name not in known:
            raise UnknownNameError(what, name, known)
        return name
