"""What others have uploaded to this device: files by the SHA-256 of their content, each whole, or partial and to be continued.

It knows neither HTTP nor what the files are for.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from ...errors import OmniForgeError
from ..spool import DigestMismatchError

_BLOCK_BYTES = 2**20
_STALL_S = 60.0
_PARTIAL = ".part"

_log = logging.getLogger(__name__)


class UploadError(OmniForgeError, RuntimeError):
    """An upload is refused. ``status`` is the HTTP status that says so."""

    status = 409


class TooLargeError(UploadError):
    """The content is larger than the device takes."""

    status = 413


class NoRoomError(UploadError):
    """What waits to be measured fills the store."""

    status = 507
    retryable = True


class OffsetError(UploadError):
    """The bytes do not go on where the earlier ones end: ask where that is."""

    retryable = True


class StalledError(UploadError):
    """The client sends nothing any more."""

    status = 408
    retryable = True


class NotUploadedError(UploadError, LookupError):
    """There is no such content, or not any more."""

    status = 404


@dataclass(frozen=True)
class Arrived:
    """How much of a content is here.

    Args:
        sha256: Its digest.
        received_bytes: Where the next bytes go.
        complete: Whether it is whole.
    """

    sha256: str
    received_bytes: int
    complete: bool


@dataclass(eq=False)
class _Writer:
    """The request that is appending to a content: the last one that came, since an earlier one may hang on a dead line."""

    size_bytes: int


class Uploads:
    """Keep uploaded files. Its methods may be called from any thread.

    A file has its digest as its name once it is whole, and ends in ``.part`` before: what a kill or a power cut leaves
    is continued, and never taken for whole.

    Args:
        folder: Where the files lie; made if it is missing.
        max_file_bytes: The largest file.
        max_total_bytes: What all files may take. The least recently used one is removed when there is no room, but none
            that waits to be measured.
    """

    def __init__(self, folder: Path, *, max_file_bytes: int, max_total_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_file_bytes = max_file_bytes
        self._max_total_bytes = max_total_bytes
        self._lock = threading.Lock()
        self._writers: dict[str, _Writer] = {}
        self._pinned: Counter[str] = Counter()

    def arrived(self, sha256: str, *, size_bytes: int | None = None) -> Arrived:
        """Say how much of a content is here.

        Args:
            sha256: Its digest.
            size_bytes: How large it will be, if that is known.

        Raises:
            TooLargeError: It is larger than a file may be.
        """
        if size_bytes is not None:
            self._check_size(size_bytes)
        with self._lock:
            return self._arrived(sha256)

    async def append(self, sha256: str, *, offset: int, size_bytes: int, stream: AsyncIterator[bytes]) -> Arrived:
        """Take more bytes of a content; those that arrived before a stream broke are kept.

        Args:
            sha256: The digest of the whole content.
            offset: Where the bytes go; everything before it is here.
            size_bytes: How large the whole content is.
            stream: The bytes, in chunks of any size; they are written in blocks and off the event loop.

        Raises:
            TooLargeError: The content is too large, or more bytes come than were announced.
            OffsetError: It goes on elsewhere, or another request appends to it now.
            NoRoomError: There is no room, and nothing that could be removed.
            DigestMismatchError: All bytes are here and they are others than announced; they are thrown away.
        """
        self._check_size(size_bytes)
        with self._lock:
            before = self._arrived(sha256)
            if before.complete:
                return before
            if offset != before.received_bytes:
                raise OffsetError(f"{before.received_bytes} bytes have arrived; the request goes on at {offset}.")
            self._make_room(size_bytes - offset, sparing=sha256)
            writer = self._writers[sha256] = _Writer(size_bytes)
        block = bytearray()
        left = size_bytes - offset
        try:
            async for chunk in _lively(stream):
                left -= len(chunk)
                if left < 0:
                    raise TooLargeError(f"More than the {size_bytes} bytes arrived that were announced.")
                block += chunk
                if len(block) >= _BLOCK_BYTES:
                    full, block = bytes(block), bytearray()
                    await to_thread.run_sync(self._write, sha256, writer, full)
        except BaseException:  # the client has gone, or the agent stops: the rest can come later
            self._give_up(sha256, writer, bytes(block))
            raise
        return await to_thread.run_sync(self._settle, sha256, writer, bytes(block))

    @contextmanager
    def pinned(self, *digests: str) -> Iterator[list[Path]]:
        """Give the files of contents, which stay while the block lasts.

        Raises:
            NotUploadedError: One of them is not here whole.
        """
        paths = self.pin(*digests)
        try:
            yield paths
        finally:
            self.unpin(*digests)

    def pin(self, *digests: str) -> list[Path]:
        """Return the files of contents and keep them from being removed until :meth:`unpin`.

        Raises:
            NotUploadedError: One of them is not here whole.
        """
        with self._lock:
            paths = [self._folder / digest for digest in digests]
            for path in paths:
                if not path.is_file():
                    raise NotUploadedError(f"No content with SHA-256 {path.name} is here.", hint="Upload it first.")
            for path in paths:
                os.utime(path)  # used now: the others are older
            self._pinned.update(digests)
            return paths

    def unpin(self, *digests: str) -> None:
        """Undo one :meth:`pin`."""
        with self._lock:
            self._pinned.subtract(digests)

    def _check_size(self, size_bytes: int) -> None:
        limit = min(self._max_file_bytes, self._max_total_bytes)
        if size_bytes > limit:
            raise TooLargeError(
                f"An upload of {size_bytes} bytes is larger than the {limit} bytes that this device takes."
            )

    def _arrived(self, sha256: str) -> Arrived:
        whole = _size(self._folder / sha256)
        if whole is not None:
            return Arrived(sha256, whole, complete=True)
        return Arrived(sha256, _size(self._partial(sha256)) or 0, complete=False)

    def _partial(self, sha256: str) -> Path:
        return self._folder / f"{sha256}{_PARTIAL}"

    def _write(self, sha256: str, writer: _Writer, block: bytes) -> None:
        with self._lock:
            if self._writers.get(sha256) is not writer:
                raise OffsetError("Another request appends to this content now.")
            if (self._folder / sha256).exists() or (not block and writer.size_bytes > 0):
                return  # nothing to add; an empty file must not come after the whole one
            with self._partial(sha256).open("ab") as file:
                file.write(block)

    def _give_up(self, sha256: str, writer: _Writer, block: bytes) -> None:
        """Keep what arrived of an upload that broke, unless another request goes on with it already."""
        try:
            self._write(sha256, writer, block)
        except (OSError, OffsetError) as e:
            _log.info("The last %d bytes of upload %s are lost: %s", len(block), sha256, e)
        with self._lock:
            self._leave(sha256, writer)

    def _settle(self, sha256: str, writer: _Writer, block: bytes) -> Arrived:
        """Write the last block, and make the file a whole one when all bytes are here."""
        try:
            self._write(sha256, writer, block)
        except BaseException:
            self._give_up(sha256, writer, b"")
            raise
        partial = self._partial(sha256)
        with self._lock:
            arrived = self._arrived(sha256)
            if arrived.complete:  # another request has settled it meanwhile
                partial.unlink(missing_ok=True)
            if arrived.complete or arrived.received_bytes < writer.size_bytes:
                self._leave(sha256, writer)
                return arrived
        try:
            with partial.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())  # have the bytes on the disk before the name says that they are whole
            if digest != sha256:
                partial.unlink(missing_ok=True)
                raise DigestMismatchError(
                    f"What arrived has SHA-256 {digest}; {sha256} was announced. It is thrown away: send it again."
                )
            with self._lock:
                # What was checked may have been settled by another request since, and what bears its name be a new file.
                if not (self._folder / sha256).exists() and _size(partial) == writer.size_bytes:
                    partial.replace(self._folder / sha256)
                return self._arrived(sha256)
        except FileNotFoundError:  # another request has settled it meanwhile
            return self.arrived(sha256)
        finally:
            with self._lock:
                self._leave(sha256, writer)

    def _leave(self, sha256: str, writer: _Writer) -> None:
        if self._writers.get(sha256) is writer:
            del self._writers[sha256]

    def _make_room(self, needed: int, *, sparing: str) -> None:
        """Remove what was not used for longest until ``needed`` bytes fit.

        Raises:
            NoRoomError: They do not.
        """
        files = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in self._folder.iterdir())
        taken = sum(size for _, size, _ in files) + needed
        for digest, writer in self._writers.items():  # what they were promised
            if digest != sparing:
                taken += max(writer.size_bytes - (_size(self._partial(digest)) or 0), 0)
        for _, size, path in files:
            if taken <= self._max_total_bytes:
                return
            digest = path.name.removesuffix(_PARTIAL)
            if digest != sparing and self._pinned[digest] <= 0 and digest not in self._writers:
                path.unlink(missing_ok=True)
                taken -= size
        if taken > self._max_total_bytes:
            raise NoRoomError("The store is full of what waits to be measured.", hint="Try again when it has been.")


async def _lively(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what comes, and give up when nothing does for long: the line is dead.

    Raises:
        StalledError: Nothing came.
    """
    while True:
        try:
            async with asyncio.timeout(_STALL_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise StalledError(f"Nothing arrived for {_STALL_S:g} s.") from None
        yield chunk


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
