"""How long a caller waits for a computation, which goes on without it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from agentperf._engine.site import Site
from agentperf._engine.waiting import in_one_go
from agentperf.abc.waiting import Parker
from agentperf.errors import CallTimeout
from agentperf.policies.cached.options import CacheOptions

WORKERS = 64
"""How many computations of calls that block may be under way, or hang, on one host."""


class _TakesLong(CallTimeout):
    """There is an old answer, and the caller doesn't want to wait for the new one any longer."""


class Bounds:
    """The bounds of one cache; each caller has a clock of its own.

    Args:
        site: The function's place in its pipeline.
        options: What was asked for.
        name: What the cache is shared by, if it is.
    """

    def __init__(self, site: Site, options: CacheOptions, name: str | None = None) -> None:
        self._site = site
        self._name = name or site.operation
        self._soft = options.soft_timeout
        self._hard = options.hard_timeout
        self.detached = site.waiting.detached if site.driver.is_async else self._in_thread

    def wait(self, *, has_old: bool) -> Callable[[Parker], Awaitable[None]]:
        """Return what waits in a place, until this caller's time is up.

        It raises `CallTimeout` then.

        Args:
            has_old: Whether there is an old answer at hand.
        """
        if has_old and self._soft is not None:
            return self._until(self._soft, _TakesLong)
        if self._hard is not None:
            return self._until(self._hard, CallTimeout)
        return _for_ever

    def _until(
        self, seconds: float, late: type[CallTimeout]
    ) -> Callable[[Parker], Awaitable[None]]:
        now = self._site.waiting.now
        end = now() + seconds

        async def park(parker: Parker) -> None:
            if not await parker.park(max(0.0, end - now()), passive=True):
                raise self._late(seconds, late)

        return park

    def _late(self, seconds: float, late: type[CallTimeout] = CallTimeout) -> CallTimeout:
        why = f"there was no answer within {seconds:.3g} s"
        return self._error(late, why, seconds, "hard" if late is CallTimeout else "soft")

    def _error(
        self, late: type[CallTimeout], why: str, seconds: float | None, which: str
    ) -> CallTimeout:
        return late(
            f"{self._site.operation}: {why}",
            policy="cached",
            name=self._name,
            limit=f"{which}_timeout",
            seconds=seconds,
        )

    def takes_long(self, error: Exception) -> bool:
        """Whether that is no failure, only the end of a caller's patience."""
        return isinstance(error, _TakesLong)

    async def alone(self, compute: Callable[[], Awaitable[object]]) -> object:
        """Compute for one caller alone; nobody else waits, so it ends with the caller's time."""
        if (hard := self._hard) is None:
            return await compute()
        return await self._site.waiting.bounded(hard, compute, lambda: self._late(hard))

    async def _in_thread(
        self, work: Callable[[], Awaitable[None]], ended: Callable[[], object]
    ) -> Callable[[], None]:
        """Run work that blocks where its caller can leave it; the thread is held until it ends.

        Raises:
            CallTimeout: All threads are held.
        """
        from agentperf._engine.lanes import Crew  # few calls need one

        make = partial(Crew, WORKERS, "agentperf-compute")
        crew = self._site.host.state(Crew, make, owners=(), name="computations")
        if not crew.begin(lambda: in_one_go(work())):
            ended()
            why = (
                f"{WORKERS} computations that block are under way already, and this one could not "
                "be left"
            )
            raise self._error(CallTimeout, why, self._hard, "hard")
        return _nothing


async def _for_ever(parker: Parker) -> None:
    await parker.park()


def _nothing() -> None:
    pass
