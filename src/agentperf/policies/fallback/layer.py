"""A fallback at work: asks one target after the other until one answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agentperf._engine.bindings import Step
from agentperf._engine.choosing import On
from agentperf._engine.classify import classify
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf._engine.streams import AsyncLiveStream, LiveStream
from agentperf._engine.substitutes import Substitute
from agentperf.events import FellBack
from agentperf.policies.fallback.core import falls_back

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class FallbackLayer:
    """A fallback around one function, on one host."""

    def __init__(self, site: Site, targets: tuple[Any, ...], on: On | None, name: str) -> None:
        self._site = site
        self._links = [Substitute(site, _asked(target), "a fallback") for target in targets]
        self._on = on
        self._name = name
        self._tell = site.host.bus.emitter(FellBack)

    def bound(self, inner: Step) -> Step:
        """Put the fallback around `inner`."""
        driver = self._site.driver
        rescue = driver.flow(self._fall_back, _ask)
        return driver.rescued(driver.flow(_begun, inner), lambda: None, rescue)

    async def _fall_back(
        self, proceed: Proceed, error: Exception, args: Args, kwargs: Kwargs
    ) -> Any:
        return await self._answer(partial(proceed, args, kwargs), (error,))

    async def _answer(
        self, ask: Callable[[Substitute], Awaitable[Any]], errors: tuple[Exception, ...]
    ) -> Any:
        """Have the next link answer, after so many have failed; the call itself was the first."""
        failed, error = len(errors), errors[-1]
        verdict = classify(error, now=self._site.host.clock.wall())
        if failed > len(self._links) or not falls_back(error, verdict, self._on):
            raise error
        link = self._links[failed - 1]
        try:
            value = await link.shaped(await ask(link))
            await _first_item(value)
        except Exception as next_error:  # noqa: BLE001 - judged by the next link
            # Within this handler, so that each error has the one before as its context.
            return await self._answer(ask, (*errors, next_error))
        self._say(errors[0], failed)
        return value

    def _say(self, error: Exception, link: int) -> None:
        if self._tell is not None:
            self._tell(
                FellBack(
                    operation=self._site.operation,
                    name=self._name,
                    link=link,
                    error=type(error).__name__,
                    reason=classify(error).reason,
                )
            )


async def _begun(proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
    """Make the call; a stream that fails before its first item is a call that failed."""
    value = await proceed(args, kwargs)
    await _first_item(value)
    return value


async def _first_item(value: Any) -> None:
    if type(value) is LiveStream and not value.primed:
        value.prime()
    elif type(value) is AsyncLiveStream and not value.primed:
        await value.prime()


def _ask(args: Args, kwargs: Kwargs, link: Substitute) -> Any:
    return link.ask(args, kwargs)


def _asked(target: Any) -> Any:
    """Turn a value into a function that gives it."""
    return target if callable(target) else lambda *_, **__: target
