"""A limiter at work whose rates are in a store: asks, waits in line, puts right what is owed."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from agentperf._base.options import OnFailure
from agentperf._engine.bindings import Step
from agentperf._engine.loops import set_aside
from agentperf._engine.priority import HeadStart
from agentperf._engine.site import Forecast, Site, foreseen
from agentperf._engine.stores import StoreReach, unavailable
from agentperf._engine.waiting import in_one_go
from agentperf.abc.stores import Stores
from agentperf.errors import ConfigurationError
from agentperf.policies.rate_limited.bucket import ONE, UNTIL_WOKEN, Bucket, Limits, Need
from agentperf.policies.rate_limited.gcra import NANO
from agentperf.policies.rate_limited.layer import (
    Args,
    Buckets,
    Estimate,
    KeyOf,
    Kwargs,
    Learn,
    Lease,
    LimiterLayer,
    Oversize,
    onward_of,
)
from agentperf.policies.rate_limited.replies import Lesson
from agentperf.policies.rate_limited.shared.bucket import SharedBucket, SharedBuckets

JITTER = 0.05
"""The share of a wait that is added to it at random, so that processes don't ask all at once."""

_LEAST_JITTER = NANO // 1000

_UNLIMITED = Limits(((), (), (), ()))


class SharedLimiterLayer(LimiterLayer):
    """A shared limiter in front of one function, on one host.

    Calls of one process wait in one queue, and only its head asks the store. Between processes the
    one that asks first after a moment of room gets it.
    """

    def __init__(
        self,
        site: Site,
        buckets: SharedBuckets,
        stores: Stores,
        name: str,
        *,
        key_of: KeyOf | None,
        estimate: Estimate | None,
        max_wait: float,
        on_failure: OnFailure,
        oversize: Oversize = "error",
        learn: Learn | None = "errors",
        head_start: HeadStart | None = None,
    ) -> None:
        super().__init__(
            site,
            Buckets(buckets.limits),
            name,
            key_of=key_of,
            estimate=estimate,
            max_wait=max_wait,
            oversize=oversize,
            learn=learn,
            head_start=head_start,
        )
        self._outputs = buckets.outputs[site.target.operation]
        waiting = site.waiting if site.driver.is_async else None
        self._reach = StoreReach(site.host, site.operation, stores, waiting)
        self._in_thread = (
            None if stores.sync is None else StoreReach(site.host, site.operation, stores, None)
        )
        self._shared = buckets
        self._on_failure = on_failure
        self._borrows = oversize == "borrow"
        self._nobody = Bucket(_UNLIMITED)

    def bound(self, inner: Step) -> Step:
        """Put the limiter in front of `inner`."""
        admit = partial(self._admit_and_run, tuple(self._site.ahead))
        return self._site.driver.flow(admit, onward_of(self._run(inner)))

    async def _admit_and_run(
        self, ahead: tuple[Forecast, ...], proceed: Callable[..., Any], args: Args, kwargs: Kwargs
    ) -> Any:
        bucket = self._shared.of(None if self._key_of is None else self._key_of(args, kwargs))
        need = ONE if self._estimate is None else self._estimate(args, kwargs)
        if self._oversize == "clamp":
            need = bucket.clamped(need)
        spent = self._spent(bucket)
        wait: int = UNTIL_WOKEN
        taken: Bucket = bucket
        possible = self._borrows or bucket.fits_ever(need) is None
        if possible and (self._max_wait == 0 or bucket.may_ask):
            wait, taken = await self._take(bucket, need)
        if wait:
            if (instead := foreseen(ahead, args, kwargs)) is not None:
                return await proceed(args, kwargs, (bucket, need, spent), instead)
            self._possible((bucket, need, spent), args, kwargs)
            taken = await self._turn(bucket, need, wait, args, kwargs)
        return await proceed(args, kwargs, (taken, need, spent), None)

    async def _take(self, bucket: SharedBucket, need: Need) -> tuple[int, Bucket]:
        """Take from the store, or as `on_store_failure` says; tell how long to wait, and of whom.

        Raises:
            StoreUnavailable: The store fails, and that is not to be passed over.
        """
        if bucket.has_lessons and bucket.begins_paying(self._now()):
            await self._paid(bucket, self._reach)  # the loop of who was to tell it has ended
        try:
            return await bucket.ask(self._reach, need, borrow=self._borrows), bucket
        except ConfigurationError:
            raise
        except Exception as error:
            if self._on_failure == "open":
                return 0, self._nobody
            if self._on_failure == "local":
                local = bucket.local
                return local.let_in(self._now(), need, borrow=self._borrows), local
            self._say_refused(None)
            raise unavailable("limit", self._name, "rate_limited") from error

    async def _turn(
        self, bucket: SharedBucket, need: Need, told: int, args: Args, kwargs: Kwargs
    ) -> Bucket:
        """Stand in the queue until everything the call needs was taken; return from whom.

        Args:
            bucket: Whose queue.
            need: What the call needs.
            told: The wait that was said a moment ago; `UNTIL_WOKEN` where nobody was asked.
            args: The call's arguments.
            kwargs: Those given by name.
        """
        lease: Lease = (bucket, need, None)
        waiting, began = self._site.waiting, self._now()
        if self._max_wait == 0:
            raise self._refused(lease, told, self._shown(args, kwargs), ahead=bucket.waiting)
        until = began + self._max_wait
        lead = 0 if self._head_start is None else self._head_start(args, kwargs)
        waiter, taken = bucket.queue(need, began - lead), self._nobody
        try:
            while True:
                parker, wait = waiting.parker(), UNTIL_WOKEN
                said, told = told, UNTIL_WOKEN  # who is woken later doesn't go by it any more
                if bucket.is_first(waiter, parker):
                    wait = said
                    if wait == UNTIL_WOKEN:
                        wait, taken = await self._take(bucket, need)
                    if wait == 0:
                        break
                left = until - self._now()
                if left <= 0 or wait > self._patience(left):
                    key = self._shown(args, kwargs)
                    raise self._refused(lease, wait, key, ahead=bucket.waiting - 1)
                pause = left if wait == UNTIL_WOKEN else min(left, _jittered(wait))
                await parker.park(pause / NANO)
        finally:
            bucket.leave(waiter)
        self._say_delayed(began)
        return taken

    # -- settling

    def done(self, ticket: Lease, value: Any) -> None:
        """Put right what was reserved, in the store too."""
        super().done(ticket, value)
        self._pay(ticket[0])

    def _give_back(self, lease: Lease) -> None:
        super()._give_back(lease)
        self._pay(lease[0])

    def _heed(self, bucket: Bucket, lesson: Lesson | None) -> None:
        if not lesson or bucket is self._nobody:
            return
        if isinstance(bucket, SharedBucket):
            bucket.learn(self._now(), lesson, self._say_changed)
            self._pay(bucket)
        else:
            super()._heed(bucket, lesson)

    def _pay(self, bucket: Bucket) -> None:
        """Have the store told of what a bucket owes: now where calls block, else by a task."""
        if not isinstance(bucket, SharedBucket) or not bucket.begins_paying(self._now()):
            return
        paid = partial(self._paid, bucket, self._reach)
        if not self._site.driver.is_async:
            in_one_go(paid())
        elif not set_aside(self._site.waiting, paid, partial(self._pay_after_all, bucket)):
            bucket.ends_paying()  # a thread without a loop: the next decision takes it along

    def _pay_after_all(self, bucket: SharedBucket) -> None:
        """Tell what a loop ended over; where a store has to be awaited, the next decision does."""
        bucket.ends_paying()
        if self._in_thread is not None and bucket.begins_paying(self._now()):
            in_one_go(self._paid(bucket, self._in_thread))

    async def _paid(self, bucket: SharedBucket, reach: StoreReach) -> None:
        try:
            while bucket.owes:
                await bucket.pay(reach, self._now)
        except Exception:  # noqa: BLE001 - the reach has told of it
            return
        finally:
            bucket.ends_paying()
        bucket.wake()


def _jittered(wait: int) -> int:
    return wait + round(random.uniform(0, max(_LEAST_JITTER, wait * JITTER)))
