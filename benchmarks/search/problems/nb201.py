"""NAS-Bench-201 as a table: 15,625 cells of six edges, with a `cell` parameter or with six plain choices.

One problem per signal, the accuracy that a search sees: of a short training (``cifar10_valid_12``) or of a full one
(``*_valid_200``). The optimum is the signal's best value in the table. `seconds` is what one evaluation of the signal costs.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from omniforge.search import Objective, SearchSpace

from . import folder

SIGNALS = ("cifar10_valid_12", "cifar10_valid_200", "cifar100_valid_200", "imagenet16_valid_200")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
REPORTED = tuple(f"{data}_{split}_200" for data in ("cifar10", "cifar100", "imagenet16") for split in ("valid", "test"))
INITIAL, EVALUATIONS = 12, 92
_COST = {"cifar10": "cifar10_valid", "cifar100": "cifar100", "imagenet16": "imagenet16"}

Condition = Literal["cell", "plain"]


def cell_space() -> SearchSpace:
    """Return the space with one `cell` parameter named ``arch``."""
    cell = {"type": "cell", "nodes": 4, "operations": list(OPERATIONS), "zero": "none", "identity": "skip_connect"}
    return SearchSpace.from_dict({"arch": cell})


def plain_space() -> SearchSpace:
    """Return the space with one choice per edge, ``e01`` to ``e23``: nothing tells that they are edges."""
    return SearchSpace.from_dict({_plain(edge): {"type": "choice", "range": list(OPERATIONS)} for edge in EDGES})


def _plain(edge: str) -> str:
    return f"e{edge[0]}{edge[2]}"


@lru_cache(maxsize=2)
def table(data: Path) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the columns of the table in the order of `index`, each a 15,625-long array."""
    path = folder(data, "nasbench201") / "nasbench201.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        names, *rows = list(csv.reader(file))
    where = names.index("arch_str")
    order = np.empty(len(rows), dtype=np.int64)
    for i, row in enumerate(rows):
        operations = [item.split("~")[0] for item in row[where].strip("|").replace("|+|", "|").split("|")]
        order[_index(operations)] = i
    values = np.array([row[:where] + row[where + 1 :] for row in rows], dtype=np.float64)[order]
    return {name: values[:, j] for j, name in enumerate(name for name in names if name != "arch_str")}


def _index(operations: Sequence[str]) -> int:
    out = 0
    for operation in operations:
        out = out * len(OPERATIONS) + OPERATIONS.index(operation)
    return out


class NasBench201:
    """One signal under one condition.

    Args:
        data: The folder that holds ``nasbench201/``.
        signal: One of `SIGNALS`.
        condition: ``"cell"`` for one cell parameter, ``"plain"`` for six choices.
    """

    objectives = (Objective("accuracy", "max"),)
    initial = INITIAL

    def __init__(self, data: Path, signal: str = SIGNALS[0], *, condition: Condition = "cell") -> None:
        self.name = f"nb201-{condition}-{signal}"
        self.signal, self.condition = signal, condition
        self.space = cell_space() if condition == "cell" else plain_space()
        self._table = table(data)
        self.optimum = float(self._table[signal].max())

    def index(self, config: Mapping[str, Any]) -> int:
        """Return the position of a configuration in `table`."""
        if self.condition == "cell":
            return _index([config["arch"][edge] for edge in EDGES])
        return _index([config[_plain(edge)] for edge in EDGES])

    def measure(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return the signal as ``accuracy``, in percent."""
        return {"accuracy": float(self._table[self.signal][self.index(config)])}

    def seconds(self, config: Mapping[str, Any]) -> float:
        """Return the seconds of one evaluation: the epochs of the signal's training, and one pass over the validation set."""
        data, _, epochs = self.signal.split("_")
        i = self.index(config)
        train = float(self._table[f"train_sec_per_epoch_{_COST[data]}"][i])
        return int(epochs) * train + float(self._table["eval_sec_cifar10_valid"][i])

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return the accuracies after the full training, as the paper's Table 1 has them."""
        i = self.index(config)
        return {name: float(self._table[name][i]) for name in REPORTED}


def cells(data: Path | None) -> list[NasBench201]:
    """Return the four signals with a cell parameter."""
    return [NasBench201(folder(data, "nasbench201").parent, signal) for signal in SIGNALS]


def plain(data: Path | None) -> list[NasBench201]:
    """Return the four signals with six choices."""
    return [NasBench201(folder(data, "nasbench201").parent, signal, condition="plain") for signal in SIGNALS]
