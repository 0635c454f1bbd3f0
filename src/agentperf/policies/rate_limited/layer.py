"""A limiter at work: reserves what a call needs, waits where it must, settles by what was used."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.endings import Ending
from agentperf._base.keys import digest
from agentperf._base.text import format_wait
from agentperf._engine.bindings import Step
from agentperf._engine.frames import Frame, WatchedFrame, current_frame
from agentperf._engine.hearing import Listener
from agentperf._engine.pushback import DIMENSIONS
from agentperf._engine.site import Forecast, Site, foreseen
from agentperf._engine.streams import LIVE
from agentperf._engine.waiting import awaited_until, seconds_left
from agentperf.errors import RateLimitExceeded, RequestTooLarge
from agentperf.events import CallDelayed, CallRefused, LeaseSettled, LimitChanged
from agentperf.policies.rate_limited.bucket import (
    ONE,
    UNTIL_WOKEN,
    Bucket,
    Limits,
    Need,
)
from agentperf.policies.rate_limited.estimate import are_vectors
from agentperf.policies.rate_limited.gcra import NANO
from agentperf.policies.rate_limited.outputs import Outputs
from agentperf.usage import Usage, usage_of

if TYPE_CHECKING:
    from agentperf._engine.priority import HeadStart
    from agentperf.policies.rate_limited.caution import Change
    from agentperf.policies.rate_limited.replies import Lesson

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
KeyOf = Callable[[Args, Kwargs], Hashable]
Estimate = Callable[[Args, Kwargs], Need]
Run = Callable[[Args, Kwargs, "Lease"], Any]
Instead = Callable[[], Any]
Oversize = Literal["error", "borrow", "clamp"]
Learn = Literal["errors", "replies"]

_NOTHING: Need = (0, 0, 0, 0)
_NANOS_OF_MICRO = 1000


class Spent:
    """What a call has said of its usage so far.

    Attributes:
        shown: The last usage among the items of its stream.
    """

    __slots__ = ("_booked", "shown")

    def __init__(self) -> None:
        self.shown: Usage | None = None
        self._booked: list[Usage] = []

    def used(self, usage: Usage, *, own: bool) -> None:
        """Take down what was spent inside the call, by itself or by calls inside it."""
        self._booked.append(usage)

    def usage(self, answer: Usage | None = None) -> Usage | None:
        """Return what is known: what was booked or what the answer says, whichever is more.

        They may speak of the same tokens, or the answer of the last of several calls only.
        """
        booked = sum(self._booked, Usage()) if self._booked else None
        known = [usage for usage in (booked, answer or self.shown) if usage is not None]
        return max(known, key=lambda usage: usage.total_tokens, default=None)


class Heard(Spent, Listener):
    """The same for a limiter that learns from replies, also from those that only a client sees.

    Args:
        layer: The limiter.
        bucket: Whose limit a reply speaks of.

    Attributes:
        lesson: What the last reply taught, and when that was.
    """

    __slots__ = ("_bucket", "_layer", "lesson", "listens_for")

    def __init__(self, layer: LimiterLayer, bucket: Bucket) -> None:
        super().__init__()
        self._layer = layer
        self._bucket = bucket
        self.listens_for = layer.target
        self.lesson: tuple[int, Lesson] | None = None

    def heard(self, status: int, headers: Mapping[Any, Any]) -> None:
        """Learn from a reply at once: calls that come meanwhile go by it."""
        self.lesson = self._layer.heard(self._bucket, status, headers)


Lease = tuple[Bucket, Need, Spent | None]
"""What was reserved for one call, and what it has said of its usage so far."""


class Buckets:
    """The buckets of one limiter on one host: one, or one for each value of `by`.

    Attributes:
        limits: What it allows.
        single: The bucket of all calls, without `by`.
        by_key: The bucket of each value.
        outputs: How long the answers of each operation are.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.single = Bucket(limits)
        self.outputs: BoundedRegistry[Outputs] = BoundedRegistry(Outputs)
        self.by_key: BoundedRegistry[Bucket] = BoundedRegistry(lambda: Bucket(limits))


class LimiterLayer:
    """A limiter in front of one function, on one host; a gate that may have to wait."""

    def __init__(
        self,
        site: Site,
        buckets: Buckets,
        name: str,
        *,
        key_of: KeyOf | None,
        estimate: Estimate | None,
        max_wait: float,
        oversize: Oversize = "error",
        learn: Learn | None = "errors",
        head_start: HeadStart | None = None,
    ) -> None:
        self._site = site
        self._buckets = buckets
        self._name = name
        self._key_of = key_of
        self._estimate = estimate
        self._max_wait = round(max_wait * NANO)
        self._oversize = oversize
        self._learn = learn
        self._outputs = buckets.outputs[site.target.operation]
        self._head_start = head_start
        self._now = site.host.clock.now_ns
        self._counts_tokens = buckets.limits.counts_tokens
        self._tell_refused = site.host.bus.emitter(CallRefused)
        self._tell_delayed = site.host.bus.emitter(CallDelayed)
        self._tell_settled = site.host.bus.emitter(LeaseSettled)
        self._tell_changed = site.host.bus.emitter(LimitChanged)
        self.target = site.target
        self._listens = learn == "replies"
        self.watches_items = self._counts_tokens
        # Without places to free or tokens to put right, a call that went well leaves nothing to do.
        reads = self._counts_tokens or self._listens
        self.settles = reads or buckets.limits.concurrency is not None

    def bound(self, inner: Step) -> Step:
        """Put the limiter in front of `inner`."""
        run, ahead = self._run(inner), tuple(self._site.ahead)
        wait = self._site.driver.flow(partial(self._wait_and_run, ahead), onward_of(run))
        if self._key_of is None and self._estimate is None and not self._listens:
            return self._admitting_alike(run, wait)
        return self._admitting(run, wait)

    def _run(self, inner: Step) -> Run:
        """Make what runs a call that was let in, and settles it."""
        run = self._site.driver.guarded(self, inner)
        watches = self._counts_tokens or self._listens
        return self._site.driver.framed(run, _frame) if watches else run

    def _spent(self, bucket: Bucket) -> Spent | None:
        """Make what takes down what a call says of its usage, where anybody wants to know."""
        if self._listens:
            return Heard(self, bucket)
        return Spent() if self._counts_tokens else None

    def _admitting_alike(self, run: Run, wait: Run) -> Step:
        """Admit calls that are one request each, of one limit: they all have the same lease."""
        lease: Lease = (self._buckets.single, ONE, None)
        take, now = self._buckets.single.take, self._now

        def step(args: Args, kwargs: Kwargs) -> Any:
            if take(now(), ONE) == 0:
                return run(args, kwargs, lease)
            return wait(args, kwargs, lease)

        return step

    def _admitting(self, run: Run, wait: Run) -> Step:
        """Admit calls of which each has its own lease."""
        single, by_key = self._buckets.single, self._buckets.by_key
        key_of, estimate = self._key_of, self._estimate
        now, spent = self._now, self._spent

        def step(args: Args, kwargs: Kwargs) -> Any:
            bucket = single if key_of is None else by_key[key_of(args, kwargs)]
            need = ONE if estimate is None else estimate(args, kwargs)
            lease: Lease = (bucket, need, spent(bucket))
            if bucket.take(now(), need) == 0:
                return run(args, kwargs, lease)
            return wait(args, kwargs, lease)

        return step

    async def _wait_and_run(
        self,
        ahead: tuple[Forecast, ...],
        proceed: Callable[..., Any],
        args: Args,
        kwargs: Kwargs,
        lease: Lease,
    ) -> Any:
        instead = foreseen(ahead, args, kwargs)
        if instead is None:
            lease = self._possible(lease, args, kwargs)
            await self._wait(lease, args, kwargs)
        return await proceed(args, kwargs, lease, instead)

    async def _wait(self, lease: Lease, args: Args, kwargs: Kwargs) -> None:
        """Stand in the queue until everything the call needs was taken."""
        bucket, need, _ = lease
        waiting, began = self._site.waiting, self._now()
        borrow = self._oversize == "borrow"
        until = began + self._max_wait
        lead = 0 if self._head_start is None else self._head_start(args, kwargs)
        waiter = bucket.queue(need, began - lead)
        try:
            while True:
                parker = waiting.parker()
                wait = bucket.advance(now := self._now(), waiter, parker, borrow=borrow)
                if wait == 0:
                    break
                left = until - now
                if left <= 0 or wait > self._patience(left):
                    key = self._shown(args, kwargs)
                    raise self._refused(lease, wait, key, ahead=bucket.waiting - 1)
                await parker.park((left if wait == UNTIL_WOKEN else wait) / NANO)
        finally:
            bucket.leave(waiter)
        self._say_delayed(began)

    def _patience(self, left: int) -> int:
        """Return how long a call may be made to wait that has so much left of `max_wait`."""
        seconds = seconds_left(self._site.waiting.now())
        return left if seconds is None else min(left, round(seconds * NANO))

    def _say_delayed(self, began: int) -> None:
        waited = (self._now() - began) / NANO
        if self._tell_delayed is not None and waited > 0:
            self._tell_delayed(
                CallDelayed(
                    operation=self._site.operation,
                    policy="rate_limited",
                    name=self._name,
                    waited=waited,
                )
            )

    # -- settling

    def done(self, ticket: Lease, value: Any) -> None:
        """Put right what was reserved by what the answer says it used, or what was recorded."""
        bucket, need, spent = ticket
        used = None
        if spent is not None and self._counts_tokens:
            usage = spent.usage(None if type(value) in LIVE else usage_of(value))
            if usage is not None:
                used = _used(need, usage)
            elif are_vectors(value):
                used = (need[0], need[2], need[2], 0)
            if used is not None:
                self._outputs.note(used[3])
                self._tell(ticket, used)
        bucket.settle(self._now(), need, used)
        if self._listens:
            self._learn_again(bucket, spent, value)

    def failed(self, ticket: Lease, error: Exception) -> None:
        """Give everything back but what is known to be used, and do what the upstream asks for."""
        self._give_back(ticket)
        bucket, _, spent = ticket
        if isinstance(spent, Heard) and spent.lesson is not None and spent.lesson[1].refused:
            return  # the error is what became of that very reply
        if self._learn is not None:
            from agentperf.policies.rate_limited.replies import lesson_of_error

            host = self._site.host
            wall = host.clock.wall()
            verdict = host.classify(error, now=wall)
            self._heed(bucket, lesson_of_error(error, verdict, wall))

    def heard(self, bucket: Bucket, status: int, headers: Mapping[Any, Any]) -> tuple[int, Lesson]:
        """Learn from a reply that came inside of a call; return when, and what."""
        from agentperf.policies.rate_limited.replies import lesson_of_response

        lesson = lesson_of_response(status, headers, self._site.host.clock.wall())
        self._heed(bucket, lesson)
        return self._now(), lesson

    def _learn_again(self, bucket: Bucket, spent: Spent | None, value: Any) -> None:
        """Learn from a reply when its call was settled: what that gave back is not there."""
        if isinstance(spent, Heard) and spent.lesson is not None:
            at, lesson = spent.lesson
            bucket.keep_left(at, lesson)
        elif type(value) not in LIVE:
            from agentperf.policies.rate_limited.replies import lesson_of_reply

            self._heed(bucket, lesson_of_reply(value, self._site.host.clock.wall()))

    def _heed(self, bucket: Bucket, lesson: Lesson | None) -> None:
        if lesson and (change := bucket.heed(self._now(), lesson)) is not None:
            self._say_changed(change)

    def _say_changed(self, change: Change) -> None:
        if self._tell_changed is not None:
            self._tell_changed(limit_changed(self._site.operation, self._name, change))

    def dropped(self, ticket: Lease, ending: Ending) -> None:
        """Give everything back but what is known to be used."""
        self._give_back(ticket)

    def _give_back(self, lease: Lease) -> None:
        bucket, need, spent = lease
        usage = spent.usage() if spent is not None and self._counts_tokens else None
        bucket.settle(self._now(), need, _NOTHING if usage is None else _used(need, usage))

    def seen(self, ticket: Lease, item: Any, at: float) -> None:
        """Look for the usage among the items of a stream; the last one counts."""
        if ticket[2] is not None and (usage := usage_of(item)) is not None:
            ticket[2].shown = usage

    def _tell(self, lease: Lease, used: Need) -> None:
        if self._tell_settled is not None:
            self._tell_settled(
                LeaseSettled(
                    operation=self._site.operation,
                    name=self._name,
                    reserved_tokens=lease[1][1],
                    used_tokens=used[1],
                )
            )

    # -- refusal

    def _possible(self, lease: Lease, args: Args, kwargs: Kwargs) -> Lease:
        """Make of a call that could never fit what `oversize` says."""
        bucket, need, spent = lease
        too_small = bucket.fits_ever(need)
        if too_small is None or self._oversize == "borrow":
            return lease
        if self._oversize == "clamp":
            return bucket, bucket.clamped(need), spent
        gcra, limit = too_small
        limited = zip(DIMENSIONS, lease[1], self._buckets.limits.rates, strict=True)
        sizes = ", ".join(f"{size} {name}" for name, size, rates in limited if rates)
        self._say_refused(None)
        raise RequestTooLarge(
            f"a call of {sizes} never fits the limit {self._name!r} of {gcra.rate} with a burst of "
            f"{gcra.burst}; make the call smaller or the limit larger, or let it run all the same "
            'with oversize="borrow"',
            policy="rate_limited",
            name=self._name,
            limit=limit,
            key=self._shown(args, kwargs),
        )

    def _refused(self, lease: Lease, wait: int, key: str, *, ahead: int) -> RateLimitExceeded:
        tightest = lease[0].tightest(self._now(), lease[1])
        # Up to the next microsecond: who waits so long is let in.
        retry_after = None if wait == UNTIL_WOKEN else -(-wait // _NANOS_OF_MICRO) / 1e6
        self._say_refused(retry_after)
        again = "" if retry_after is None else f", in {format_wait(retry_after)}"
        others = f", {ahead} others are waiting" if ahead > 0 else ""
        bound = f"; {self._why_not_wait(wait)}" if self._max_wait else ""
        of_key = f" of the key {key}" if key else ""
        return RateLimitExceeded(
            f"the limit {self._name!r}{of_key} ({tightest}) lets this call in later"
            f"{again}{others}{bound}",
            policy="rate_limited",
            name=self._name,
            retry_after=retry_after,
            limit=tightest,
            key=key,
        )

    def _why_not_wait(self, wait: int) -> str:
        if self._patience(self._max_wait) < wait <= self._max_wait:
            now = self._site.waiting.now()
            if (until := awaited_until(now)) is not None:
                return f"its caller waits {until.at - now:.3g} s more ({until})"
        return f"max_wait is {self._max_wait / NANO:g} s"

    def _shown(self, args: Args, kwargs: Kwargs) -> str:
        """Return what may be told of a call's key: the beginning of its digest."""
        return "" if self._key_of is None else digest(self._key_of(args, kwargs))[:12]

    def _say_refused(self, retry_after: float | None) -> None:
        if self._tell_refused is not None:
            self._tell_refused(
                CallRefused(
                    operation=self._site.operation,
                    policy="rate_limited",
                    name=self._name,
                    retry_after=retry_after,
                )
            )


def limit_changed(operation: str, name: str, change: Change) -> LimitChanged:
    """Make the event that tells of a change."""
    return LimitChanged(
        operation=operation,
        name=name,
        old=change.old,
        new=change.new,
        pause=change.pause,
        reason=change.reason,
    )


def onward_of(run: Run) -> Callable[..., Any]:
    """Make what runs a call, or does what stands in for it."""

    def onward(args: Args, kwargs: Kwargs, lease: Lease, instead: Instead | None) -> Any:
        return run(args, kwargs, lease) if instead is None else instead()

    return onward


def _frame(lease: Lease) -> Frame:
    assert lease[2] is not None  # noqa: S101 - a limit of tokens watches what is spent
    return WatchedFrame(current_frame.get(), lease[2])


def _used(need: Need, usage: Usage) -> Need:
    """What counts against the limits: providers don't count what they read from their cache."""
    given = usage.input_tokens - usage.cached_tokens
    return need[0], given + usage.output_tokens, given, usage.output_tokens
