"""Tells of each change to the keys under a prefix, as the server notes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from redis import BlockingConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, TimeoutError  # noqa: A004
from redis.retry import Retry

from agentperf.abc import Watcher
from agentperf_redis.address import Address

BEAT = 1.0
"""Seconds of silence after which the server is asked whether it is there, and until it counts as
gone."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
"""Seconds between attempts to connect: the pause doubles from the first to the longest."""

_CHANNEL = b"__redis__:invalidate"


class Watch:
    """Listens to a server in a thread of its own, and again whenever it was cut off.

    The server itself says which keys are written, removed, expired or evicted, whoever does it
    (https://redis.io/docs/latest/develop/reference/client-side-caching/, broadcasting mode; Redis 6
    or later). The connection is told to send what it is told to itself, as messages of a
    channel, which works in every version of the protocol.

    Args:
        address: Where the server is, and which prefix is watched.
        watcher: Whom to tell.
    """

    def __init__(self, address: Address, watcher: Watcher) -> None:
        self._prefix = address.prefix.encode()
        self._watcher = watcher
        self._over = False
        self._began = False
        self._pool = address.pool(BlockingConnectionPool, Retry(NoBackoff(), 0))

    def begin(self) -> Callable[[], None]:
        """Begin to listen; return what ends it, within `BEAT`."""
        threading.Thread(target=self._run, name="agentperf-redis-watch", daemon=True).start()
        return self._end

    def _end(self) -> None:
        self._over = True  # no lock: it may be called in a forked child, without the thread

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._over:
            self._began = False
            try:
                self._listen()
            except (RedisError, OSError, ValueError) as error:
                if not self._over:
                    self._watcher.ended(error)
            pause = FIRST_PAUSE if self._began else min(2 * pause, LONGEST_PAUSE)
            self._rest(pause)

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._over and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, BEAT))

    def _listen(self) -> None:
        """Connect and tell, until the connection breaks or nobody listens any more.

        Raises:
            RedisError: The server refused, is gone, or is silent.
            OSError: The same.
            ValueError: It said what nobody understands.
        """
        kind, options = self._pool.connection_class, self._pool.connection_kwargs
        connection = kind(**{**options, "protocol": 2})
        try:
            connection.connect()
            me = _asked(connection, "CLIENT", "ID")
            prefix = ("PREFIX", self._prefix) if self._prefix else ()
            _asked(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", me, "BCAST", *prefix)
            _asked(connection, "SUBSCRIBE", _CHANNEL)
            self._began = True
            self._watcher.began()
            self._tell(connection)
        finally:
            connection.disconnect()

    def _tell(self, connection: Any) -> None:
        silent = False
        while not self._over:
            if connection.can_read(timeout=BEAT):
                silent = False
                self._told(connection.read_response(disable_decoding=True))
            elif silent:
                raise TimeoutError("the server is silent")
            else:
                silent = True
                connection.send_command("PING", check_health=False)

    def _told(self, message: Any) -> None:
        """Pass on what the server says; anybody may publish nonsense on its channel."""
        if not isinstance(message, list) or message[:2] != [b"message", _CHANNEL]:
            return
        names = message[2]
        if names is None:
            self._watcher.changed(None)  # everything was removed
        elif isinstance(names, list):
            start = len(self._prefix)
            self._watcher.changed(
                [
                    name[start:].decode("ascii", "replace")
                    for name in names
                    if isinstance(name, bytes) and name.startswith(self._prefix)
                ]
            )


def _asked(connection: Any, *command: Any) -> Any:
    connection.send_command(*command, check_health=False)
    return connection.read_response(disable_decoding=True)
