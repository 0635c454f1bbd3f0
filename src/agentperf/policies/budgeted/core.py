"""Exact accounts of budgets: what was spent, what is promised to calls under way, what is left."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from agentperf._base import log
from agentperf.abc.telemetry import FOLD_AT
from agentperf.errors import BudgetExceeded, CallTimeout
from agentperf.policies.budgeted.options import BudgetOptions
from agentperf.usage import Usage

PICO = 10**12
"""Money is counted in whole millionths of a millionth of a dollar: ten dimes are a dollar."""

_PLACES = 12

KNOWN_OPERATIONS = 256
"""So many operations are told apart in one budget; the others are counted as `OTHER`."""

OTHER = "other"

KNOWN_CALLS = 1024
"""So many different calls are remembered, those made last, to see that one comes again."""


class Amount(NamedTuple):
    """Tokens, and millionths of a millionth of a dollar."""

    tokens: int = 0
    pico: int = 0


NOTHING = Amount()


class Hold(NamedTuple):
    """What a budget in a store keeps free for a call while it runs.

    Attributes:
        tokens: Tokens.
        nano: Billionths of a dollar.
    """

    tokens: int = 0
    nano: int = 0


class Kept(Protocol):
    """A budget that is kept in a store, as budgets within it see it.

    Attributes:
        name: What it is called.
        books: What this process spent in it.
    """

    name: str
    books: Ledger

    @property
    def counts_spends(self) -> bool:
        """Whether calls have to be estimated."""
        ...

    def free(self, hold: Hold) -> None:
        """Take note that something needn't be kept free any more; from any thread, any time."""

    def undo(self) -> None:
        """Take note that a call was none after all."""

    def remaining(self) -> dict[str, float]:
        """Return what is left as far as this process knows, by limit."""
        ...


class Call:
    """A call that was let in.

    Whether it is a leaf isn't known when it begins: it is one until a call is let in inside of it,
    which then takes over its place. So operations that only call others count nothing.

    Attributes:
        ledger: The innermost budget it was let in by.
        promised: What it is expected to spend, kept free until it ends.
        heir_of: The call whose place it took; None where it took none.
        holds: What is kept free for it in budgets in stores.
        counted_in: Those of them that count it as a call.
    """

    __slots__ = ("_counted", "counted_in", "heir_of", "holds", "is_leaf", "ledger", "promised")

    def __init__(
        self,
        ledger: Ledger,
        promised: Amount,
        counted: tuple[Ledger, ...],
        heir_of: Call | None,
    ) -> None:
        self.ledger = ledger
        self.promised = promised
        self.is_leaf = True
        self.heir_of = heir_of
        self.holds: dict[Kept, Hold] = {}
        self.counted_in: tuple[Kept, ...] = ()
        self._counted = counted

    def ended(self) -> None:
        """What was promised is free again; from any thread, at any moment."""
        if self.promised is not NOTHING:
            self.ledger.shared.ended.append(self)
        if self.holds:
            self._let_go()

    def _let_go(self) -> None:
        while self.holds:
            account, hold = self.holds.popitem()
            account.free(hold)

    def take_back(self) -> None:
        """It was no call after all."""
        with self.ledger.shared.lock:
            for ledger in self._counted:
                ledger.calls -= 1
            if self.heir_of is not None:
                self.heir_of.is_leaf = True
        for account in self.counted_in:
            account.undo()
        self.ended()


class _Shared:
    """What all budgets within one outermost budget share."""

    def __init__(self) -> None:
        self.ended: list[Call] = []
        self.begin_anew()
        _all_shared.add(self)

    def begin_anew(self) -> None:
        """Have a lock that nobody holds; also in a forked child, where its holder may be gone."""
        self.lock = threading.Lock()


_all_shared: weakref.WeakSet[_Shared] = weakref.WeakSet()


def _begin_again_after_fork() -> None:
    for shared in list(_all_shared):
        shared.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again_after_fork)


class Ledger:
    """The account of one budget, safe to use from any thread.

    Spends are only appended to a list, which nothing can tear: no other thread, and no garbage
    collection that finds an abandoned stream in the midst of our own work. They are added up under
    the lock, before anything is decided.

    Attributes:
        options: What it allows.
        name: What it is called in errors and events.
        chain: The budget and those around it, innermost first.
        until: When it ends at the latest, on the clock it was opened with; None for never.
        calls: How many calls were made in it.
        promised: What calls under way are expected to spend.
        accounts: The budgets in stores that calls in it count in too.
    """

    def __init__(
        self,
        options: BudgetOptions,
        name: str,
        now: Callable[[], float],
        outer: Ledger | None = None,
        account: Kept | None = None,
    ) -> None:
        self.options = options
        self.name = name
        self.now = now
        self.began = now()
        self.chain: tuple[Ledger, ...] = (self, *(outer.chain if outer else ()))
        self.shared: _Shared = outer.shared if outer else _Shared()
        own = None if options.deadline is None else self.began + options.deadline
        ends = [end for end in (own, outer.until if outer else None) if end is not None]
        self.until: float | None = min(ends, default=None)
        self.calls = 0
        self.accounts: tuple[Kept, ...] = outer.accounts if outer else ()
        if account is not None and account not in self.accounts:
            self.accounts = (*self.accounts, account)
        self.counts_spends = any(
            each.options.usd is not None or each.options.tokens is not None for each in self.chain
        ) or any(each.counts_spends for each in self.accounts)
        self.counts_repeats = any(each.options.max_repeats is not None for each in self.chain)
        self._spent = NOTHING
        self.promised = NOTHING
        self._usages: dict[str, Usage] = {}
        self.pending: list[tuple[Usage, str]] = []
        self.repeats: OrderedDict[str, int] = OrderedDict()
        self.told_of_price = False

    # -- spending

    def put(self, usage: Usage, operation: str) -> None:
        """Add what a call spent, here and in the budgets around it."""
        for ledger in self.chain:
            ledger.pending.append((usage, operation or ledger.name))
            if len(ledger.pending) >= FOLD_AT and self.shared.lock.acquire(blocking=False):
                try:
                    ledger.add_up()
                finally:
                    self.shared.lock.release()
        for account in self.accounts:
            account.books.put(usage, operation or account.name)
        if usage.cost_usd is None and usage.total_tokens:
            self._mind_the_price(operation)

    def _mind_the_price(self, operation: str) -> None:
        """Say once that money is spent which nobody can count."""
        for ledger in self.chain:
            if ledger.options.usd is not None and not ledger.told_of_price:
                ledger.told_of_price = True
                log.warn("budget.cost_unknown", operation=operation, budget=ledger.name)

    def admit(self, outer: Call | None, need: Amount = NOTHING) -> Call:
        """Let a call in.

        Args:
            outer: The call it is made in, where there is one.
            need: What it will spend at least, as far as that is known.

        Raises:
            BudgetExceeded: It would break this budget or one around it; nothing has changed then.
        """
        with self.shared.lock:
            self._settle()
            heir_of = outer if outer is not None and outer.is_leaf else None
            counted_already = heir_of.ledger.chain if heir_of else ()
            for ledger in self.chain:
                takes_over = ledger in counted_already
                freed = heir_of.promised if heir_of and takes_over else NOTHING
                ledger.check(need, freed, takes_over=takes_over)
            if heir_of is not None:
                heir_of.is_leaf = False
                _free(heir_of)
            counted = tuple(each for each in self.chain if each not in counted_already)
            for ledger in counted:
                ledger.calls += 1
            if need is not NOTHING:
                for ledger in self.chain:
                    ledger.promised = _add(ledger.promised, need)
            return Call(self, need, counted, heir_of)

    def check(self, need: Amount, freed: Amount, *, takes_over: bool) -> None:
        """Refuse a call that would break this budget; the lock is held.

        Args:
            need: What it will spend at least.
            freed: What is promised to the call whose place it takes.
            takes_over: Whether it takes the place of a call that is counted here already.

        Raises:
            BudgetExceeded: There is not enough left.
        """
        options = self.options
        if options.calls is not None and self.calls >= options.calls and not takes_over:
            raise self.exceeded(
                f"of {options.calls} calls is used up", "calls", self.calls, options.calls
            )
        if options.tokens is None and options.usd is None:
            return
        used = _add(self.used(), freed, sign=-1)
        if options.tokens is not None:
            self._check_amount("tokens", options.tokens, used.tokens, need.tokens, unit=1)
        if options.usd is not None:
            pico = round(options.usd * PICO)
            self._check_amount("usd", pico, used.pico, need.pico, unit=PICO)

    def _check_amount(self, limit: str, allowed: int, used: int, need: int, *, unit: int) -> None:
        """Refuse where nothing is left, or less than is needed."""
        if (what := lacking(limit, allowed, used, need, unit=unit)) is not None:
            raise self.exceeded(what, limit, shown(used, unit), shown(allowed, unit))

    def _settle(self) -> None:
        """Add up what came in; the lock is held."""
        if self.shared.ended:
            for call in _taken(self.shared.ended):
                _free(call)
        for ledger in self.chain:
            if ledger.pending:
                ledger.add_up()

    def add_up(self) -> None:
        """Add up what was spent; the lock is held."""
        for usage, operation in _taken(self.pending):
            self._spent = _add(self._spent, _amount(usage))
            known = operation in self._usages or len(self._usages) < KNOWN_OPERATIONS
            kept = operation if known else OTHER
            self._usages[kept] = self._usages.get(kept, Usage()) + usage

    # -- time and repetition

    def check_deadline(self) -> None:
        """Refuse a call that begins too late.

        Raises:
            BudgetExceeded: The time is up.
        """
        if self.until is not None and (now := self.now()) >= self.until:
            raise self.whose_deadline().late(now)

    def whose_deadline(self) -> Ledger:
        """Return the budget whose deadline is the one that holds."""
        return next(
            each
            for each in self.chain
            if each.options.deadline is not None
            and each.began + each.options.deadline == self.until
        )

    def late(self, now: float) -> BudgetExceeded:
        """Make the error for a call that begins after the deadline."""
        allowed = self.options.deadline or 0.0
        what = f"with its deadline of {allowed:g} s is over"
        return self.exceeded(what, "deadline", now - self.began, allowed)

    def left(self) -> float:
        """Return the seconds to the deadline, where there is one; nothing less than none."""
        return math.inf if self.until is None else max(0.0, self.until - self.now())

    def cut_off(self) -> CallTimeout:
        """Make the error for a call under way when the time is up."""
        ledger = self.whose_deadline()
        return CallTimeout(
            f"the budget {ledger.name!r} with its deadline of {ledger.options.deadline:g} s cut "
            "the call off",
            policy="budgeted",
            name=ledger.name,
            limit="deadline",
            seconds=ledger.options.deadline,
        )

    def count_repeat(self, key: str) -> list[tuple[Ledger, int]]:
        """Count a call that can be told from others by `key`.

        Returns:
            The budgets in which it was made more often than they allow, and how often.
        """
        too_many = []
        with self.shared.lock:
            for ledger in self.chain:
                if ledger.options.max_repeats is None:
                    continue
                times = ledger.repeats.pop(key, 0) + 1
                ledger.repeats[key] = times
                if len(ledger.repeats) > KNOWN_CALLS:
                    ledger.repeats.popitem(last=False)
                if times > ledger.options.max_repeats:
                    too_many.append((ledger, times))
        return too_many

    # -- what is known

    def spent(self) -> Usage:
        """Return everything spent so far."""
        return _rounded(sum(self.usages().values(), Usage()))

    def usages(self) -> dict[str, Usage]:
        """Return what was spent so far, by operation."""
        with self.shared.lock:
            self._settle()
            return {operation: _rounded(usage) for operation, usage in self._usages.items()}

    def remaining(self) -> dict[str, float]:
        """Return what is left here and in the budgets around it, by limit; the least counts."""
        left: dict[str, float] = {}

        def least(limit: str, value: float) -> None:
            left[limit] = min(left.get(limit, value), value)

        with self.shared.lock:
            self._settle()
            for ledger in self.chain:
                options, used = ledger.options, ledger.used()
                if options.usd is not None:
                    least("usd", (round(options.usd * PICO) - used.pico) / PICO)
                if options.tokens is not None:
                    least("tokens", options.tokens - used.tokens)
                if options.calls is not None:
                    least("calls", options.calls - ledger.calls)
        for account in self.accounts:
            for limit, value in account.remaining().items():
                least(limit, value)
        if self.until is not None:
            left["seconds"] = self.until - self.now()
        return left

    def total(self) -> Amount:
        """Return what is spent."""
        with self.shared.lock:
            self._settle()
            return self._spent

    def used(self) -> Amount:
        """Return what is spent or promised."""
        return _add(self._spent, self.promised)

    def exceeded(self, what: str, limit: str, spent: float, allowed: float) -> BudgetExceeded:
        """Make the error of a refused call."""
        return BudgetExceeded(
            f"the budget {self.name!r} {what}",
            name=self.name,
            limit=limit,
            spent=spent,
            allowed=allowed,
        )


@dataclass(frozen=True, slots=True)
class Tab:
    """What a frame carries: the budget that holds in it, and the call it belongs to."""

    ledger: Ledger
    call: Call | None
    operation: str = ""
    """That of the decorated function that runs, for what no measured operation spends."""

    def put(self, usage: Usage, operation: str) -> None:
        """Add what was spent here."""
        self.ledger.put(usage, operation or self.operation)


def lacking(limit: str, allowed: int, used: int, need: int, *, unit: int) -> str | None:
    """Say what is missing where nothing is left, or less than is needed; None where it suffices."""
    left = allowed - used
    if left > 0 and need <= left:
        return None
    if left <= 0:
        return f"of {allowed / unit:g} {limit} is spent: {used / unit:g}"
    return (
        f"has {left / unit:g} of {allowed / unit:g} {limit} left; the call needs about "
        f"{need / unit:g}"
    )


def shown(amount: int, unit: int) -> float:
    """Return an amount as its limit was written: dollars as a float, a number of things whole."""
    return amount if unit == 1 else amount / unit


def _amount(usage: Usage) -> Amount:
    return Amount(usage.total_tokens, round((usage.cost_usd or 0.0) * PICO))


def _rounded(usage: Usage) -> Usage:
    """Take the rounding errors out of a sum of dollars."""
    if usage.cost_usd is None:
        return usage
    return replace(usage, cost_usd=round(usage.cost_usd, _PLACES))


def _add(one: Amount, other: Amount, *, sign: int = 1) -> Amount:
    if other is NOTHING:
        return one
    return Amount(one.tokens + sign * other.tokens, one.pico + sign * other.pico)


def _free(call: Call) -> None:
    """Give back what was promised to a call; the lock is held."""
    promised, call.promised = call.promised, NOTHING
    for ledger in call.ledger.chain:
        ledger.promised = _add(ledger.promised, promised, sign=-1)


def _taken(pending: list[Any]) -> list[Any]:
    """Take what is there now; others may append meanwhile."""
    batch = pending[:]
    del pending[: len(batch)]
    return batch
