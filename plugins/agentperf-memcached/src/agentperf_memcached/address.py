"""Where the servers are, read from what the user wrote."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from agentperf import ConfigurationError

Server = tuple[str, int]

_EXAMPLE = 'such as backend="memcached://localhost:11211?prefix=myapp:"'
_LONGEST_PREFIX = 45
"""Keys of ours have up to 200 characters, memcached's up to 250."""


@dataclass(frozen=True)
class Address:
    """Servers, and how to talk to them.

    Attributes:
        servers: Hosts and ports.
        prefix: What all keys begin with, there.
        timeout: Seconds that a call waits for a server, and for a connection to it.
        max_connections: Connections at most, to each server from each process.
    """

    servers: tuple[Server, ...]
    prefix: str = "agentperf:"
    timeout: float = 0.2
    max_connections: int = 32

    @classmethod
    def read(cls, text: str) -> Address:
        """Read an address such as `"memcached://one:11211,two:11211?prefix=myapp:"`.

        Raises:
            ConfigurationError: It is malformed.
        """
        rest = text.partition(":")[2] or "//localhost"
        hosts, _, query = rest.partition("?")
        if not hosts.startswith("//"):
            raise _malformed("an address goes on with //")
        servers = tuple(_server(one) for one in hosts.strip("/").split(","))
        options = dict(parse_qsl(query, keep_blank_values=True))
        prefix = options.pop("prefix", cls.prefix)
        plain = prefix.isascii() and prefix.isprintable() and " " not in prefix
        if not plain or not 0 < len(prefix) <= _LONGEST_PREFIX:
            raise _malformed(f"prefix= takes 1 to {_LONGEST_PREFIX} ASCII characters, no spaces")
        timeout = _number(options.pop("timeout", cls.timeout), "timeout")
        connections = _number(
            options.pop("max_connections", cls.max_connections), "max_connections"
        )
        if options:
            raise _malformed(f"there is no option {next(iter(options))!r}")
        return cls(servers, prefix, timeout, math.ceil(connections))


def _server(text: str) -> Server:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or 11211
    except ValueError:
        host, port = None, 0
    if not host or "@" in text or "/" in text:
        raise _malformed("hosts and ports go like one:11211,two:11211")
    return host, port


def _number(value: str | float, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise _malformed(f"{name} takes a number above zero")
    return number


def _malformed(reason: str) -> ConfigurationError:
    return ConfigurationError(f"backend='memcached:...': {reason}; {_EXAMPLE}")
