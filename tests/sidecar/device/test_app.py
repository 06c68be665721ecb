from __future__ import annotations

import hashlib
import io
import json
import time
from typing import Any

import httpx
import numpy as np
import pytest
from conformance.runtime_suite import linear_model
from fastapi.openapi.models import OpenAPI

from omniforge.sidecar.device import DeviceAgent
from omniforge.sidecar.device.app import MAX_MESSAGE_BYTES

QUICK = {"budget_s": 0.02, "warmup_s": 0.001}


def put(http: httpx.Client, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    headers = {"Upload-Offset": "0", "Upload-Length": str(len(content))}
    assert http.patch(f"v1/uploads/{digest}", content=content, headers=headers).json()["complete"]
    return digest


def npy(rows: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


@pytest.fixture
def asked(http: httpx.Client, rows: Any) -> dict[str, Any]:
    model, table = put(http, linear_model()), put(http, npy(rows))
    return {"key": "a" * 32, "client": "job", "model": model, "rows": table, "options": QUICK}


def test_health_needs_no_token(agent: DeviceAgent) -> None:
    assert httpx.get(f"{agent.url}/v1/health", trust_env=False).json() == {"status": "ok", "version": "1"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "device"), ("GET", "limits"), ("PATCH", f"uploads/{'a' * 64}"), ("POST", "measurements"), ("GET", "none")],
)
@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic a-token-for-tests-only"])
def test_nothing_else_is_answered_without_the_token(agent: DeviceAgent, method: str, path: str, token: str) -> None:
    answer = httpx.request(method, f"{agent.url}/v1/{path}", headers={"Authorization": token}, trust_env=False)
    assert (answer.status_code, answer.json()) == (401, {"detail": "This device's token is needed, as a bearer token."})


def test_the_device_says_what_it_is(http: httpx.Client) -> None:
    said = http.get("v1/device").json()
    assert said["name"] == said["limits"]["name"] == "pi"
    assert said["hardware"]["memory_bytes"] > said["limits"]["memory_limit_bytes"] > 0
    assert said["runtimes"]["onnxruntime"]["installed"]
    assert said["meters"]["cpu"]
    assert http.get("v1/limits").json() == said["limits"]


def test_an_upload_is_resumed_by_its_offset(http: httpx.Client) -> None:
    content = bytes(range(256)) * 100
    digest = hashlib.sha256(content).hexdigest()
    url, length = f"v1/uploads/{digest}", {"Upload-Length": str(len(content))}
    assert http.head(url).headers["Upload-Offset"] == "0"
    answer = http.patch(url, content=content[:1000], headers={"Upload-Offset": "0", **length})
    assert (answer.status_code, answer.json()["received_bytes"], answer.headers["Upload-Offset"]) == (200, 1000, "1000")
    again = http.patch(url, content=content[:1000], headers={"Upload-Offset": "0", **length})
    assert (again.status_code, again.json()["detail"]) == (409, "1000 bytes have arrived; the request goes on at 0.")
    assert http.get(url).json() == {"sha256": digest, "received_bytes": 1000, "complete": False}
    assert http.patch(url, content=content[1000:], headers={"Upload-Offset": "1000", **length}).json()["complete"]
    assert http.head(url).headers["Upload-Offset"] == str(len(content))


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({"Upload-Offset": "0"}, 422, "header.Upload-Length: Field required"),
        ({"Upload-Offset": "-1", "Upload-Length": "3"}, 422, "greater than or equal to 0"),
        ({"Upload-Offset": "0", "Upload-Length": "200001"}, 413, "200001 bytes is larger than the 200000 bytes"),
        ({"Upload-Offset": "0", "Upload-Length": "2"}, 413, "More than the 2 bytes arrived"),
        ({"Upload-Offset": "0", "Upload-Length": "3"}, 422, "It is thrown away: send it again."),
    ],
)
def test_a_wrong_upload_is_refused(http: httpx.Client, headers: dict[str, str], status: int, words: str) -> None:
    answer = http.patch(f"v1/uploads/{'b' * 64}", content=b"abc", headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("digest", ["a" * 63, "A" * 64, "..", "a" * 63 + "%2f"])
def test_only_digests_are_names(http: httpx.Client, digest: str) -> None:
    assert http.get(f"v1/uploads/{digest}").status_code in (404, 422)


def test_a_measurement_is_asked_for_and_waited_for(http: httpx.Client, asked: dict[str, Any]) -> None:
    first = http.post("v1/measurements", json=asked).json()
    assert first["id"] == asked["key"]
    assert first["state"] in ("queued", "running")
    ended = http.get(f"v1/measurements/{asked['key']}", params={"wait_s": 20}).json()
    assert ended["state"] == "done"
    assert ended["report"]["device"] == "pi"
    assert ended["report"]["metrics"]["latency_ms"] > 0
    assert http.post("v1/measurements", json=asked).json() == ended  # under the same key: the same one
    assert http.delete(f"v1/measurements/{asked['key']}").status_code == 204
    assert http.get(f"v1/measurements/{asked['key']}", params={"wait_s": 1}).status_code == 404


def test_waiting_ends_in_time(http: httpx.Client, asked: dict[str, Any]) -> None:
    http.post("v1/measurements", json={**asked, "options": {"budget_s": 30.0, "precision": 1e-9}})
    before_s = time.monotonic()
    assert http.get(f"v1/measurements/{asked['key']}", params={"wait_s": 0.2}).json()["state"] != "done"
    assert 0.2 <= time.monotonic() - before_s < 5
    assert http.delete(f"v1/measurements/{asked['key']}").status_code == 204  # cancels it


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": "x"}, "body.key"),
        ({"client": ""}, "body.client"),
        ({"model": "../etc"}, "body.model"),
        ({"surprise": 1}, "body.surprise: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_request_names_the_field(
    http: httpx.Client, asked: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    answer = http.post("v1/measurements", json=asked | change)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_what_was_not_uploaded_is_asked_for(http: httpx.Client, asked: dict[str, Any]) -> None:
    answer = http.post("v1/measurements", json=asked | {"model": "0" * 64, "key": "b" * 32})
    assert answer.status_code == 404
    assert "Upload it first" in answer.json()["detail"]


def test_a_message_that_is_too_large_is_refused(http: httpx.Client) -> None:
    assert http.post("v1/measurements", content=b" " * (MAX_MESSAGE_BYTES + 1)).status_code == 413


def test_the_description_is_valid_and_covers_everything(agent: DeviceAgent) -> None:
    document = agent.openapi()
    assert OpenAPI.model_validate(document).openapi.startswith("3.1")
    methods = {(path, method) for path, item in document["paths"].items() for method in item}
    assert methods == {
        ("/v1/health", "get"),
        ("/v1/device", "get"),
        ("/v1/limits", "get"),
        ("/v1/uploads/{sha256}", "get"),
        ("/v1/uploads/{sha256}", "patch"),
        ("/v1/measurements", "post"),
        ("/v1/measurements/{key}", "get"),
        ("/v1/measurements/{key}", "delete"),
    }
    for path, method in methods - {("/v1/health", "get")}:
        assert document["paths"][path][method]["security"] == [{"HTTPBearer": []}]
    json.dumps(document)
