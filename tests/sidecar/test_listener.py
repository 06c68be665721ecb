from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from omniforge.errors import LaunchError, SpecError
from omniforge.sidecar.listener import Listener


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


def test_it_answers_until_it_is_stopped_and_comes_back_on_its_port() -> None:
    listener = Listener(app, "127.0.0.1", 0, name="The test")
    with pytest.raises(LaunchError, match="The test is not started"):
        _ = listener.url
    first = listener.start().url
    assert listener.start() is listener
    assert httpx.get(first, trust_env=False).text == "here"
    said: list[str] = []
    listener.stop(before=lambda: said.append("bye"))
    assert said == ["bye"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(first, trust_env=False)
    assert listener.start().url == first
    listener.stop()
    listener.stop()


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in (None, "nonsense"):
        if content is not None:
            (tmp_path / "c.pem").write_text(content)
        listener = Listener(app, "127.0.0.1", 0, name="T", certificate=(tmp_path / "c.pem", tmp_path / "c.pem"))
        with pytest.raises(SpecError, match=r"certificate .*c\.pem"):
            listener.start()
