"""YAHPO Gym's surrogates as problems: rbv2_xgboost (conditional, 119 data sets) and LCBench (34), at full fidelity.

The models are fitted by others (ensembles and networks as ONNX); a measurement is one row through one thread of ONNX Runtime.
The outputs of rbv2_xgboost begin with accuracy, balanced accuracy, AUC, Brier score and F1: the fourth falls as the accuracy
rises and goes up to 2, so that it is no AUC. Both problems report accuracies in percent. The optimum is not known; regret is
measured against the best value that any method found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search import Objective, SearchSpace

from . import folder

RBV2_TASKS = ("3", "14", "22", "38", "181", "307", "1053", "1461", "1480", "4538", "40499", "41150")  # fmt: skip
LCBENCH_TASKS = ("3945", "7593", "34539", "126029", "146212", "167104", "167152", "167184", "168329", "168868", "189354",
                 "189873")  # fmt: skip
_RBV2 = ("nrounds", "eta", "gamma", "lambda", "alpha", "subsample", "max_depth", "min_child_weight", "colsample_bytree",
         "colsample_bylevel", "rate_drop", "skip_drop", "trainsize", "repl")  # fmt: skip
_LCBENCH = (
    "epoch",
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)
_IMPUTE = "num.impute.selected.cpo"
_FIXED = {"trainsize": 1.0, "repl": 10.0, "epoch": 52.0}


@lru_cache(maxsize=2)
def _model(path: Path) -> tuple[Any, dict[str, dict[str, int]], dict[str, Any]]:
    """Return the session, the codes of the categories and the declared space of one surrogate."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path / "model.onnx", options, providers=["CPUExecutionProvider"])
    codes = json.loads((path / "encoding.json").read_text())
    return session, codes, json.loads((path / "config_space.json").read_text())


def _space(document: Mapping[str, Any], *, without: set[str]) -> SearchSpace:
    """Return a ConfigSpace document in our language, with `when` for its conditions."""
    when = {c["child"]: {c["parent"]: c.get("values", c.get("value"))} for c in document["conditions"]}
    kinds = {"uniform_float": "float", "uniform_int": "int", "categorical": "choice"}
    spec: dict[str, Any] = {}
    for item in document["hyperparameters"]:
        name = item["name"]
        if name in without:
            continue
        kind = kinds[item["type"]]
        range_ = item["choices"] if kind == "choice" else [item["lower"], item["upper"]]
        spec[_key(name)] = {"type": kind, "range": range_} | ({"log": True} if item.get("log") else {})
        if name in when:
            spec[_key(name)]["when"] = {_key(parent): values for parent, values in when[name].items()}
    return SearchSpace.from_dict(spec)


def _key(name: str) -> str:
    return name.replace(".", "_")


class Rbv2Xgboost:
    """XGBoost on one data set: accuracy in percent, over booster, regularization and trees.

    Args:
        data: The folder that holds ``rbv2_xgboost_surrogate/``.
        task: The OpenML data set.
    """

    objectives = (Objective("accuracy", "max"),)
    optimum: float | None = None
    initial: int | None = None

    def __init__(self, data: Path, task: str) -> None:
        self.name = f"rbv2-xgboost-{task}"
        self._session, self._codes, document = _model(folder(data, "rbv2_xgboost_surrogate"))
        self._task = self._codes["task_id"][task]
        self.space = _space(document, without={"task_id", "trainsize", "repl"})

    def measure(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return ``accuracy`` in percent."""
        codes = [self._task, self._codes["booster"][config["booster"]], self._codes[_IMPUTE][config[_key(_IMPUTE)]]]
        numbers = [float(_FIXED.get(name, config.get(name, 0.0))) for name in _RBV2]
        inputs = {"x_cat": np.array([codes], dtype=np.int32), "x_cont": np.array([numbers], dtype=np.float32)}
        (out,) = self._session.run(None, inputs)
        return {"accuracy": 100.0 * float(out[0, 0])}

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


class LcBench:
    """A funnel-shaped network on one task, trained for 52 epochs: validation accuracy in percent.

    Args:
        data: The folder that holds ``lcbench_surrogate/``.
        task: The OpenML task.
    """

    objectives = (Objective("val_accuracy", "max"),)
    optimum: float | None = None
    initial: int | None = None

    def __init__(self, data: Path, task: str) -> None:
        self.name = f"lcbench-{task}"
        self._session, self._codes, document = _model(folder(data, "lcbench_surrogate"))
        self._task = self._codes["OpenML_task_id"][task]
        self.space = _space(document, without={"OpenML_task_id", "epoch"})

    def measure(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return ``val_accuracy`` in percent."""
        numbers = [float(_FIXED.get(name, config.get(name, 0.0))) for name in _LCBENCH]
        inputs = {"x_cat": np.array([[self._task]], dtype=np.int32), "x_cont": np.array([numbers], dtype=np.float32)}
        (out,) = self._session.run(None, inputs)
        return {"val_accuracy": float(out[0, 1])}

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


def rbv2_xgboost(data: Path | None) -> list[Rbv2Xgboost]:
    """Return twelve data sets."""
    return [Rbv2Xgboost(folder(data, "rbv2_xgboost_surrogate").parent, task) for task in RBV2_TASKS]


def lcbench(data: Path | None) -> list[LcBench]:
    """Return twelve tasks."""
    return [LcBench(folder(data, "lcbench_surrogate").parent, task) for task in LCBENCH_TASKS]
