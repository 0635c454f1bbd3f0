"""What the server counts and keeps about itself."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from agentperf.testing.fake_llm.options import Price

_MILLION = 1_000_000
_KEPT_REQUESTS = 1_000


@dataclass(frozen=True, slots=True)
class ServerStats:
    """What the server saw since it started or was reset.

    Attributes:
        calls: Requests, failed ones included.
        by_endpoint: Requests by path, such as `"/v1/chat/completions"`.
        input_tokens: Tokens read, those of embeddings included.
        output_tokens: Tokens written, also those of answers that were cut or never read to the end.
        errors: Requests that were refused, failed or cut.
        in_flight_max: The most requests at work at the same time.
        cost_usd: What the tokens cost at the server's price.
    """

    calls: int
    by_endpoint: Mapping[str, int]
    input_tokens: int
    output_tokens: int
    errors: int
    in_flight_max: int
    cost_usd: float


class Counts:
    """Counters that the server's thread writes and any thread reads."""

    def __init__(self, price: Price) -> None:
        self._price = price
        self._lock = threading.Lock()
        self._in_flight = 0
        self._clear()

    def _clear(self) -> None:
        self._by_endpoint: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._scripted = 0
        self._received: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_KEPT_REQUESTS)
        self._read = self._embedded = self._written = self._errors = 0
        self._in_flight_max = self._in_flight

    def started(self, endpoint: str) -> None:
        """Count a request that has come in."""
        with self._lock:
            self._by_endpoint[endpoint] += 1
            self._in_flight += 1
            self._in_flight_max = max(self._in_flight_max, self._in_flight)

    def received(self, endpoint: str, body: dict[str, Any]) -> None:
        """Keep a request for tests to look at."""
        with self._lock:
            self._received.append((endpoint, body))

    def ended(self) -> None:
        """Note that a request is over, however it ended."""
        with self._lock:
            self._in_flight -= 1

    def read(self, tokens: int) -> None:
        """Add tokens that the model read."""
        with self._lock:
            self._read += tokens

    def embedded(self, tokens: int) -> None:
        """Add tokens that were embedded."""
        with self._lock:
            self._embedded += tokens

    def wrote(self, tokens: int) -> None:
        """Add tokens that the model wrote."""
        with self._lock:
            self._written += tokens

    def failed(self) -> None:
        """Count a request that went wrong."""
        with self._lock:
            self._errors += 1

    def asked(self, request: str) -> int:
        """Note that this very request came in and return which time it is, from 1."""
        with self._lock:
            self._asked[request] += 1
            return self._asked[request]

    def next_scripted(self) -> int:
        """Return the place of the next request in a script, from 0 up."""
        with self._lock:
            self._scripted += 1
            return self._scripted - 1

    def begin_script(self) -> None:
        """Begin a script anew."""
        with self._lock:
            self._scripted = 0

    def reset(self) -> None:
        """Begin again at zero; requests in flight stay in flight."""
        with self._lock:
            self._clear()

    def requests(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Return the last thousand requests, oldest first."""
        with self._lock:
            return tuple(self._received)

    def stats(self) -> ServerStats:
        """Return all figures of one moment."""
        with self._lock:
            cost = (
                self._read * self._price.input
                + self._embedded * self._price.embedding
                + self._written * self._price.output
            ) / _MILLION
            return ServerStats(
                calls=self._by_endpoint.total(),
                by_endpoint=MappingProxyType(dict(self._by_endpoint)),
                input_tokens=self._read + self._embedded,
                output_tokens=self._written,
                errors=self._errors,
                in_flight_max=self._in_flight_max,
                cost_usd=cost,
            )
