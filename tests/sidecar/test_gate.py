from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from omniforge.sidecar import Session
from omniforge.sidecar.app import MODEL_PATH, router
from omniforge.sidecar.gate import PUBLIC

Request = Callable[..., tuple[int, dict[str, Any]]]


def raw(session: Session, head: str, body: bytes = b"") -> bytes:
    """Send bytes as they are; return the first line of the answer."""
    address = urlsplit(session.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        return connection.makefile("rb").readline()


@pytest.mark.parametrize("path", ["/v1/task", "/v1/progress", "/v1/result", "/v1/model", "/v1/nothing", "/"])
@pytest.mark.parametrize("token", ["", "wrong"])
def test_nothing_is_answered_without_a_token(request_json: Request, path: str, token: str) -> None:
    status, body = request_json("POST", path, token=token, content=b"{" * 100)
    assert (status, body) == (401, {"detail": "A bearer token of an open session is needed."})


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_only_bearer_tokens_are_taken(request_json: Request, session: Session, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {session.token}".strip()}
    assert request_json("GET", "/v1/task", headers=headers)[0] == 401


def test_the_scheme_may_be_written_in_any_case(request_json: Request, session: Session) -> None:
    assert request_json("GET", "/v1/task", headers={"Authorization": f"bEaReR  {session.token}"})[0] == 200


def test_the_token_of_a_closed_session_is_worth_nothing(request_json: Request, session: Session) -> None:
    assert request_json("GET", "/v1/task")[0] == 200
    session.close()
    assert request_json("GET", "/v1/task")[0] == 401


def test_health_and_description_need_no_token(request_json: Request) -> None:
    for path in PUBLIC:
        assert request_json("GET", path, token="")[0] == 200


def test_an_announced_body_that_is_too_large_is_not_read(session: Session) -> None:
    head = f"POST /v1/result HTTP/1.1\nHost: x\nAuthorization: Bearer {session.token}\nContent-Length: 20001"
    assert b" 413 " in raw(session, head)
    head = f"PUT /v1/model HTTP/1.1\nHost: x\nAuthorization: Bearer {session.token}\nContent-Length: 3000001"
    assert b" 413 " in raw(session, head)


@pytest.mark.parametrize("length", ["-1", "abc", "1e9"])
def test_a_length_that_is_no_number_is_refused(session: Session, length: str) -> None:
    head = f"POST /v1/result HTTP/1.1\nHost: x\nAuthorization: Bearer {session.token}\nContent-Length: {length}"
    assert b" 400 " in raw(session, head)


@pytest.mark.parametrize(("method", "path", "size"), [("POST", "/v1/result", 20_001), ("PUT", "/v1/model", 3_000_001)])
def test_a_body_that_grows_too_large_is_cut_off(
    request_json: Request, session: Session, method: str, path: str, size: int
) -> None:
    def chunks() -> Iterator[bytes]:  # an iterator has no announced length
        for _ in range(size // 10_000):
            yield b"x" * 10_000
        yield b"x" * (size % 10_000)

    status, body = request_json(method, path, content=chunks(), headers={"X-Content-SHA256": "0" * 64})
    assert status == 413
    assert "bytes that are allowed" in body["detail"]
    assert session.model is None
    assert list(session.spool_dir.iterdir()) == []


def test_the_limit_of_models_is_for_a_route_that_exists() -> None:
    assert MODEL_PATH in {getattr(route, "path", None) for route in router.routes}
