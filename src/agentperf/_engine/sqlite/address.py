"""Where a cache on disk is, and how large it may grow: `sqlite:PATH?max_bytes=1GB`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from agentperf._base.sizes import Size, in_bytes
from agentperf.errors import ConfigurationError

DEFAULT_BYTES = 256_000_000
LEAST_BYTES = 256_000

_EXAMPLE = 'backend="sqlite:~/.cache/my-agent/answers.db"'


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
    def of(cls, path: str | os.PathLike[str], max_bytes: Size = DEFAULT_BYTES) -> Address:
        """Check what the user gave.

        Args:
            path: The file; `~` is the user's home, and what is relative counts from the current
                directory of this moment.
            max_bytes: How large it may grow.

        Raises:
            ConfigurationError: The path is none, or the bound is malformed or too small.
        """
        text = os.fspath(path)
        if not text.strip() or "\0" in text:
            raise ConfigurationError(f"a cache on disk needs a file, such as {_EXAMPLE}")
        if text.startswith(("//", ":")):
            raise ConfigurationError(
                f"{text!r} is not the path of a file: it follows the colon as it is, such as "
                f'{_EXAMPLE}; the memory of the process is backend="memory"'
            )
        found = Path(text).expanduser().resolve()
        if found.is_dir():
            raise ConfigurationError(
                f"{text!r} is a directory: name a file in it, such as {str(found / 'cache.db')!r}"
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
