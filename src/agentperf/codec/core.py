"""The codec: values to bytes that other processes can read, and back."""

from __future__ import annotations

import copy
import functools
import pickle as pickling
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from agentperf._base import log
from agentperf.codec import compression, envelope
from agentperf.codec.envelope import Envelope
from agentperf.codec.refusals import (
    NO_DECOMPRESSION,
    PICKLED,
    TOO_LARGE,
    UNKNOWN_CLASS,
    Undecodable,
    Unstorable,
)
from agentperf.codec.registry import Registry
from agentperf.codec.signing import Signer
from agentperf.errors import ConfigurationError, MissingExtraError, UncacheableValueError
from agentperf.usage import Usage

Class = TypeVar("Class", bound=type)

LARGEST = 16 * 1024 * 1024
"""Bytes that one entry may have, decompressed; 16 MiB."""

_LENGTH = 4
"""Bytes that tell the length of the table of tags."""


@functools.cache
def declared() -> Registry:
    """Give the classes that are known to every codec of this process."""
    registry = Registry()
    registry.register(Usage)
    return registry


class Codec:
    """Turns values into bytes and back: exactly typed, and safe to read from anybody.

    Only values of built-in types and instances of known classes are ever made. A class is known
    when it was named in `types`, registered with `register`, or when this process has itself
    encoded one of its instances. What is stored of a class is its name and a hash of its fields;
    both are only compared, never imported. Whatever can't be read raises `Undecodable`, which for
    a cache is a miss. A codec may be used by several threads at once.

    Args:
        types: Classes whose instances may be read.
        compress_over: Entries of more bytes than this are compressed, where that makes them
            smaller; None compresses none. Needs the extra `compression`.
        secret: At least 16 bytes or characters. Every entry is then signed, and one that isn't
            signed with the same secret is refused. Of several secrets the first signs, and what is
            signed with any of them is read, so that a new one can be brought in.
        pickle: Pickle what can't be stored otherwise. Needs `secret`: who can make a pickle can
            run code in the process that reads it.
        max_bytes: The largest entry that is written or read, decompressed, in bytes.

    Raises:
        ConfigurationError: An option is wrong.
        MissingExtraError: `compress_over` is set and Zstandard is not installed.
    """

    def __init__(
        self,
        types: Iterable[type] = (),
        *,
        compress_over: int | None = None,
        secret: str | bytes | Sequence[str | bytes] | None = None,
        pickle: bool = False,
        max_bytes: int = LARGEST,
    ) -> None:
        if pickle and secret is None:
            raise ConfigurationError(
                "pickle=True: only together with secret=, since a forged pickle runs code; "
                'an example: Codec(pickle=True, secret=os.environ["CACHE_SECRET"])'
            )
        if compress_over is not None:
            _check_size("compress_over", compress_over, 0)
            _require_zstd()
        _check_size("max_bytes", max_bytes, 1)
        self._compress_over = compress_over
        self._max_bytes = max_bytes
        self._signer = None if secret is None else Signer(secret)
        self._pickle = pickle
        self._warned = False
        self._registry = Registry(declared())
        for kind in types:
            self._registry.register(kind)

    @property
    def signs(self) -> bool:
        """Whether it has a secret."""
        return self._signer is not None

    def signing(self, secret: str | bytes | Sequence[str | bytes]) -> Codec:
        """Return the same codec with a secret; it knows the same classes, now and later.

        Raises:
            ConfigurationError: The secret is of another type, or too short.
        """
        made = copy.copy(self)
        made._signer = Signer(secret)  # noqa: SLF001 - its own
        return made

    def register(self, kind: Class) -> Class:
        """Make a class known to this codec; works as a decorator.

        Raises:
            ConfigurationError: It is no class whose instances can be stored.
        """
        self._registry.register(kind)
        return kind

    def encode(self, value: object, *, name: str | bytes = b"") -> bytes:
        """Turn a value into bytes.

        Args:
            value: What to store.
            name: Under what it is stored. A signature covers it, so that an entry can't be passed
                off as another; without `secret` it has no effect.

        Raises:
            UncacheableValueError: Something in it can't be stored; the message says what, where,
                and what to do.
        """
        form, content = self._written(value)
        if len(content) > self._max_bytes:
            raise UncacheableValueError(
                f"the result takes {len(content):,} bytes, more than max_bytes={self._max_bytes:,}"
            )
        compressed = self._compress_over is not None and len(content) > self._compress_over
        if compressed and len(smaller := compression.compressed(content)) < len(content):
            return envelope.sealed(Envelope(form, True, smaller), self._signer, _raw(name))
        return envelope.sealed(Envelope(form, False, content), self._signer, _raw(name))

    def decode(self, data: bytes | bytearray | memoryview, *, name: str | bytes = b"") -> Any:
        """Turn bytes back into the value.

        Args:
            data: What `encode` gave, in this or another process.
            name: The name that was given to `encode`.

        Raises:
            Undecodable: These bytes are no value that this process can or may read. Nothing else
                is raised, whatever the bytes.
        """
        try:
            opened = envelope.opened(bytes(data), self._signer, _raw(name))
            return self._read(opened.form, self._content(opened))
        except Undecodable:
            raise
        # Hostile bytes can make any of the constructors raise whatever it likes.
        except Exception as error:
            raise Undecodable(f"a damaged entry: {type(error).__name__}") from error

    def _written(self, value: object) -> tuple[int, bytes]:
        try:
            return _typed(value, self._registry)
        except Unstorable as error:
            if self._pickle:
                return envelope.PICKLE, _pickled(value)
            raise UncacheableValueError(f"in result{error.path}: {error.reason}") from None
        except (
            RuntimeError
        ) as error:  # nested too deep for the stack as it is, or changed meanwhile
            raise UncacheableValueError(f"the result can't be stored: {error}") from error

    def _content(self, opened: Envelope) -> bytes:
        if not opened.compressed:
            if len(opened.content) > self._max_bytes:
                raise Undecodable(f"more than {self._max_bytes:,} bytes", TOO_LARGE)
            return opened.content
        try:
            return compression.decompressed(opened.content, self._max_bytes)
        except ImportError as error:
            missing = str(_missing("reading compressed cache entries"))
            if not self._warned:  # once: every entry may be compressed
                self._warned = True
                log.warn("codec.compression_missing", reason=missing)
            raise Undecodable(missing, NO_DECOMPRESSION) from error

    def _read(self, form: int, content: bytes) -> Any:
        from agentperf.codec.reader import Reader

        if form == envelope.PLAIN:
            return Reader([]).read(content)
        if form == envelope.TYPED:
            start = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
            tags = Reader([]).read(content[_LENGTH:start])
            return Reader([self._known(tag) for tag in tags]).read(content[start:])
        if not self._pickle:
            raise Undecodable("a pickle, and this codec reads none", PICKLED)
        return pickling.loads(content)  # noqa: S301 - signed with our secret, and asked for

    def _known(self, tag: str) -> Any:
        record = self._registry.for_reading(tag)
        if record is None:
            raise Undecodable(
                f"{tag.partition('#')[0]} is unknown here, or has changed since", UNKNOWN_CLASS
            )
        return record


def _typed(value: object, registry: Registry) -> tuple[int, bytes]:
    from agentperf.codec.writer import Writer

    writer = Writer(registry)
    try:
        content = writer.write(value)
    except (OverflowError, UnicodeEncodeError):
        writer = Writer(registry, thorough=True)
        content = writer.write(value)
    if not writer.tags:
        return envelope.PLAIN, content
    tags = Writer(registry).write(writer.tags)
    return envelope.TYPED, len(tags).to_bytes(_LENGTH, "little") + tags + content


def _pickled(value: object) -> bytes:
    try:
        return pickling.dumps(value, protocol=5)
    except Exception as error:
        raise UncacheableValueError(f"the result can't be pickled either: {error}") from error


def _raw(name: str | bytes) -> bytes:
    return name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name


def _check_size(option: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise ConfigurationError(f"{option}={value!r}: a number of bytes, as in {option}=1024")


def _require_zstd() -> None:
    try:
        compression.zstd()
    except ImportError as error:
        raise _missing("compress_over") from error


def _missing(feature: str) -> MissingExtraError:
    return MissingExtraError(feature, "compression", "backports.zstd")
