"""A stream of bytes to a file, whole or not at all, with its digest. It does not know what the bytes are."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from ..errors import InputError
from .session import SpooledModel

_BLOCK_BYTES = 2**20


class DigestMismatchError(InputError):
    """What arrived is not what was sent."""


async def spool(stream: AsyncIterator[bytes], path: Path, *, sha256: str) -> SpooledModel:
    """Write a stream beside ``path`` and move it there when it is whole.

    Args:
        stream: The bytes, in chunks of any size; they are written in blocks and off the event loop.
        path: Where the file is to be; an earlier one is replaced in one step.
        sha256: The digest that the sender computed, in hexadecimal.

    Raises:
        DigestMismatchError: The digest of what arrived differs.
        OSError: The disk is full or cannot be written; nothing is left behind then, as after any other failure.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        with partial.open("xb") as file:
            block = bytearray()
            async for chunk in stream:
                block += chunk
                size_bytes += len(chunk)
                if len(block) >= _BLOCK_BYTES:
                    await to_thread.run_sync(_write, file, bytes(block), digest)
                    block.clear()
            await to_thread.run_sync(_write, file, bytes(block), digest)
            await to_thread.run_sync(_settle, file)
        if digest.hexdigest() != sha256.lower():
            raise DigestMismatchError(f"The model arrived with SHA-256 {digest.hexdigest()}; {sha256} was announced.")
        partial.replace(path)
    except BaseException:  # a client that disconnects and a server that stops cancel this
        partial.unlink(missing_ok=True)
        raise
    return SpooledModel(path, digest.hexdigest(), size_bytes)


def _write(file: BinaryIO, block: bytes, digest: hashlib._Hash) -> None:
    file.write(block)
    digest.update(block)


def _settle(file: BinaryIO) -> None:
    """Have the bytes on the disk before the name points to them."""
    file.flush()
    os.fsync(file.fileno())
