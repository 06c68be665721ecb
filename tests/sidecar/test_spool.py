from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omniforge.errors import InputError
from omniforge.sidecar.spool import DigestMismatchError, spool


async def stream(*chunks: bytes, then: BaseException | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("chunks", [(), (b"",), (b"a", b"bc"), (b"x" * 700_000,) * 5])
def test_what_arrives_is_written(tmp_path: Path, chunks: tuple[bytes, ...]) -> None:
    content = b"".join(chunks)
    model = asyncio.run(spool(stream(*chunks), tmp_path / "m", sha256=sha256(content).upper()))
    assert (tmp_path / "m").read_bytes() == content
    assert (model.path, model.sha256, model.size_bytes) == (tmp_path / "m", sha256(content), len(content))
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]


def test_another_digest_leaves_the_earlier_file(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"earlier")
    with pytest.raises(DigestMismatchError, match="was announced"):
        asyncio.run(spool(stream(b"damaged"), tmp_path / "m", sha256=sha256(b"whole")))
    assert issubclass(DigestMismatchError, InputError)
    assert (tmp_path / "m").read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]


@pytest.mark.parametrize("failure", [ConnectionError(), asyncio.CancelledError()])
def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        asyncio.run(spool(stream(b"x" * 2_000_000, then=failure), tmp_path / "m", sha256=sha256(b"")))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(spool(stream(b"x"), tmp_path / "missing" / "m", sha256=sha256(b"x")))
