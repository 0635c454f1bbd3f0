"""Connections to one server."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from pymemcache import Client  # type: ignore[import-untyped]

from agentperf import BackendError
from agentperf_memcached.address import Address, Server

_PATIENCE = 1.0
"""Seconds that a call waits for a connection when all are in use."""


class Pool:
    """Hands connections out, one to a call.

    pymemcache's own pool raises where it is exhausted, and keeps connections that broke with
    another one.

    Args:
        server: Where they lead.
        address: How many, and how long they wait.
    """

    def __init__(self, server: Server, address: Address) -> None:
        self.server = server
        self._address = address
        self._idle: list[Any] = []
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._process = os.getpid()
        self.close()
        self._places = threading.BoundedSemaphore(self._address.max_connections)

    @contextlib.contextmanager
    def connection(self) -> Iterator[Any]:
        """Lend a connection; where something goes wrong, it and the idle ones are closed.

        Raises:
            BackendError: All were in use for too long.
        """
        if self._process != os.getpid():  # forked: these are the parent's connections
            self._begin_anew()
        places = self._places
        if not places.acquire(timeout=_PATIENCE):
            raise BackendError("all connections to memcached are in use")
        try:
            connection = self._take()
            try:
                yield connection
            except BaseException:  # an interrupted call, too, leaves an answer in the line
                connection.close()
                self.close()
                raise
            self._idle.append(connection)
        finally:
            places.release()

    def _take(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            limit = self._address.timeout
            return Client(
                self.server,
                connect_timeout=limit,
                timeout=limit,
                no_delay=True,
                default_noreply=False,
            )

    def close(self) -> None:
        """Close the idle connections."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def __del__(self) -> None:
        self.close()
