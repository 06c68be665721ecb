"""The deployment estimator's process (DTE): fetches a candidate's model from the sidecar and measures it on a device."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any


def main(payload: dict[str, Any]) -> None:
    """Measure the model of the sidecar at ``payload["url"]`` on ``payload["device"]`` and report it there.

    Raises:
        MeasurementError: The device could not measure the model.
    """
    from ...sidecar import SidecarClient

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with (
        tempfile.TemporaryDirectory(prefix="omniforge-dte-") as folder,
        SidecarClient(payload["url"], payload["token"]) as client,
    ):
        model = client.get_model(Path(folder) / "model.onnx")
        client.deployment(measure_model(model, payload))


def measure_model(model: Path, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the report of one measurement on real rows, as JSON values."""
    from ...data import PreparedData
    from ...deploy import measure

    data = PreparedData.load(payload["data_path"])
    rows, _ = data.arrays("valid", payload["encoding"] or "onehot")
    report = measure(model, device=payload["device"], rows=rows[:256], lock_dir=Path(payload["lock_dir"]))
    return report.to_dict()
