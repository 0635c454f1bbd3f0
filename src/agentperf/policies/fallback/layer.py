"""A fallback at work: asks one target after the other until one answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agentperf._engine.bindings import Step
from agentperf._engine.choosing import On
from agentperf._engine.site import Site
from agentperf._engine.substitutes import Substitute
from agentperf.events import FellBack
from agentperf.policies.fallback.core import falls_back

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Errors = tuple[Exception, ...]


class FallbackLayer:
    """A fallback around one function, on one host."""

    def __init__(self, site: Site, targets: tuple[Any, ...], on: On | None, name: str) -> None:
        self._site = site
        self._targets = targets
        self._on = on
        self._name = name
        self._tell = site.host.bus.emitter(FellBack)

    def bound(self, inner: Step) -> Step:
        """Put the fallback around `inner`."""
        driver = self._site.driver
        self._links = [self._link(target) for target in self._targets]
        rescue = driver.flow(self._fall_back, _ask)
        return driver.rescued(driver.primed(inner), lambda: None, rescue)

    def _link(self, target: Any) -> Step:
        function = target if callable(target) else lambda *_, **__: target
        substitute = Substitute(self._site, function, "a fallback")
        driver = self._site.driver
        return driver.primed(driver.flow(substitute.answer, substitute.ask))

    async def _fall_back(
        self, proceed: Callable[..., Any], error: Exception, args: Args, kwargs: Kwargs
    ) -> Any:
        return await self._answer(partial(proceed, args, kwargs), (error,))

    async def _answer(self, ask: Callable[..., Awaitable[Any]], errors: Errors) -> Any:
        """Have the next link answer, after so many have failed; the call itself was the first."""
        failed, error = len(errors), errors[-1]
        verdict = self._site.host.classify(error)
        if failed > len(self._links) or not falls_back(error, verdict, self._on):
            raise error
        link = self._links[failed - 1]
        try:
            value = await ask(link)
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
                    reason=self._site.host.classify(error).reason,
                )
            )


def _ask(args: Args, kwargs: Kwargs, link: Step) -> Any:
    return link(args, kwargs)
