"""The winner on other runtimes: each one that was asked for measures it in a process of its own. It chooses nothing.

ONNX Runtime has screened every candidate by then. A runtime that has to be tuned for each model (TVM) pays here, once.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MeasurementError, MissingDependencyError, SpecError

if TYPE_CHECKING:
    import numpy as np

    from ..spec import JobPlan

log = logging.getLogger(__name__)

MEASURED_ROWS = 256
BUDGET_S = 1.0
LIMIT_S = 120.0
TUNED = {"tvm"}
TUNING_OVERHEAD = 2.0
"""How much longer than its budget a tuning may take: it ends with the trial that it has begun."""


def measure_runtimes(
    model: Path, rows: np.ndarray[Any, Any], plan: JobPlan, *, locks: Path, cache: Path
) -> list[dict[str, Any]]:
    """Return a report for every runtime of the plan; one that refuses the model has no metrics and says why.

    Args:
        model: The winner, as ONNX.
        rows: Real rows, ``n x input.shape``.
        plan: The job's plan.
        locks: The folder of the measuring locks.
        cache: Where results of tuning are kept.
    """
    import numpy as np

    reports = []
    with tempfile.TemporaryDirectory(prefix="omniforge-finalist-") as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, rows[:MEASURED_ROWS])
        for runtime in plan.runtimes:
            try:
                reports.append(_measured(model, path, runtime, plan, locks=locks, cache=cache))
            except (MeasurementError, MissingDependencyError, SpecError) as e:
                log.warning("the winner was not measured with %s: %s", runtime, e.message)
                reports.append({"device": "local", "runtime": runtime, "metrics": {}, "refused": e.message})
    return reports


def _measured(model: Path, rows: Path, runtime: str, plan: JobPlan, *, locks: Path, cache: Path) -> dict[str, Any]:
    from ...deploy import MeasureOptions, RuntimeOptions
    from ...deploy.isolated import measure_isolated

    tuned = runtime in TUNED
    extra = {"tuning_s": plan.tuning_s, "cache": str(cache / runtime)} if tuned else {}
    options = MeasureOptions(budget_s=BUDGET_S, runtime=RuntimeOptions(extra=extra))
    limit_s = LIMIT_S + (TUNING_OVERHEAD * plan.tuning_s if tuned else 0.0)
    return measure_isolated(
        model, rows=rows, runtime=runtime, options=options, lock_dir=locks, limit_s=limit_s
    ).to_dict()
