"""What each reader of a shared stream has of it: it looks like the stream itself."""

from __future__ import annotations

from typing import Any

from agentperf._base.endings import Ending
from agentperf.policies.cached.flights.broadcast import Seat
from agentperf.policies.cached.flights.live.under_way import Alone


class Reader:
    """What the stream of one reader reads from: it looks like the stream that is shared."""

    __slots__ = ("__weakref__", "_alone", "_live", "_seat")

    def __init__(self, live: Any, seat: Seat, alone: Alone) -> None:
        self._live = live
        self._seat = seat
        self._alone = alone

    def ended(self, _: Any, ending: Ending, __: BaseException | None) -> None:
        """Leave, at the latest when the reader's stream ends."""
        self._live.go(self._seat)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # what a protocol asks for is this reader's own
        value = getattr(self._live.stream, name)
        return Lent(value, self) if name == "response" else value

    def __repr__(self) -> str:
        return repr(self._live.stream)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._live.stream.__reduce_ex__(protocol)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._live.stream.__class__  # type: ignore[no-any-return]


class Lent:
    """Somebody else's response, as one of its readers sees it: to close it is to leave."""

    def __init__(self, response: Any, reader: Any) -> None:
        self.__dict__.update(_response=response, close=reader.close)
        if hasattr(reader, "aclose"):
            self.__dict__["aclose"] = reader.aclose

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_response"], name)

    def __repr__(self) -> str:
        return repr(self._response)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._response)
