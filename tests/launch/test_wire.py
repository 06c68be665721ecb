from __future__ import annotations

import itertools
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.launch.wire import Inbox, WireError, encode, readable, receive

MESSAGES = st.lists(
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text() | st.lists(st.text())), max_size=3
)


@pytest.mark.property
@settings(max_examples=50, deadline=None)
@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_messages_arrive_whole_however_the_stream_is_cut(messages: list[dict[str, Any]], sizes: list[int]) -> None:
    stream = b"".join(encode(message) for message in messages)
    inbox, arrived = Inbox(), []
    for size in itertools.cycle(sizes):
        if not stream:
            break
        inbox.feed(stream[:size])
        stream = stream[size:]
        while (message := inbox.take()) is not None:
            arrived.append(message)
    assert arrived == messages


@pytest.mark.parametrize("line", [b"{\n", b"[1]\n", b"\xff\n", b"\n"])
def test_a_line_that_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        Inbox().feed(line)


def test_a_message_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniforge.launch.wire.MAX_MESSAGE_BYTES", 100)
    inbox = Inbox()
    inbox.feed(b"x" * 100)
    with pytest.raises(WireError, match="longer than 100 bytes"):
        inbox.feed(b"x")


def test_receive_waits_for_so_long_and_no_longer() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        inbox = Inbox()
        assert receive(ours, inbox, 0.01) is None
        assert not readable(ours, 0.0)
        theirs.sendall(encode({"a": 1}) + encode({"b": 2}) + b'{"c"')
        assert readable(ours, 1.0)
        assert receive(ours, inbox, 1.0) == {"a": 1}
        assert receive(ours, inbox, 0.0) == {"b": 2}
        theirs.close()
        with pytest.raises(WireError, match="closed the connection"):
            receive(ours, inbox, 1.0)


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError):
        encode({"x": object()})


def test_a_connection_that_is_closed_on_this_side() -> None:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.close()
    with pytest.raises(WireError, match="is closed"):
        receive(ours, Inbox(), 1.0)
