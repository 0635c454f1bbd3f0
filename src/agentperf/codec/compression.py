"""Compression with Zstandard, within a limit of what may come out."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

_WINDOW = 23
"""The logarithm of the largest window that is read: 8 MiB of memory."""


def zstd() -> Any:
    """Import Zstandard: from the standard library, or where that has none, its backport.

    Raises:
        ImportError: The backport is not installed.
    """
    builtin = sys.version_info >= (3, 14)
    return import_module("compression.zstd" if builtin else "backports.zstd")


def compressed(data: bytes) -> bytes:
    """Compress at the library's ordinary level."""
    return bytes(zstd().compress(data))


def decompressed(data: bytes, limit: int) -> bytes:
    """Decompress one whole frame.

    Raises:
        ValueError: More than `limit` bytes would come out, or the frame isn't whole.
        ImportError: Zstandard is not installed.
        Exception: Whatever the library raises on malformed data.
    """
    library = zstd()
    options = {library.DecompressionParameter.window_log_max: _WINDOW}
    reader = library.ZstdDecompressor(options=options)
    made = bytes(reader.decompress(data, max_length=limit + 1))
    if len(made) > limit:
        raise ValueError(f"more than {limit:,} bytes when decompressed")
    if not reader.eof or reader.unused_data:
        raise ValueError("the compressed data isn't whole")
    return made
