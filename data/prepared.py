"""A prepared data set on disk: arrays of each split and encoding, the raw rows, the plans and the profile.

::

    prepared.json                 what it is: format, key, data version, target, task, classes, profile, plans, sizes
    <split>_<encoding>.npy        X, float32 n x d, or a tensor (float32 n x c x h x w, ...); loaded memory-mapped
    <split>_y.npy                 class indices (int64) or values (float64)
    <split>_rows.parquet          the raw rows, tidy, target included, in the same order; of tensors <split>_rows.npy

Loading touches only the JSON file; arrays come from disk when they are read, and processes share their pages.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from ..errors import DataError, SpecError, UnknownNameError
from .profile import DataProfile, Label, Task
from .splitting import SPLITS

if TYPE_CHECKING:
    from .planning import FeaturePlan
    from .tensor_planning import TensorPlan

FORMAT = 1
RECORD_NAME = "prepared.json"
TENSOR = "tensor"

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

    @property
    def encodings(self) -> tuple[str, ...]:
        """The encodings that there are: ``ordinal`` and ``onehot`` of a table, ``tensor`` of all else."""
        return tuple(self.record["plans"])

    @property
    def usual_encoding(self) -> str:
        """The encoding of a model that does not say which one it reads."""
        return self.encodings[-1]

    @property
    def width(self) -> int:
        """How many numbers a row has in the usual encoding."""
        plan = self.record["plans"][self.usual_encoding]
        return math.prod(plan["shape"]) if "shape" in plan else int(plan["width"])

    @overload
    def plan(self, encoding: Literal["tensor"]) -> TensorPlan: ...  # type: ignore[overload-overlap]  # the one exception

    @overload
    def plan(self, encoding: str) -> FeaturePlan: ...

    def plan(self, encoding: str) -> FeaturePlan | TensorPlan:
        """Return how raw rows become the features of an encoding.

        Raises:
            UnknownNameError: There is no such encoding.
        """
        from .planning import FeaturePlan  # needs pandas, which loading does not
        from .tensor_planning import TensorPlan

        spec = self.record["plans"][self._known_encoding(encoding)]
        return TensorPlan.from_dict(spec) if encoding == TENSOR else FeaturePlan.from_dict(spec)

    def arrays(self, split: str, encoding: str, *, rows: float = 1.0) -> tuple[Array, Array]:
        """Return features and target of a split, read-only and memory-mapped.

        Args:
            split: ``train``, ``valid``, ``test``, or several joined by ``+`` (then a copy in memory).
            encoding: ``ordinal`` or ``onehot``; ``tensor`` for images, sequences and tokens.
            rows: The share of the rows, in (0, 1]: a stratified sample, always the same one, contained in every larger
                one, with every class in it.

        Returns:
            ``X``, float32 ``n x d`` (``tensor``: float32 ``n x c x h x w`` or ``n x t x f``, or int64 ``n x t``), and ``y``,
            int64 class indices or float64 values, ``n``.

        Raises:
            UnknownNameError: There is no such split or encoding.
            SpecError: ``rows`` is out of range.
        """
        self._known_encoding(encoding)
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

    def labels(self, split: str) -> Array:
        """Return the target of a split: int64 class indices or float64 values, ``n``, read-only and memory-mapped.

        Raises:
            UnknownNameError: There is no such split.
        """
        labels: Array = np.load(self.root / f"{self._known('split', split, SPLITS)}_y.npy", mmap_mode="r")
        return labels

    def rows(self, split: str) -> Any:
        """Return the raw rows of a split, in the order of the arrays.

        Returns:
            Of a table a data frame, tidy, the target included; of tensors an array ``n x ...`` in the shape and type of
            the file, read-only and memory-mapped.

        Raises:
            UnknownNameError: There is no such split.
        """
        self._known("split", split, SPLITS)
        if TENSOR in self.encodings:
            return np.load(self.root / f"{split}_rows.npy", mmap_mode="r")
        import pandas as pd

        return pd.read_parquet(self.root / f"{split}_rows.parquet")

    def _known_encoding(self, name: str) -> str:
        return self._known("encoding", name, self.encodings)

    @staticmethod
    def _known(what: str, name: str, known: Any) -> str:
        if name not in known:
            raise UnknownNameError(what, name, known)
        return name
