"""Replies of upstreams are told to whoever around the request wants to hear of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentperf._engine.frames import current_frame


class Listener:
    """One of the books of a call that hears of the replies to requests made inside of it.

    Attributes:
        listens_for: The function that is called. Of several calls inside each other, the innermost
            that listens hears of a reply: it is its upstream.
    """

    __slots__ = ()

    listens_for: object

    def heard(self, status: int, headers: Mapping[Any, Any]) -> None:
        """Hear of a reply, as soon as its headers are there."""
        raise NotImplementedError


def tell_of_reply(status: int, headers: Mapping[Any, Any]) -> None:
    """Tell of a reply to a request that was made in this context.

    Args:
        status: Its status.
        headers: Its headers, with names in any case.
    """
    frame = current_frame.get()
    if frame is None:
        return
    listeners = [books for books in frame.recorders if isinstance(books, Listener)]
    if not listeners:
        return
    innermost = listeners[-1].listens_for  # watchers stand behind those around them
    for listener in listeners:
        if listener.listens_for is innermost:
            listener.heard(status, headers)
