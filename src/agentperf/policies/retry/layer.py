"""Makes attempts until one works or no further one makes sense."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from agentperf._base.log import warn
from agentperf._base.verdicts import Verdict
from agentperf._engine.attempts import Budget
from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.overtime import Overtime
from agentperf._engine.resuming import mended, noted, resumed
from agentperf._engine.site import Site
from agentperf._engine.streams import LIVE, AnyLiveStream
from agentperf._engine.waiting import seconds_left
from agentperf.errors import CallTimeout
from agentperf.events import RetryGaveUp, RetryScheduled
from agentperf.policies.retry.clients import retrying_client
from agentperf.policies.retry.core import pause, should_retry
from agentperf.policies.retry.options import RetryOptions

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Restarted:
    """An item of a stream that began anew (`retry(restart=True)`): what came before is void.

    Attributes:
        attempt: Which attempt the following items belong to, counted from 1.
        error: What ended the attempt before.
    """

    attempt: int
    error: Exception


class _Reading:
    """A stream that is read: its call, which attempt gives it, and the items so far."""

    def __init__(self, call: tuple[Args, Kwargs]) -> None:
        self.call = call
        self.attempt = 1
        self.given: list[Any] = []


class RetryLayer:
    """Retries on one function, on one host."""

    def __init__(self, site: Site, options: RetryOptions, budget: Budget) -> None:
        self._site = site
        self._options = options
        self._budget = budget
        self._waiting = site.waiting
        self._overtime = Overtime(site)
        self._now = site.host.clock.now
        self._tell_scheduled = site.host.bus.emitter(RetryScheduled)
        self._tell_gave_up = site.host.bus.emitter(RetryGaveUp)
        self._told_of_sdk = self._looked_around = False

    def bound(self, inner: Step) -> Step:
        """Put the retries around `inner`."""
        if self._options.bounded:
            step: Step = self._site.driver.flow(self._attempts, inner)
        else:
            rescue = self._site.driver.flow(self._after_failure, inner)
            step = self._site.driver.rescued(
                inner, self._budget.earn, rescue, self._budget.under_way
            )
        if not self._options.restart and self._options.resume is None:
            return step
        self._again = self._site.driver.flow(self._once_more, inner)
        return self._site.driver.flow(self._restartable, step)

    async def _attempts(self, proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
        """Make all attempts within their bounds of time."""
        if not self._budget.under_way.extra:
            return await self._all_attempts(proceed, args, kwargs)
        with self._budget.under_way.call():
            return await self._all_attempts(proceed, args, kwargs)

    async def _all_attempts(self, proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
        total = self._options.total
        deadline = None if total is None else self._now() + total
        try:
            value = await self._attempt(proceed, deadline, args, kwargs)
        except Exception as error:  # noqa: BLE001 - judged below
            return await self._after(proceed, deadline, error, args, kwargs)
        self._budget.earn()
        return value

    async def _after_failure(
        self, proceed: Proceed, error: Exception, args: Args, kwargs: Kwargs
    ) -> Any:
        """Make the attempts after a first one that failed."""
        return await self._after(proceed, None, error, args, kwargs)

    async def _after(
        self,
        proceed: Proceed,
        deadline: float | None,
        error: Exception,
        args: Args,
        kwargs: Kwargs,
    ) -> Any:
        for attempt in range(1, self._options.attempts + 1):
            await self._pause(attempt, error, deadline, (args, kwargs))
            try:
                value = await self._attempt(proceed, deadline, args, kwargs)
            except Exception as next_error:  # noqa: BLE001 - judged in the next round
                error = next_error
            else:
                self._budget.earn()
                return value
            finally:
                self._budget.over()
        raise error

    async def _attempt(
        self, proceed: Proceed, deadline: float | None, args: Args, kwargs: Kwargs
    ) -> Any:
        bound, limit = self._options.per_attempt, "per_attempt"
        if deadline is not None:
            left = max(0.0, deadline - self._now())
            if bound is None or left < bound:
                bound, limit = left, "total"
        if bound is None:
            return await proceed(args, kwargs)
        late = partial(self._late, limit)
        return await self._overtime.bounded(bound, partial(proceed, args, kwargs), late)

    def _late(self, limit: str) -> CallTimeout:
        seconds: float = getattr(self._options, limit)
        what = "an attempt of" if limit == "per_attempt" else "all attempts of"
        return CallTimeout(
            f"{what} {self._site.operation} took longer than {limit}={seconds:g} s",
            policy="retry",
            name=self._site.operation,
            limit=limit,
            seconds=seconds,
        )

    async def _pause(
        self, attempt: int, error: Exception, deadline: float | None, call: tuple[Args, Kwargs]
    ) -> None:
        """Wait before the next attempt, or raise the error where there is to be none.

        Until the attempt has ended the budget has it under way.
        """
        options = self._options
        verdict = self._site.host.classify(error)
        if not should_retry(error, verdict, options):
            raise error
        self._mind_the_sdk(error, call)
        wait = pause(attempt, verdict, options)
        if attempt >= options.attempts:
            self._give_up(attempt, error, "attempts")
        if verdict.wait is not None and wait > options.max_backoff:
            self._give_up(attempt, error, "wait")
        if deadline is not None and self._now() + wait >= deadline:
            self._give_up(attempt, error, "total")
        if (left := seconds_left(self._now())) is not None and wait >= left:
            self._give_up(attempt, error, "deadline")
        if (lack := self._budget.spend()) is not None:
            self._give_up(attempt, error, lack)
        try:
            self._tell(attempt, error, wait, verdict)
            if wait > 0:
                await self._waiting.sleep(wait)
        except BaseException:
            self._budget.over()
            raise

    def _give_up(self, attempt: int, error: Exception, reason: str) -> None:
        if self._tell_gave_up is not None:
            self._tell_gave_up(
                RetryGaveUp(
                    operation=self._site.operation,
                    attempt=attempt,
                    error=type(error).__name__,
                    reason=reason,
                )
            )
        raise error

    def _tell(self, attempt: int, error: Exception, wait: float, verdict: Verdict) -> None:
        if self._tell_scheduled is not None:
            self._tell_scheduled(
                RetryScheduled(
                    operation=self._site.operation,
                    attempt=attempt,
                    wait=wait,
                    error=type(error).__name__,
                    reason=verdict.reason,
                    asked=verdict.wait is not None,
                )
            )

    def _mind_the_sdk(self, error: Exception, call: tuple[Args, Kwargs]) -> None:
        """Say once that the client retries too: its retries and these multiply."""
        if self._told_of_sdk:
            return
        client = None
        if not self._looked_around:
            self._looked_around = True
            client = retrying_client(self._site.target.function, *call)
        headers = getattr(getattr(error, "request", None), "headers", None) or {}
        if client or str(headers.get("x-stainless-retry-count", "0")) != "0":
            self._told_of_sdk = True
            warn(
                "retry.client_retries_too",
                operation=self._site.operation,
                client=client or "unknown",
                advice="make the client with max_retries=0: its retries and these multiply",
            )

    async def _restartable(self, proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
        value = await proceed(args, kwargs)
        if type(value) not in LIVE:
            return value
        reading = _Reading((args, kwargs))
        return mended(self._noted(value, reading), partial(self._again, reading), self._now)

    def _noted(self, stream: AnyLiveStream, reading: _Reading) -> AnyLiveStream:
        """Have the items of a stream that is to be continued noted."""
        return stream if self._options.resume is None else noted(stream, reading.given)

    async def _once_more(
        self, proceed: Proceed, reading: _Reading, stream: AnyLiveStream, broke: Exception
    ) -> tuple[AnyLiveStream, tuple[Restarted, ...]]:
        """Begin a broken stream anew, or go on after the items given so far."""
        restart, error = self._options.restart, broke
        if not restart and not stream.replayable:
            raise broke  # its items were answers to what its reader sent
        while True:
            await self._pause(reading.attempt, error, None, reading.call)
            reading.attempt += 1
            try:
                stream = await self._gone_on(proceed, reading)
            except Exception as next_error:  # noqa: BLE001 - judged in the next round
                error = next_error
                continue
            finally:
                self._budget.over()
            if type(stream) not in LIVE:
                raise error
            news = (Restarted(reading.attempt, broke),) if restart else ()
            return self._noted(stream, reading), news

    async def _gone_on(self, proceed: Proceed, reading: _Reading) -> Any:
        """Return what gives the items that are still missing; None where nothing can."""
        resume, call = self._options.resume, reading.call
        if resume is not None:
            changed = resumed(resume, reading.given, self._site.target, *call)
            if changed is None:
                return None
            call = changed
        return await self._attempt(proceed, None, *call)
