from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI

from omniforge.sidecar import ResultMessage, Session, Sidecar

Request = Callable[..., tuple[int, dict[str, Any]]]
RESULT = {"attempt": 2, "metrics": {"score": 0.5}}
FAILURE = {"attempt": 2, "cause": "exception", "message": "no"}


def test_health(request_json: Request) -> None:
    assert request_json("GET", "/v1/health", token="") == (200, {"status": "ok", "version": "1.0"})


def test_task(request_json: Request) -> None:
    status, body = request_json("GET", "/v1/task")
    assert status == 200
    assert body["config"] == {"algorithm": "knn", "k": 3}
    assert (body["task"], body["attempt"], body["seed"]) == (7, 2, 5)


def test_progress(request_json: Request, worker: Any) -> None:
    worker.stop_at = 2
    assert request_json("POST", "/v1/progress", json={"step": 1, "metrics": {"loss": "NaN"}}) == (200, {"stop": False})
    assert request_json("POST", "/v1/progress", json={"step": 2, "metrics": {"loss": 1}}) == (200, {"stop": True})
    assert [step for step, _ in worker.seen] == [1, 2]


def test_a_worker_that_cannot_take_progress_is_tried_again(request_json: Request, worker: Any) -> None:
    worker.fail_with = RuntimeError("database is locked")
    status, body = request_json("POST", "/v1/progress", json={"step": 1, "metrics": {}})
    assert (status, body["detail"]) == (503, "The worker could not take it: RuntimeError: database is locked")


def test_result(request_json: Request, session: Session) -> None:
    assert request_json("POST", "/v1/result", json=RESULT) == (200, {"repeated": False})
    assert request_json("POST", "/v1/result", json=RESULT) == (200, {"repeated": True})
    assert session.outcome == ResultMessage(attempt=2, metrics={"score": 0.5})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/failure", FAILURE),
        ("POST", "/v1/result", {**RESULT, "metrics": {"score": 0.6}}),
        ("POST", "/v1/progress", {"step": 1, "metrics": {}}),
        ("PUT", "/v1/model", {}),
    ],
)
def test_after_an_outcome_there_is_no_other(
    request_json: Request, method: str, path: str, body: dict[str, Any]
) -> None:
    request_json("POST", "/v1/result", json=RESULT)
    status, answer = request_json(method, path, json=body, headers={"X-Content-SHA256": "0" * 64})
    assert status == 409
    assert "Task 7 has an outcome already" in answer["detail"]


def test_another_attempt_is_in_conflict(request_json: Request) -> None:
    status, body = request_json("POST", "/v1/failure", json={**FAILURE, "attempt": 1})
    assert (status, body["detail"]) == (409, "Attempt 1 of task 7 is reported; attempt 2 is current.")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("result", {"attempt": 2}, "body.metrics: Field required"),
        ("result", {**RESULT, "metrics": {"score": "NaN"}}, "body.metrics.score: Input should be a finite number"),
        ("result", {**RESULT, "score": 1}, "body.score: Extra inputs are not permitted"),
        ("failure", {**FAILURE, "cause": "So what"}, "body.cause: String should match pattern"),
        ("progress", {"step": -1, "metrics": {}}, "body.step: Input should be greater than or equal to 0"),
        ("progress", {"step": 1, "metrics": {"a": {}}}, "body.metrics.a: Input should be a valid number"),
        ("deployments", {"report": {"metrics": {}}}, "'device' must name the device"),
    ],
)
def test_a_wrong_field_is_named(request_json: Request, path: str, body: dict[str, Any], words: str) -> None:
    status, answer = request_json("POST", f"/v1/{path}", json=body)
    assert status == 422
    assert words in answer["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_what_is_not_json_is_refused(request_json: Request, body: bytes) -> None:
    assert request_json("POST", "/v1/result", content=body, headers={"Content-Type": "application/json"})[0] in (
        400,
        422,
    )


def test_model(request_json: Request, session: Session) -> None:
    assert request_json("GET", "/v1/model") == (404, {"detail": "No model of task 7 has arrived."})
    content = b"onnx" * 1000
    headers = {"X-Content-SHA256": hashlib.sha256(content).hexdigest()}
    status, body = request_json("PUT", "/v1/model", params={"name": "a.onnx"}, content=content, headers=headers)
    assert (status, body) == (200, {"name": "a.onnx", "sha256": headers["X-Content-SHA256"], "size_bytes": 4000})
    assert session.model_path is not None
    assert session.model_path.read_bytes() == content


@pytest.mark.parametrize("name", ["../a", "a/b", ".hidden", "", "a b", "x" * 101, "ü"])
def test_a_model_cannot_be_put_elsewhere(request_json: Request, session: Session, name: str) -> None:
    headers = {"X-Content-SHA256": hashlib.sha256(b"x").hexdigest()}
    status, body = request_json("PUT", "/v1/model", params={"name": name}, content=b"x", headers=headers)
    assert status == 422
    assert "query.name" in body["detail"]
    assert session.model is None


@pytest.mark.parametrize("digest", ["0" * 64, "0" * 63, "z" * 64, None])
def test_a_model_needs_its_digest(request_json: Request, session: Session, digest: str | None) -> None:
    headers = {} if digest is None else {"X-Content-SHA256": digest}
    assert request_json("PUT", "/v1/model", content=b"x", headers=headers)[0] == 422
    assert session.model is None


@pytest.mark.fault
def test_a_disk_that_takes_no_more(request_json: Request, session: Session) -> None:
    content = b"x" * 2_500_000
    headers = {"X-Content-SHA256": hashlib.sha256(content).hexdigest()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        status, body = request_json("PUT", "/v1/model", content=content, headers=headers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (status, body["detail"]) == (507, "The model cannot be kept: File too large.")
    assert session.model is None
    assert list(session.spool_dir.iterdir()) == []


def test_deployments(request_json: Request, session: Session) -> None:
    report = {"device": "local", "metrics": {"latency_ms": 1.0}, "repeats": 100}
    request_json("POST", "/v1/result", json=RESULT)  # the measurements may come after the result
    for _ in range(2):
        assert request_json("POST", "/v1/deployments", json={"report": report})[0] == 200
    assert session.deployments == [report]


def test_what_does_not_exist(request_json: Request) -> None:
    assert request_json("GET", "/v1/nothing")[0] == 404
    assert request_json("DELETE", "/v1/task")[0] == 405


def test_the_description_is_valid_and_covers_everything() -> None:
    document = Sidecar().openapi()
    parsed = OpenAPI.model_validate(document)
    assert parsed.openapi.startswith("3.1")
    methods = {(path, method) for path, item in document["paths"].items() for method in item}
    assert methods == {
        ("/v1/health", "get"),
        ("/v1/task", "get"),
        ("/v1/progress", "post"),
        ("/v1/result", "post"),
        ("/v1/failure", "post"),
        ("/v1/model", "put"),
        ("/v1/model", "get"),
        ("/v1/deployments", "post"),
    }
    for path, method in methods - {("/v1/health", "get")}:
        operation = document["paths"][path][method]
        assert operation["security"] == [{"HTTPBearer": []}]
        assert {"200", "401", "413", "422"} <= set(operation["responses"])
        assert operation["summary"]
        assert operation["description"]
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_every_reference_of_the_description_resolves() -> None:
    document = Sidecar().openapi()
    text = json.dumps(document)
    references = {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert references
    assert references <= set(document["components"]["schemas"])
    for name in references:
        schema = document["components"]["schemas"][name]
        if "properties" in schema and name != "JsonValue":
            assert schema["additionalProperties"] is False, name


def test_the_served_description_is_the_same(request_json: Request, sidecar: Sidecar) -> None:
    assert request_json("GET", "/v1/openapi.json", token="") == (200, sidecar.openapi())
