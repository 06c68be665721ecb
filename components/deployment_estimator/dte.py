"""The deployment estimator's process (DTE): fetches a candidate's model from the sidecar and has a device measure it.

The device is this machine, measured in this process, or another one, whose agent is asked. Its address and its token are
looked up here, so that neither travels through the worker's records and logs.
"""

from __future__ import annotations

import logging
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MeasurementError, MissingDependencyError, SpecError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np

    from ...deploy import Device

log = logging.getLogger(__name__)

MEASURED_ROWS = 256
SCREENING_S = 0.25
"""How long a candidate's latencies are taken on this machine, whose cores train others meanwhile; the winner's for longer."""

PATIENCE_S = 10.0
"""How long a device may be away before its metric counts as missing: shorter than any candidate is waited for."""

AWAY_PATIENCE_S = 2.0
"""The same for a device that was away the last time: candidates are not to wait for it one after the other."""


def main(payload: dict[str, Any]) -> None:
    """Measure the model of the sidecar at ``payload["url"]`` on ``payload["device"]`` and report it there.

    A device that cannot be reached, stays busy or refuses is reported as lost: that is not the candidate's fault.

    Raises:
        MeasurementError: The model cannot be measured.
    """
    from ...sidecar import SidecarClient

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with (
        tempfile.TemporaryDirectory(prefix="dte-", dir=payload.get("scratch")) as folder,
        SidecarClient(payload["url"], payload["token"]) as client,
    ):
        model = client.get_model(Path(folder) / "model.onnx")
        try:
            report = measure_model(model, payload)
            if report.get("tuned") is False:
                raise MeasurementError("its runtime was not tuned for the model: such a figure is no reward")
        except MeasurementError as e:
            if not e.retryable:
                raise
            log.warning("%s could not measure: %s", payload["device"], e.message)
            said = " ".join(part for part in (e.message, e.hint) if part)
            report = {"device": payload["device"], "metrics": {}, "lost": said}
        client.deployment(report)


def measure_model(model: Path, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the report of one measurement on real rows, as JSON values.

    Raises:
        MeasurementError: The model cannot be measured, or, where a retry can help, the device is away or busy.
    """
    from ...data import PreparedData
    from ...deploy import find_device
    from ...deploy.devices import read_devices
    from ...settings import load_settings

    data = PreparedData.load(payload["data_path"])
    rows, _ = data.arrays("valid", payload["encoding"] or data.usual_encoding)
    try:
        device = find_device(payload["device"], read_devices(load_settings().home_path))
    except (SpecError, UnknownNameError) as e:  # it was known when the job began: no candidate is to blame
        raise MeasurementError(e.message, hint=e.hint) from e
    rows = rows[:MEASURED_ROWS]
    return _here(model, device, rows, payload) if device.url is None else _there(model, device, rows, payload)


def _here(model: Path, device: Device, rows: np.ndarray[Any, Any], payload: dict[str, Any]) -> dict[str, Any]:
    from ...deploy import MeasureOptions, measure

    options = MeasureOptions() if payload.get("thorough") else MeasureOptions(budget_s=SCREENING_S)
    return measure(model, device=device, rows=rows, options=options, lock_dir=Path(payload["lock_dir"])).to_dict()


def _there(model: Path, device: Device, rows: np.ndarray[Any, Any], payload: dict[str, Any]) -> dict[str, Any]:
    from ...sidecar.device.client import DeviceClient
    from ...sidecar.device.connection import DeviceError

    client_name = str(payload.get("job") or "omniforge")  # the device's queue is fair between jobs
    patience_s = float(payload.get("patience_s", PATIENCE_S))
    try:
        with (
            _told_to_stop() as cancelled,
            DeviceClient(device, client_name=client_name, patience_s=patience_s) as client,
        ):
            return client.measure(model, rows, cancelled=cancelled).to_dict() | {"device": device.name}
    except (DeviceError, MissingDependencyError, UnknownNameError) as e:
        raise MeasurementError(e.message, hint=e.hint) from e  # a retry can help: see main()


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Give an event that SIGTERM sets, so that the device is told to stop before this process ends."""
    cancelled = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: cancelled.set())
    try:
        yield cancelled
    finally:
        signal.signal(signal.SIGTERM, before)
