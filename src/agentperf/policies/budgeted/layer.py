"""Budgets at work: one is opened around calls, and every call within asks whether it may begin."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from agentperf._base.endings import Ending
from agentperf._base.keys import InstanceTokens, KeyMaker, digest, key_maker, method_self
from agentperf._base.prompts import PROMPTS
from agentperf._engine.bindings import Step
from agentperf._engine.frames import Frame, TabFrame, current_frame
from agentperf._engine.overtime import Overtime
from agentperf._engine.site import Site
from agentperf._engine.sizing import by_name, quick_count
from agentperf._engine.streams import LIVE, TurnedAsync
from agentperf._engine.waiting import Deadline, Overrun, nearest_deadline
from agentperf.errors import BudgetExceeded, CallRejected, UncacheableArgumentError
from agentperf.events import BudgetEnded, CallRefused, CallRepeated
from agentperf.policies.budgeted.core import NOTHING, PICO, Amount, Call, Ledger, Tab
from agentperf.policies.budgeted.cutting import cut_stream
from agentperf.policies.budgeted.options import BudgetOptions
from agentperf.usage import Usage

if TYPE_CHECKING:
    from agentperf._engine.hosting import Host
    from agentperf.policies.budgeted.shared.gate import SharedAccount

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def tab_of(frame: Frame | None) -> Tab | None:
    """Return what a frame carries of budgets; None outside of any."""
    tab = None if frame is None else frame.tab
    return tab if isinstance(tab, Tab) else None


def open_ledger(
    options: BudgetOptions,
    name: str,
    now: Callable[[], float],
    frame: Frame | None,
    account: SharedAccount | None = None,
) -> tuple[Ledger, TabFrame]:
    """Open a budget inside of those around it, and the frame for what happens in it."""
    tab = tab_of(frame)
    ledger = Ledger(options, name, now, tab.ledger if tab else None, account)
    inner = Tab(ledger, None) if tab is None else Tab(ledger, tab.call, tab.operation)
    return ledger, TabFrame(frame, inner)


def account_of(options: BudgetOptions, host: Host, name: str | None) -> SharedAccount | None:
    """Return what the process knows of a budget in a store; None where it is in none."""
    if options.shared is None:
        return None
    from agentperf.policies.budgeted.shared.gate import account_on

    return account_on(host, name or "", options.shared)  # it has one: `checked` sees to that


class Open:
    """The budgets of one policy whose calls are under way, the oldest first."""

    def __init__(self) -> None:
        # A dict, as it keeps the order; single steps on it need no lock.
        self._each: dict[Ledger, None] = {}

    def add(self, ledger: Ledger) -> None:
        """Note one that was opened."""
        self._each[ledger] = None

    def discard(self, ledger: Ledger) -> None:
        """Note that its call has ended."""
        self._each.pop(ledger, None)

    def __call__(self) -> list[Ledger]:
        """Return those there are now."""
        return list(self._each)


class _Layer:
    """What the layers of budgets share."""

    watches_items = False
    settles = True

    def __init__(self, site: Site) -> None:
        self.site = site
        self._tell_refused = site.host.bus.emitter(CallRefused)
        self._overtime = Overtime(site)

    def seen(self, ticket: Any, item: Any, at: float) -> None:
        """Items say nothing that isn't recorded."""

    def refused(self, error: CallRejected) -> CallRejected:
        """Tell of a refusal, and return its error."""
        if self._tell_refused is not None:
            self._tell_refused(
                CallRefused(
                    operation=self.site.operation,
                    policy="budgeted",
                    name=error.policy_name,
                    retry_after=error.retry_after,
                )
            )
        return error

    def within_time(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Make `run(args, kwargs, *more)` end at a deadline: `step(ledger, args, kwargs, *more)`.

        An asynchronous call is cut off; a synchronous one can only be kept from beginning. Streams
        of both kinds end before the item that would come too late.
        """
        return self.site.driver.flow(self._within_time, run)

    async def _within_time(self, proceed: Any, ledger: Ledger, *call: Any) -> Any:
        try:
            ledger.check_deadline()
        except BudgetExceeded as error:
            raise self.refused(error) from None
        value = await self._in_time(ledger, partial(proceed, *call))
        return cut_stream(value, ledger, self._overtime) if type(value) in LIVE else value

    async def _in_time(self, ledger: Ledger, work: Callable[[], Any]) -> Any:
        if ledger.until is None:
            return await work()
        if self.site.driver.is_async:
            return await self._overtime.bounded(ledger.left(), work, ledger.cut_off)
        # Nobody can end what a thread does, but pauses and bounds further in mind this.
        deadline = Deadline(ledger.until, ledger.cut_off)
        outer = nearest_deadline.get()
        if outer is not None and outer.at <= deadline.at:
            return await work()
        token = nearest_deadline.set(deadline)
        try:
            return await work()
        except Overrun as error:
            if error.deadline is not deadline:
                raise
            raise self._overtime.told(ledger.cut_off()) from None
        finally:
            nearest_deadline.reset(token)


class BudgetLayer(_Layer):
    """Opens a budget around every call of one function, on one host."""

    def __init__(
        self,
        site: Site,
        options: BudgetOptions,
        name: str,
        opened: Open,
        account: SharedAccount | None = None,
    ) -> None:
        super().__init__(site)
        self._options = options
        self._name = name
        self._open = opened
        self._account = account
        self._now = site.host.clock.now
        self._tell_end = site.host.bus.emitter(BudgetEnded)

    def bound(self, inner: Step) -> Step:
        """Put the budget around `inner`."""
        driver = self.site.driver
        run = driver.framed(driver.guarded(self, inner), _frame)
        in_time = self.within_time(run)
        options, name, now, frame = self._options, self._name, self._now, current_frame.get
        has_deadline = options.deadline is not None
        account, note = self._account, self._open.add

        def step(args: Args, kwargs: Kwargs) -> Any:
            ticket = open_ledger(options, name, now, frame(), account)
            ledger = ticket[0]
            note(ledger)
            # An earlier one, of a budget around it, ends the call from further out.
            if has_deadline and ledger.whose_deadline() is ledger:
                return in_time(ledger, args, kwargs, ticket)
            return run(args, kwargs, ticket)

        return step

    def done(self, ticket: tuple[Ledger, Frame], value: Any) -> None:
        """Tell of the end."""
        self._open.discard(ticket[0])
        tell_end(self._tell_end, ticket[0], self.site.operation)

    def failed(self, ticket: tuple[Ledger, Frame], error: Exception) -> None:
        """Tell of the end."""
        self._open.discard(ticket[0])
        tell_end(self._tell_end, ticket[0], self.site.operation)

    def dropped(self, ticket: tuple[Ledger, Frame], ending: Ending) -> None:
        """Tell of the end."""
        self._open.discard(ticket[0])
        tell_end(self._tell_end, ticket[0], self.site.operation)


class AroundLayer(_Layer):
    """Keeps calls from beginning after a deadline or once too often, and cuts them off at it.

    Outermost in every pipeline, so that a wait for a turn ends at the deadline too, and an answer
    from a cache counts as a repetition.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._tell_repeated = site.host.bus.emitter(CallRepeated)

    def bound(self, inner: Step) -> Step:
        """Put this around `inner`."""
        in_time, frame = self.within_time(inner), current_frame.get
        # A pipeline on the same function further in counts the call.
        counts_repeats = not self.site.target.covers

        def step(args: Args, kwargs: Kwargs) -> Any:
            tab = tab_of(frame())
            if tab is None:
                return inner(args, kwargs)
            if tab.ledger.counts_repeats and counts_repeats:
                self._count(tab.ledger, args, kwargs)
            if tab.ledger.until is None:
                return inner(args, kwargs)
            return in_time(tab.ledger, args, kwargs)

        return step

    def _count(self, ledger: Ledger, args: Args, kwargs: Kwargs) -> None:
        try:
            key = digest((self.site.operation, self._key_of(args, kwargs)))
        except (UncacheableArgumentError, TypeError):
            return  # nobody can say that it is the same call again
        for repeated, times in ledger.count_repeat(key):
            limit = repeated.options.max_repeats or 0
            if self._tell_repeated is not None:
                operation = self.site.operation
                self._tell_repeated(
                    CallRepeated(operation=operation, name=repeated.name, times=times, limit=limit)
                )
            if repeated.options.on_repeat == "raise":
                what = f"allows {limit} equal calls of {self.site.operation}, and this is one more"
                raise self.refused(repeated.exceeded(what, "max_repeats", times - 1, limit))

    @functools.cached_property
    def _key_of(self) -> KeyMaker:
        target = self.site.target
        is_method = method_self(target.function, target.signature)
        instance = InstanceTokens() if is_method else None
        return key_maker(target.operation, target.signature, instance=instance)


class InsideLayer(_Layer):
    """Lets calls in as far as the budgets allow; innermost in every pipeline, around the function.

    So an answer from a cache spends nothing, and every attempt counts.
    """

    def bound(self, inner: Step) -> Step:
        """Put this around `inner`."""
        driver, frame_of = self.site.driver, current_frame.get
        self._run = run = driver.framed(driver.guarded(self, inner), _frame)
        operation = self.site.operation

        def step(args: Args, kwargs: Kwargs) -> Any:
            frame = frame_of()
            tab = tab_of(frame)
            if tab is None:
                return inner(args, kwargs)
            if tab.ledger.accounts:
                return self._through_stores(tab, frame, args, kwargs)
            call = self._admitted(tab, args, kwargs)
            try:
                within = TabFrame(frame, Tab(tab.ledger, call, operation))
                return run(args, kwargs, (call, within))
            except TurnedAsync:
                call.take_back()  # it is made again, as the asynchronous call it is
                raise

        return step

    def _admitted(self, tab: Tab, args: Args, kwargs: Kwargs) -> Call:
        need = self._need(args, kwargs) if tab.ledger.counts_spends else NOTHING
        try:
            return tab.ledger.admit(tab.call, need)
        except BudgetExceeded as error:
            raise self.refused(error) from None

    @functools.cached_property
    def _through_stores(self) -> Callable[..., Any]:
        from agentperf.policies.budgeted.shared.inside import StoreGate

        return StoreGate(self.site, self._need, self.refused).around(self._run)

    def _need(self, args: Args, kwargs: Kwargs) -> Amount:
        """Count the prompt among the arguments; it is spent whatever the answer will be."""
        if not self._prompts:
            return NOTHING
        try:
            given = by_name(self.site.target.signature, args, kwargs)
        except TypeError:
            return NOTHING  # a wrong call, which the function itself will say
        return need_of(given.get("model"), (given[name] for name in self._prompts if name in given))

    @functools.cached_property
    def _prompts(self) -> tuple[str, ...]:
        parameters = self.site.target.signature.parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        return tuple(name for name in PROMPTS if open_ended or name in parameters)

    def done(self, ticket: tuple[Call, Frame], value: Any) -> None:
        """Free what was promised."""
        ticket[0].ended()

    def failed(self, ticket: tuple[Call, Frame], error: Exception) -> None:
        """Free what was promised."""
        ticket[0].ended()

    def dropped(self, ticket: tuple[Call, Frame], ending: Ending) -> None:
        """Free what was promised."""
        ticket[0].ended()


def need_of(model: object, prompts: Any) -> Amount:
    """Return what a call of a model spends on its prompt alone, as far as that is known."""
    tokens = sum(map(quick_count, prompts))
    if not tokens:
        return NOTHING
    from agentperf.tokens import price

    found = price(model, wait=False) if isinstance(model, str) else None
    cost = 0.0 if found is None else found.cost(Usage(tokens))
    return Amount(tokens, round(cost * PICO))


def tell_end(tell: Callable[[BudgetEnded], None] | None, ledger: Ledger, operation: str) -> None:
    """Tell subscribers what was spent in a budget."""
    if tell is not None:
        tell(
            BudgetEnded(
                operation=operation,
                name=ledger.name,
                seconds=ledger.now() - ledger.began,
                calls=ledger.calls,
                usage=ledger.spent(),
            )
        )


def _frame(ticket: tuple[Any, Frame]) -> Frame:
    return ticket[1]
