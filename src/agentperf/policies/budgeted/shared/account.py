"""What one process knows of a budget in a store, and what it has to tell there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentperf._base.keys import digest
from agentperf._engine.stores import LeftAlone, unavailable
from agentperf.errors import BudgetExceeded, ConfigurationError
from agentperf.policies.budgeted.core import PICO, Hold, Ledger, lacking, shown
from agentperf.policies.budgeted.options import BudgetOptions, SharedOptions
from agentperf.policies.budgeted.shared.decision import (
    AHEAD,
    FORGOTTEN,
    KEPT,
    LEASE,
    MICRO,
    NANO,
    NO_CALL,
    SHARED_BUDGET,
    Allowed,
    Figures,
    Purpose,
    Status,
    Totals,
    Want,
    arguments,
)

if TYPE_CHECKING:
    from agentperf._engine.stores import StoreReach
    from agentperf.usage import Usage

PICO_PER_NANO = PICO // NANO
_BITS = 53
"""Whole numbers of so many bits are exact in every language."""


NO_HOLD = Hold()


class Account:
    """A budget in a store, as one process sees it; safe to use from any thread.

    Args:
        name: What processes know it by.
        options: What it allows, and what to do without the store.
        now: Monotonic seconds.

    Attributes:
        books: What this process spent, by operation.
        paying: Whether somebody is telling the store what is owed.
    """

    def __init__(self, name: str, options: SharedOptions, now: Callable[[], float]) -> None:
        self.name = name
        self.options = options
        self.key = f"budget:{digest(('budgeted', name))}"
        self.paying = False
        self._now = now
        self._allowed = Allowed(
            -1 if options.calls is None else options.calls,
            -1 if options.tokens is None else options.tokens,
            -1 if options.usd is None else round(options.usd * NANO),
        )
        self.ttl = KEPT if options.per is None else options.per + FORGOTTEN
        self._begin()

    def _begin(self) -> None:
        """Be a process that has done nothing yet."""
        self._process = os.getpid()
        self._holder = int.from_bytes(os.urandom(8), "big") >> (64 - _BITS)
        self._lock = threading.Lock()
        self.books = Ledger(BudgetOptions(usd=self.options.usd), self.name, self._now)
        self._ended: list[Want] = []
        self._told = self._counted = self._since = Totals()
        self._known = Figures()
        self._known_at = self._now()
        self._serial = 0
        self._waited_for: set[int] = set()

    @property
    def counts_spends(self) -> bool:
        """Whether calls have to be estimated."""
        return self._allowed.tokens >= 0 or self._allowed.nano >= 0

    # -- calls

    async def take(self, reach: StoreReach, want: Want) -> None:
        """Have the store let a call in.

        Raises:
            BudgetExceeded: It would break the budget.
            StoreUnavailable: The store fails, and that is not to be passed over.
        """
        try:
            status, figures = await self._asked(reach, Purpose.BEGIN, want)
        except ConfigurationError:
            raise
        except Exception as error:
            if self.options.on_failure == "closed":
                raise unavailable("budget", self.name, "budgeted") from error
            self._take_here(want)
        else:
            if status is Status.VOID:
                raise RuntimeError("a question was void whose answer is waited for")
            if status is not Status.DONE:
                raise self._refusal(status, want, figures)

    def _take_here(self, want: Want) -> None:
        """Let a call in by what this process knows; the store learns of it later."""
        with self._lock:
            self._fold()
            figures = self._figures()
            status = self._judged(want, figures)
            if status is Status.DONE or self.options.on_failure == "open":
                self._told = self._told.with_call(want)
                return
        raise self._refusal(status, want, figures)

    def _judged(self, want: Want, figures: Figures) -> Status:
        """Decide as the store does."""
        allowed = self._allowed
        if allowed.calls >= 0 and want.calls and figures.calls + want.calls > allowed.calls:
            return Status.NO_CALLS
        left = allowed.tokens - figures.tokens - figures.held_tokens + want.freed_tokens
        if allowed.tokens >= 0 and (left <= 0 or want.tokens > left):
            return Status.NO_TOKENS
        left = allowed.nano - figures.nano - figures.held_nano + want.freed_nano
        if allowed.nano >= 0 and (left <= 0 or want.nano > left):
            return Status.NO_MONEY
        return Status.DONE

    def free(self, hold: Hold) -> None:
        """Take note that something needn't be kept free any more; from any thread, any time."""
        if hold.tokens or hold.nano:
            self._ended.append(Want(0, hold.tokens, hold.nano))

    def undo(self) -> None:
        """Take note that a call was none after all."""
        self._ended.append(Want(1))

    # -- telling

    @property
    def owes(self) -> bool:
        """Whether there is something that the store doesn't know yet."""
        return bool(self._ended or self.books.pending) or self._told != self._counted

    async def pay(self, reach: StoreReach) -> None:
        """Tell the store what it doesn't know yet; where it fails, a later question does."""
        if self.paying:
            return  # who is paying looks again whether more is owed
        self.paying = True
        try:
            while self.owes:
                await self._asked(reach, Purpose.TELL)
        except Exception:  # noqa: BLE001 - the reach has told of it
            return
        finally:
            self.paying = False

    async def figures(self, reach: StoreReach) -> Figures:
        """Ask how things stand over all processes.

        Raises:
            Exception: The store failed.
        """
        return (await self._asked(reach, Purpose.TELL))[1]

    async def reset(self, reach: StoreReach) -> None:
        """Have nothing spent.

        Raises:
            Exception: The store failed.
        """
        await self._asked(reach, Purpose.RESET)

    async def _asked(
        self, reach: StoreReach, purpose: Purpose, want: Want = NO_CALL
    ) -> tuple[Status, Figures]:
        if self._process != os.getpid():
            self._begin()
        with self._lock:
            self._fold()
            self._serial += 1
            serial, told = self._serial, self._told
            self._waited_for.add(serial)
            takes = arguments(
                purpose,
                self._allowed,
                self.options.per,
                holder=self._holder,
                serial=serial,
                floor=min(self._waited_for) - 1,
                known=self._known,
                told=told,
                counted=self._counted,
                want=want,
                lease=LEASE,
            )
        try:
            answer = await reach.decide(SHARED_BUDGET, self.key, takes, self.ttl)
        except LeftAlone:
            self._over(serial)
            raise
        except BaseException:
            self._over(serial)
            with self._lock:
                # Nobody knows whether the call was counted. As one that was begun and taken back
                # it counts nothing in either case.
                self._told = self._told.with_call(want).without_call(want)
            raise
        status = Status(int(answer[0]))
        took = purpose is Purpose.BEGIN and status is Status.DONE
        figures = Figures(*map(int, answer[1:]))
        with self._lock:
            if took:
                self._told = self._told.with_call(want)
            counted = told.with_call(want) if took else told
            self._counted = self._counted.at_least(counted)
            late = self._known.at - figures.at  # by much: the store's clock was set back
            if late <= 0 or late > AHEAD:
                self._known, self._known_at = figures, self._now()
                self._since = self._counted
        self._over(serial)
        return status, figures

    def _over(self, serial: int) -> None:
        self._waited_for.discard(serial)

    def _fold(self) -> None:
        """Add up what came in; the lock is held."""
        while self._ended:
            self._told = self._told.without_call(self._ended.pop())
        spent = self.books.total()
        self._told = self._told._replace(tokens=spent.tokens, nano=spent.pico // PICO_PER_NANO)

    # -- what is known

    def known(self) -> Figures:
        """Return how things stood when the store was last asked, and what was done here since."""
        with self._lock:
            self._fold()
            return self._figures()

    def _figures(self) -> Figures:
        per, known = self.options.per, self._known
        passed = self._now() - self._known_at
        if (
            per is not None
            and known.began
            and passed * MICRO >= known.began - known.at + per * MICRO
        ):
            self._known = known = Figures(at=known.at)
            self._since = self._told
        told, since = self._told, self._since
        return known._replace(
            begun=known.begun + told.calls - since.calls,
            returned=known.returned + told.returned - since.returned,
            tokens=known.tokens + told.tokens - since.tokens,
            nano=known.nano + told.nano - since.nano,
            held_tokens=known.held_tokens
            + (told.held_tokens - told.freed_tokens)
            - (since.held_tokens - since.freed_tokens),
            held_nano=known.held_nano
            + (told.held_nano - told.freed_nano)
            - (since.held_nano - since.freed_nano),
        )

    def left(self, figures: Figures) -> dict[str, float]:
        """Return what is left, by limit."""
        allowed, left = self._allowed, dict[str, float]()
        if allowed.nano >= 0:
            left["usd"] = (allowed.nano - figures.nano - figures.held_nano) / NANO
        if allowed.tokens >= 0:
            left["tokens"] = allowed.tokens - figures.tokens - figures.held_tokens
        if allowed.calls >= 0:
            left["calls"] = allowed.calls - figures.calls
        return left

    def remaining(self) -> dict[str, float]:
        """Return what is left as far as this process knows, by limit."""
        return self.left(self.known())

    def renews_in(self, figures: Figures) -> float | None:
        """Return the seconds to the end of the period; None where none is running."""
        if self.options.per is None or not figures.began:
            return None
        return max(0.0, self.options.per - (figures.at - figures.began) / MICRO)

    def usages(self) -> dict[str, Usage]:
        """Return what this process spent, by operation."""
        return self.books.usages()

    def _refusal(self, status: Status, want: Want, figures: Figures) -> BudgetExceeded:
        """Make the error of a refused call."""
        if status is Status.NO_CALLS:
            limit, unit = "calls", 1
            allowed, used = self._allowed.calls, figures.calls
            what: str | None = f"of {allowed} calls is used up"
        elif status is Status.NO_TOKENS:
            limit, unit = "tokens", 1
            allowed = self._allowed.tokens
            used = figures.tokens + figures.held_tokens - want.freed_tokens
            what = lacking(limit, allowed, used, want.tokens, unit=unit)
        else:
            limit, unit = "usd", NANO
            allowed = self._allowed.nano
            used = figures.nano + figures.held_nano - want.freed_nano
            what = lacking(limit, allowed, used, want.nano, unit=unit)
        return BudgetExceeded(
            f"the budget {self.name!r}, over all processes, {what}",
            name=self.name,
            limit=limit,
            spent=shown(used, unit),
            allowed=shown(allowed, unit),
            retry_after=self.renews_in(figures),
        )
