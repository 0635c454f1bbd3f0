"""Where the server is, read from what the user wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from agentperf import ConfigurationError

SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
}
"""The words that addresses begin with, and what redis-py calls them."""

TIMEOUT = 0.2
"""Seconds that a call waits for the server, and for a connection to it."""

POOL_TIMEOUT = 1.0
"""Seconds that a thread waits for one of the connections when all are in use."""

MAX_CONNECTIONS = 32
"""Connections at most, for each process and event loop."""

PREFIX = "agentperf:"

_EXAMPLE = "redis://localhost:6379/0?prefix=myapp:"


@dataclass(frozen=True)
class Address:
    """A server, and how to talk to it.

    Attributes:
        url: For redis-py; it may hold a password.
        shown: The same without user, password and options, for people.
        prefix: What all keys begin with, there.
        option: Where the user wrote it, for errors.
    """

    url: str = field(repr=False)
    shown: str
    prefix: str
    option: str = "backend"

    @classmethod
    def read(cls, text: str, option: str = "backend") -> Address:
        """Read an address such as `"redis://localhost:6379/0?prefix=myapp:"`.

        Args:
            text: The address.
            option: Where the user wrote it, for errors.

        Raises:
            ConfigurationError: It is malformed. The message shows it without what may be a
                password.
        """
        word, colon, rest = text.partition(":")
        if not colon:
            rest = "//localhost"
        hidden = _hidden(word, rest)
        if word not in SCHEMES or not rest.startswith("//"):
            raise _malformed(option, hidden, "an address goes on with //")
        try:
            parts = urlsplit(f"{SCHEMES[word]}:{rest}")
            host, port = parts.hostname or "localhost", parts.port or 6379
        except ValueError:
            raise _malformed(option, hidden, "host or port are malformed") from None
        if parts.scheme == "unix":
            place = parts.path
            if not place:
                raise _malformed(
                    option, hidden, "it names no socket, as unix:///run/redis.sock does"
                )
        else:
            place = f"{host}:{port}{parts.path}"
            if not (parts.path.strip("/") or "0").isdecimal():
                raise _malformed(option, hidden, "after the host comes the number of a database")
        options = parse_qsl(parts.query, keep_blank_values=True)
        prefix = dict(options).get("prefix", PREFIX)
        others = urlencode([option for option in options if option[0] != "prefix"])
        url = f"{parts.scheme}://{parts.netloc}{parts.path}?{others}"
        return cls(url, f"{word}://{place}", prefix, option)

    def pool(self, kind: Any, retry: object) -> Any:
        """Make a pool of connections; it opens none yet.

        What the address says of a limit (`socket_timeout`, `socket_connect_timeout`, `timeout`,
        `max_connections`) goes before our defaults.

        Args:
            kind: The blocking pool of either colour.
            retry: How often redis-py tries again: never, since a cache can be done without.

        Raises:
            ConfigurationError: The address has an option that redis-py doesn't know, or refuses.
        """
        limits = {
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "timeout": POOL_TIMEOUT,
            "max_connections": MAX_CONNECTIONS,
        }
        try:
            pool = _pool(kind, self.url, limits)
            pool.connection_kwargs.update(retry=retry, decode_responses=False)
        except TypeError as error:
            unknown = str(error).partition("argument")[2].strip(" '")
            raise self._refused(f"there is no option {unknown!r}") from None
        except Exception:  # noqa: BLE001 - the text may hold what must not be shown
            which = "".join(f" {name!r}" for name in self._culprits(kind, limits))
            raise self._refused(f"the option{which} has a value that redis-py refuses") from None
        return pool

    def _culprits(self, kind: Any, limits: Mapping[str, object]) -> Iterator[str]:
        """Name the options that redis-py refuses by themselves."""
        url, _, query = self.url.partition("?")
        for name, value in parse_qsl(query, keep_blank_values=True):
            try:
                _pool(kind, f"{url}?{urlencode({name: value})}", limits)
            except Exception:  # noqa: BLE001 - that is the question
                yield name

    def _refused(self, reason: str) -> ConfigurationError:
        return _malformed(self.option, self.shown, reason)


def _pool(kind: Any, url: str, limits: Mapping[str, object]) -> Any:
    pool = kind.from_url(url, **limits)
    pool.connection_class(**pool.connection_kwargs)  # connects only when it is used
    return pool


def _hidden(word: str, rest: str) -> str:
    """Return an address that can't be read without what may be a password in it.

    That is what stands before an `@`, what is no port where one belongs, and the options.
    """
    before, at, place = rest.rpartition("@")
    place, mark, _ = place.partition("?")
    host, colon, port = place.rpartition(":")
    if colon and not port.partition("/")[0].isdecimal():
        place = f"{host}:***"
    slashes = "//" if before.startswith("//") else ""
    credentials = f"{slashes}***@" if at else ""
    return f"{word}:{credentials}{place}{'?...' if mark else ''}"


def _malformed(option: str, shown: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f'{option}={shown!r}: {reason}; such as {option}="{_EXAMPLE}"')
