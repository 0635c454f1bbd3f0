"""What the suites are written with: clear failures, any colour, several threads."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any


def expect(kept: bool, promise: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Fail where a promise of a contract isn't kept.

    Raises:
        AssertionError: It isn't.
    """
    if not kept:
        raise AssertionError(promise)


def finished(check: Callable[[], Awaitable[None]], *, is_async: bool) -> None:
    """Run an async-shaped check: on an event loop, or in one go where nothing in it waits."""
    if is_async:
        import anyio

        anyio.run(check)
        return
    from agentperf._engine.waiting import in_one_go

    in_one_go(check())


class Either:
    """An object of either colour, all of whose methods can be awaited."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._thing, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            answer = method(*arguments, **named)
            return await answer if inspect.isawaitable(answer) else answer

        return call


def at_once(threads: int, work: Callable[[int], object]) -> None:
    """Run `work(number)` in several threads that start together.

    Raises:
        Exception: What one of them raised first.
    """
    start = threading.Barrier(threads)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
