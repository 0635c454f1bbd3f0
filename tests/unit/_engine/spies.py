"""Policies that tell what the engine does with them, and functions of every shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from agentperf._base.endings import Ending
from agentperf._engine.bindings import Step
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site


@dataclass(frozen=True, eq=False)
class Spy(Policy):
    """A gate that writes down what it is told; its ticket is its own label."""

    log: list[tuple[Any, ...]] = field(default_factory=list)
    label: str = "spy"

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the gate in front."""
        return site.driver.gate(_SpyGate(self.log, self.label), inner)

    def endings(self) -> list[str]:
        """List how the calls were settled, in order."""
        return [entry[1] for entry in self.log if entry[1] != "enter"]

    @property
    def entered(self) -> int:
        """How many calls came in."""
        return len([entry for entry in self.log if entry[1] == "enter"])


class _SpyGate:
    watches_items = False
    settles = True

    def __init__(self, log: list[tuple[Any, ...]], label: str) -> None:
        self._log = log
        self._label = label

    def enter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        self._log.append((self._label, "enter"))
        return self._label

    def done(self, ticket: Any, value: Any) -> None:
        assert ticket == self._label
        self._log.append((self._label, "done"))

    def failed(self, ticket: Any, error: Exception) -> None:
        assert ticket == self._label
        self._log.append((self._label, "failed", error))

    def dropped(self, ticket: Any, ending: Ending) -> None:
        assert ticket == self._label
        self._log.append((self._label, "dropped", ending))


@dataclass(frozen=True, eq=False)
class Through(Policy):
    """A flow: one async-shaped function that serves both colours."""

    run: Callable[..., Any] = field(kw_only=True)

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the flow in front."""
        flow = site.driver.flow(self.run, inner)

        def step(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return flow(args, kwargs)

        return step


async def straight_on(
    proceed: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Flow that changes nothing."""
    return await proceed(args, kwargs)


def plain(a: int, b: int = 2) -> tuple[int, int]:
    """Return both."""
    return a, b


async def coroutine(a: int, b: int = 2) -> tuple[int, int]:
    """Return both."""
    await asyncio.sleep(0)
    return a, b


def generator(a: int, b: int = 2) -> Generator[int, Any, str]:
    """Give both."""
    yield a
    yield b
    return "end"


async def async_generator(a: int, b: int = 2) -> AsyncGenerator[int, Any]:
    """Give both."""
    yield a
    yield b


SHAPES = [plain, coroutine, generator, async_generator]
IDS = [function.__name__ for function in SHAPES]


async def items_of(stream: Any) -> list[Any]:
    """Read a stream of either colour to its end."""
    if hasattr(stream, "__anext__"):
        return [item async for item in stream]
    return list(stream)


async def outcome(call: Any) -> Any:
    """Finish a call of any shape: its value, or the list of its items."""
    if hasattr(call, "__await__"):
        call = await call
    if hasattr(call, "__next__") or hasattr(call, "__anext__"):
        return await items_of(call)
    return call


def finish(call: Callable[[], Any]) -> Any:
    """Make a call of any shape on a loop of its own and finish it."""

    async def main() -> Any:
        return await outcome(call())

    return asyncio.run(main())
