"""How calls get into budgets that are kept in stores, and what happens when they end."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, cast

from agentperf._engine.loops import LoopWaiting
from agentperf._engine.stores import StoreReach, store_on
from agentperf._engine.waiting import in_one_go, on_event_loop
from agentperf.errors import ConfigurationError
from agentperf.policies.budgeted.core import Amount, Call, Hold, Ledger, Tab
from agentperf.policies.budgeted.options import SharedOptions
from agentperf.policies.budgeted.shared.account import NO_HOLD, PICO_PER_NANO, Account
from agentperf.policies.budgeted.shared.decision import Want

if TYPE_CHECKING:
    from agentperf._engine.hosting import Host
    from agentperf.abc.waiting import Waiting


class SharedAccount(Account):
    """An account, with the ways to its store.

    Args:
        host: Whose it is.
        name: What processes know it by.
        options: What it allows, where it is kept.
    """

    def __init__(self, host: Host, name: str, options: SharedOptions) -> None:
        super().__init__(name, options, host.clock.now)
        self._host = host
        self._stores = store_on(host, options.store)
        self._reaches: dict[tuple[bool, type[StoreReach]], StoreReach] = {}

    def pay_from_here(self) -> None:
        """Tell the store what is owed: by a task where an event loop runs here, else at once."""
        if not self.owes:
            return
        is_async = on_event_loop()
        with contextlib.suppress(ConfigurationError):  # it has to be awaited, and here nobody can
            reach = self.reach(is_async=is_async)
            if is_async:
                waiting = LoopWaiting(self._host.clock)
                in_one_go(waiting.detached(partial(self.pay, reach)))
            else:
                in_one_go(self.pay(reach))

    def reach(self, *, is_async: bool, kind: type[StoreReach] = StoreReach) -> StoreReach:
        """Return the way to the store for calls of a colour.

        Args:
            is_async: Their colour.
            kind: Which way; handles have their own.

        Raises:
            ConfigurationError: The store has to be awaited, and they block.
        """
        if (known := self._reaches.get((is_async, kind))) is None:
            waiting = LoopWaiting(self._host.clock) if is_async else None
            known = kind(self._host, self.name, self._stores, waiting)
            self._reaches[is_async, kind] = known
        return known


def account_on(host: Host, name: str, options: SharedOptions) -> SharedAccount:
    """Return what this process knows of a budget in a store.

    Raises:
        ConfigurationError: The name is in use with other options.
    """
    return host.state(
        SharedAccount,
        lambda: SharedAccount(host, name, options),
        owners=(options,),
        name=name,
        options=options.identity,
    )


def accounts_of(ledger: Ledger) -> tuple[SharedAccount, ...]:
    """Return the budgets in stores that hold in a budget, outermost first."""
    return cast("tuple[SharedAccount, ...]", ledger.accounts)  # nothing else is handed in


async def admitted(tab: Tab, need: Amount, *, is_async: bool) -> Call:
    """Let a call in: by the budgets of this process, and then by those in stores.

    Raises:
        BudgetExceeded: It would break one of them; no call was counted then.
        StoreUnavailable: A store fails, and that is not to be passed over.
    """
    call = tab.ledger.admit(tab.call, need)
    try:
        for account in accounts_of(tab.ledger):
            await _take(account, call, need, is_async=is_async)
    except BaseException:
        call.take_back()
        raise
    return call


async def _take(account: SharedAccount, call: Call, need: Amount, *, is_async: bool) -> None:
    """Let a call in by one budget, in the place of the one around it if that is counted there."""
    reach = account.reach(is_async=is_async)
    hold, freed, calls = Hold(need.tokens, -(-need.pico // PICO_PER_NANO)), NO_HOLD, 1
    if (outer := call.heir_of) is not None and account in outer.ledger.accounts:
        freed, calls = outer.holds.pop(account, NO_HOLD), 0
    try:
        await account.take(reach, Want(calls, *hold, *freed))
    except BaseException:
        account.free(freed)
        raise
    call.holds[account] = hold
    if calls:
        call.counted_in = (*call.counted_in, account)


async def pay(ledger: Ledger, *, is_async: bool) -> None:
    """Tell the stores what a call spent that has ended."""
    for account in accounts_of(ledger):
        if account.owes:
            await account.pay(account.reach(is_async=is_async))


def pay_aside(ledger: Ledger, waiting: Waiting | None) -> None:
    """The same where nothing can be awaited: at once where calls block, else by a task.

    Args:
        ledger: The budget that the call was made in.
        waiting: How its calls wait; None for calls that block.
    """
    if not any(account.owes for account in accounts_of(ledger)):
        return
    if waiting is None:
        in_one_go(pay(ledger, is_async=False))
    else:
        # Where a stream ends on a thread without a loop, the next question takes it along.
        with contextlib.suppress(RuntimeError):
            in_one_go(waiting.detached(partial(pay, ledger, is_async=True)))
