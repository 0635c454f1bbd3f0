"""What plugins offer to the floors below the host: asked of whoever was registered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol


class Offered(Protocol):
    """What can be asked for."""

    def tokenizer(self, model: str, *, wait: bool) -> Any:
        """Return what makes the tokenizer of a model, as `.value` of an offer; None without one."""
        ...

    def instrumentors(self) -> Iterable[Any]:
        """Return the instrumentors that plugins bring."""
        ...

    def prices(self, *, wait: bool) -> Any:
        """Return the table of prices; None while it is not known."""
        ...


class _Register:
    """Holds the one who knows."""

    ask: Callable[[], Offered] | None = None


_register = _Register()


def register_offered(ask: Callable[[], Offered]) -> None:
    """Tell whom to ask."""
    _register.ask = ask


def offered() -> Offered | None:
    """Return what is offered on the current host; None where nobody was registered."""
    return None if _register.ask is None else _register.ask()
