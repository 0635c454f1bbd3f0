"""Where a file is that caches or limits are kept in: `sqlite:PATH`, as users write it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from agentperf._base.sizes import Size, in_bytes
from agentperf.errors import ConfigurationError

DEFAULT_BYTES = 256_000_000
LEAST_BYTES = 256_000

Option = Literal["backend", "store"]
"""Where users write an address: what it is for."""

_EXAMPLES: dict[Option, str] = {
    "backend": 'backend="sqlite:~/.cache/my-agent/answers.db"',
    "store": 'store="sqlite:/var/lib/app/limits.db"',
}
_KEPT: dict[Option, str] = {"backend": "a cache on disk", "store": "a store on disk"}
_FILES: dict[Option, str] = {"backend": "cache.db", "store": "limits.db"}


@dataclass(frozen=True, slots=True)
class Address:
    """A file and its bound.

    Attributes:
        path: The file, absolute.
        max_bytes: How large it may grow.
    """

    path: Path
    max_bytes: int = DEFAULT_BYTES

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        max_bytes: Size = DEFAULT_BYTES,
        option: Option = "backend",
    ) -> Address:
        """Check what the user gave.

        Args:
            path: The file; `~` is the user's home, and what is relative counts from the current
                directory of this moment.
            max_bytes: How large it may grow.
            option: What the file is for, for errors.

        Raises:
            ConfigurationError: The path is none, or the bound is malformed or too small.
        """
        text = os.fspath(path)
        if not text.strip() or "\0" in text:
            raise ConfigurationError(f"{_KEPT[option]} needs a file, such as {_EXAMPLES[option]}")
        if text.startswith(("//", ":")):
            memory = '; the memory of the process is backend="memory"'
            raise ConfigurationError(
                f"{text!r} is not the path of a file: it follows the colon as it is, such as "
                f"{_EXAMPLES[option]}{memory if option == 'backend' else ''}"
            )
        found = Path(text).expanduser().resolve()
        if found.is_dir():
            example = str(found / _FILES[option])
            raise ConfigurationError(
                f"{text!r} is a directory: name a file in it, such as {example!r}"
            )
        return cls(found, in_bytes(max_bytes, "max_bytes", least=LEAST_BYTES))

    @classmethod
    def read(cls, text: str) -> Address:
        """Read `sqlite:PATH?max_bytes=SIZE`.

        Raises:
            ConfigurationError: There is no path, or an option is unknown or malformed.
        """
        path, _, query = text.partition(":")[2].partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        size = options.pop("max_bytes", DEFAULT_BYTES)
        for unknown in options:
            raise ConfigurationError(
                f"{text!r}: there is no option {unknown!r}, only max_bytes, such as "
                f'"sqlite:{path}?max_bytes=1GB"'
            )
        return cls.of(path, size)

    @classmethod
    def of_store(cls, text: str) -> Address:
        """Read `sqlite:PATH`, where limits are kept; there is nothing else to say of it.

        Raises:
            ConfigurationError: There is no path, or something follows it.
        """
        path, mark, _ = text.partition(":")[2].partition("?")
        if mark:
            raise ConfigurationError(
                f'store="sqlite:{path}?...": a store on disk has no options, and processes share '
                f'it by its path alone, such as store="sqlite:{path or "/var/lib/app/limits.db"}"'
            )
        return cls.of(path, option="store")
