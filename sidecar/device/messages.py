"""The bodies of a device agent's requests and answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from ..messages import Message

PROTOCOL = 1
"""The version of the interface: an agent and a client of different versions do not work together."""

OFFSET_HEADER = "Upload-Offset"  # as in the tus protocol for resumable uploads, 1.0
LENGTH_HEADER = "Upload-Length"
DIGEST = r"^[0-9a-f]{64}$"

Digest = Annotated[str, Field(pattern=DIGEST)]
State = Literal["queued", "running", "done", "failed"]


class Limits(Message):
    """What the agent takes."""

    protocol: int = Field(default=PROTOCOL, description="the version of the interface")
    name: str = Field(description="what the device calls itself")
    kind: str = Field(default="cpu", description="what computes: cpu or gpu")
    runtime: str = Field(default="onnxruntime", description="the runtime that measures unless another is asked for")
    max_upload_bytes: int = Field(description="the largest model or table of rows")
    max_store_bytes: int = Field(description="what all uploads together may take; the least recently used give way")
    max_queued: int = Field(description="measurements that may wait")
    time_limit_s: float = Field(description="how long one measurement may take, in seconds")
    memory_limit_bytes: int | None = Field(description="how much memory one measurement may take")
    keep_s: float = Field(description="how long a result is kept for its client, in seconds")


class RuntimeMessage(Message):
    """One runtime of the device."""

    installed: bool
    versions: dict[str, str] = Field(default_factory=dict, description="version by package")
    command: str | None = Field(default=None, description="what installs it on the device")
    lacks: str | None = Field(default=None, description="what the device lacks to run models with it, such as a GPU")


class DeviceMessage(Message):
    """What the device is and has."""

    name: str
    version: str = Field(description="of the software")
    hardware: dict[str, str | int]
    runtimes: dict[str, RuntimeMessage]
    meters: dict[str, str] = Field(description="the energy meter by kind of device, or why there is none")
    queued: int = Field(description="measurements that wait")
    limits: Limits


class UploadMessage(Message):
    """How much of a content has arrived."""

    sha256: str
    received_bytes: int = Field(description="go on from here")
    complete: bool = Field(description="whether all of it is here and its digest is right")


class MeasurementRequest(Message):
    """What is to be measured; the same key again is the same measurement."""

    key: str = Field(pattern=r"^[0-9a-f]{16,64}$", description="the measurement's id, chosen by the client")
    client: str = Field(min_length=1, max_length=200, description="who asks: turns go round among clients")
    model: Digest = Field(description="the SHA-256 of the ONNX file, uploaded before")
    rows: Digest = Field(description="the SHA-256 of the .npy file with real rows, uploaded before")
    runtime: str | None = Field(default=None, description="null: the device's own")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="how thorough: MeasureOptions")


class FailureReason(Message):
    """Why a measurement failed."""

    kind: str = Field(description="the class of the error")
    message: str
    hint: str | None = None
    retryable: bool = False


class MeasurementMessage(Message):
    """Where a measurement stands."""

    id: str
    state: State
    position: int = Field(default=0, description="how many are measured before it; 0 when it is not waiting")
    report: dict[str, JsonValue] | None = Field(default=None, description="the deployment report, when it is done")
    failure: FailureReason | None = Field(default=None, description="why it failed, when it has")
