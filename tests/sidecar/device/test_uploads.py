from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omniforge.sidecar.device.uploads import (
    Arrived,
    NoRoomError,
    NotUploadedError,
    OffsetError,
    TooLargeError,
    Uploads,
)
from omniforge.sidecar.spool import DigestMismatchError

CONTENT = bytes(range(256)) * 20_000  # 5 MB: several blocks
DIGEST = hashlib.sha256(CONTENT).hexdigest()


async def stream(*chunks: bytes, then: BaseException | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path, max_file_bytes=6_000_000, max_total_bytes=10_000_000)


def send(
    uploads: Uploads, content: bytes, *, start: int = 0, end: int | None = None, then: BaseException | None = None
) -> Arrived:
    """Send a part of a content in chunks."""
    part = content[start:end]
    chunks = [part[i : i + 70_000] for i in range(0, len(part), 70_000)]
    digest = hashlib.sha256(content).hexdigest()
    return asyncio.run(uploads.append(digest, offset=start, size_bytes=len(content), stream=stream(*chunks, then=then)))


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_what_arrives_is_kept_under_its_digest(uploads: Uploads, tmp_path: Path, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    assert send(uploads, content) == Arrived(digest, len(content), complete=True)
    assert kept(tmp_path) == {digest}
    with uploads.pinned(digest) as [path]:
        assert path.read_bytes() == content


def test_it_goes_on_where_it_was(uploads: Uploads, tmp_path: Path) -> None:
    assert uploads.arrived(DIGEST) == Arrived(DIGEST, 0, complete=False)
    assert send(uploads, CONTENT, end=3_000_001) == Arrived(DIGEST, 3_000_001, complete=False)
    again = Uploads(tmp_path, max_file_bytes=6_000_000, max_total_bytes=10_000_000)  # after a restart too
    assert again.arrived(DIGEST) == Arrived(DIGEST, 3_000_001, complete=False)
    assert send(again, CONTENT, start=3_000_001).complete


@pytest.mark.parametrize("failure", [ConnectionError(), asyncio.CancelledError()])
def test_what_arrived_before_a_line_broke_is_kept(uploads: Uploads, tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        send(uploads, CONTENT, end=1_500_000, then=failure)
    assert uploads.arrived(DIGEST) == Arrived(DIGEST, 1_500_000, complete=False)
    assert kept(tmp_path) == {f"{DIGEST}.part"}
    assert send(uploads, CONTENT, start=1_500_000).complete


@pytest.mark.parametrize("start", [1, 100, 4_000_000])
def test_it_cannot_go_on_elsewhere(uploads: Uploads, start: int) -> None:
    send(uploads, CONTENT, end=50)
    with pytest.raises(OffsetError, match=f"50 bytes have arrived; the request goes on at {start}"):
        send(uploads, CONTENT, start=start)


def test_what_is_here_costs_nothing(uploads: Uploads) -> None:
    send(uploads, CONTENT)
    assert asyncio.run(uploads.append(DIGEST, offset=0, size_bytes=len(CONTENT), stream=stream(b"never read"))).complete


def test_other_bytes_than_announced_are_thrown_away(uploads: Uploads, tmp_path: Path) -> None:
    with pytest.raises(DigestMismatchError, match="send it again"):
        asyncio.run(uploads.append(DIGEST, offset=0, size_bytes=3, stream=stream(b"abc")))
    assert kept(tmp_path) == set()
    assert uploads.arrived(DIGEST).received_bytes == 0


def test_what_is_too_large_is_refused_before_it_is_read(uploads: Uploads, tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="6000001 bytes is larger than the 6000000"):
        uploads.arrived(DIGEST, size_bytes=6_000_001)
    reading = stream(then=AssertionError("it was read"))
    with pytest.raises(TooLargeError):
        asyncio.run(uploads.append(DIGEST, offset=0, size_bytes=6_000_001, stream=reading))
    assert kept(tmp_path) == set()


def test_more_bytes_than_announced_are_refused(uploads: Uploads) -> None:
    with pytest.raises(TooLargeError, match="that were announced"):
        asyncio.run(uploads.append(DIGEST, offset=0, size_bytes=3, stream=stream(b"ab", b"cd")))


def used_at(folder: Path, content: bytes, seconds: int) -> str:
    digest = hashlib.sha256(content).hexdigest()
    os.utime(folder / digest, (seconds, seconds))
    return digest


def test_the_least_recently_used_gives_way(uploads: Uploads, tmp_path: Path) -> None:
    contents = [bytes([i]) * 3_000_000 for i in range(4)]
    digests = []
    for i, content in enumerate(contents[:3]):
        send(uploads, content)
        digests.append(used_at(tmp_path, content, 1000 + i))
    with uploads.pinned(digests[0]):
        pass  # used now
    assert send(uploads, contents[3]).complete
    assert kept(tmp_path) == {digests[0], digests[2], hashlib.sha256(contents[3]).hexdigest()}


def test_what_waits_to_be_measured_stays(uploads: Uploads, tmp_path: Path) -> None:
    contents = [bytes([i]) * 4_000_000 for i in range(3)]
    digests = [send(uploads, content).sha256 for content in contents[:2]]
    for digest in digests:
        uploads.pin(digest)
    uploads.pin(digests[0])
    with pytest.raises(NoRoomError, match="waits to be measured"):
        send(uploads, contents[2])
    uploads.unpin(digests[0])
    with pytest.raises(NoRoomError):
        send(uploads, contents[2])
    uploads.unpin(digests[0])
    assert send(uploads, contents[2]).complete
    assert digests[0] not in kept(tmp_path)


def test_what_is_not_here_whole_cannot_be_used(uploads: Uploads) -> None:
    send(uploads, CONTENT, end=10)
    with pytest.raises(NotUploadedError, match=DIGEST):
        uploads.pin(DIGEST)


def test_a_later_request_takes_over_from_one_whose_line_is_dead(uploads: Uploads) -> None:
    async def both() -> tuple[Arrived, BaseException | None]:
        first_waits, first_may_go_on = asyncio.Event(), asyncio.Event()

        async def dead() -> AsyncIterator[bytes]:
            yield CONTENT[:2_000_000]
            first_waits.set()
            await first_may_go_on.wait()
            yield CONTENT[2_000_000:]

        first = asyncio.create_task(uploads.append(DIGEST, offset=0, size_bytes=len(CONTENT), stream=dead()))
        await first_waits.wait()
        here = uploads.arrived(DIGEST).received_bytes
        assert here == 2_000_000
        second = await uploads.append(DIGEST, offset=here, size_bytes=len(CONTENT), stream=stream(CONTENT[here:]))
        first_may_go_on.set()
        try:
            await first
        except OffsetError as e:
            return second, e
        return second, None

    second, error = asyncio.run(both())
    assert second.complete
    assert isinstance(error, OffsetError)
    with uploads.pinned(DIGEST) as [path]:
        assert path.read_bytes() == CONTENT


def test_many_requests_for_the_same_content_leave_it_whole(uploads: Uploads, tmp_path: Path) -> None:
    async def ask() -> None:
        for _ in range(200):
            here = uploads.arrived(DIGEST)
            if here.complete:
                return
            part = CONTENT[here.received_bytes : here.received_bytes + 1_300_000]
            try:
                await uploads.append(
                    DIGEST,
                    offset=here.received_bytes,
                    size_bytes=len(CONTENT),
                    stream=stream(part[:700_000], part[700_000:]),
                )
            except OffsetError:
                await asyncio.sleep(0.001)

    async def all_of_them() -> None:
        await asyncio.gather(*(ask() for _ in range(12)))

    asyncio.run(all_of_them())
    assert kept(tmp_path) == {DIGEST}
    assert (tmp_path / DIGEST).read_bytes() == CONTENT
    assert uploads._writers == {}
