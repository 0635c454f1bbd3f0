"""Instruments `httpx` and `httpx2`, which have the same form: one implementation serves both."""

from __future__ import annotations

from types import ModuleType

from agentperf.abc import Instrumentor, Signals
from agentperf.instrumentation.patches import Patches

_CLIENTS = ("Client", "AsyncClient")
_TRANSPORTS = (
    ("HTTPTransport", "handle_request"),
    ("AsyncHTTPTransport", "handle_async_request"),
)


class HttpInstrumentor(Instrumentor):
    """Patches what sends one request, in the clients and in the libraries' own transports.

    A client may have any transport, and a transport may be used without a client. Most requests
    pass both, and the first of them counts.
    """

    name = "httpx"
    targets = tuple(
        f"{library}.{module}"
        for library in ("httpx", "httpx2")
        for module in ("_client", "_transports.default")
    )

    def __init__(self) -> None:
        self._patches = Patches()

    def install(self, module: ModuleType, signals: Signals) -> None:
        """Patch a module of `targets`."""
        # Only now: a program that never imports the library has no use for it.
        from agentperf.instrumentation.http.sending import Sending

        by_client = module.__name__.endswith("._client")
        sending = Sending(signals, by_client=by_client)
        wraps = (sending.sync, sending.asynchronous)
        if by_client:
            for name, wrap in zip(_CLIENTS, wraps, strict=True):
                self._patches.put(getattr(module, name), "_send_single_request", wrap)
        else:
            for (name, method), wrap in zip(_TRANSPORTS, wraps, strict=True):
                self._patches.put(getattr(module, name), method, wrap)

    def remove(self) -> None:
        """Take the patches off."""
        self._patches.remove()
