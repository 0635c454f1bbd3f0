"""A breaker at work: admits calls, and tells the machine how they ended."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, Protocol

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.endings import Ending
from agentperf._base.log import fault
from agentperf._base.text import format_wait
from agentperf._engine.bindings import Step
from agentperf._engine.choosing import On, chosen
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf._engine.streams import LIVE, producing
from agentperf._engine.substitutes import Substitute, check_colour
from agentperf.errors import CircuitOpen
from agentperf.events import CallRefused
from agentperf.policies.circuit_breaker.machine import CLOSED, Machine, Refused, Rules, State, Tell
from agentperf.policies.circuit_breaker.telling import teller

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
KeyOf = Callable[[Args, Kwargs], Hashable]
FailedIf = Callable[[Any], bool]
Rescue = Callable[[Exception, Args, Kwargs], Any]


class Circuits:
    """The machines of one breaker on one host: one, or one for each value of `by`."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.single = Machine(rules)
        self.by_key: BoundedRegistry[Machine] = BoundedRegistry(lambda: Machine(rules))


@dataclass(frozen=True, slots=True)
class Judging:
    """What makes a call a bad one, besides how long it takes.

    Attributes:
        on: Which errors do; None: those that the classifier says speak against the upstream.
        failed_if: Which results do.
        slow_first_item: Seconds after which the first item of a stream comes late.
    """

    on: On | None = None
    failed_if: FailedIf | None = None
    slow_first_item: float | None = None


class Judge(Protocol):
    """What takes the end of one call: a machine, or what stands for it; see there."""

    @property
    def last_error(self) -> str | None:
        """The name of what the last call that failed, failed with."""
        ...

    @last_error.setter
    def last_error(self, name: str | None) -> None: ...

    @property
    def state(self) -> State:
        """The state of the circuit."""
        ...

    def succeed(self, generation: int, now: float, seconds: float, tell: Tell) -> None:
        """Take a success."""

    def settle(
        self,
        generation: int,
        now: float,
        failed: bool,  # noqa: FBT001
        seconds: float,
        wait: float | None = None,
        *,
        late: bool = False,
        tell: Tell,
    ) -> None:
        """Take an outcome of any kind."""

    def drop(self, generation: int) -> None:
        """Forget the call."""


Ticket = tuple[Judge, int, float]


class Watched(tuple[Judge, int, float]):  # noqa: SLOT001 - a tuple can't have any
    """The ticket of a call whose stream's first item is waited for."""

    late: bool | None = None


class BreakerLayer:
    """A breaker in front of one function, on one host; a gate."""

    settles = True

    def __init__(
        self,
        site: Site,
        circuits: Circuits,
        name: str,
        key_of: KeyOf | None,
        fallback: Callable[..., Any] | None,
        *,
        judging: Judging,
    ) -> None:
        self._site = site
        self._judging = judging
        self._times_first = judging.slow_first_item is not None
        self._judges = judging.failed_if is not None or self._times_first
        self._circuits = circuits
        self._name = name
        self._key_of = key_of
        self._fallback = fallback
        self._now = site.host.clock.now
        self._classify = site.host.classify
        self._tell_change = teller(site.host, site.operation, name)
        self._tell_refused = site.host.bus.emitter(CallRefused)
        self._single = circuits.single if key_of is None else None
        # Successes need no time where neither their age nor their length means anything.
        rules = circuits.rules
        self.watches_items = self._times_first or rules.slow_after is not None
        self._reads_time = self.watches_items or not isinstance(rules.window, int)

    def bound(self, inner: Step) -> Step:
        """Put the breaker in front of `inner`."""
        driver, fallback = self._site.driver, self._fallback
        guarded = self._gated(inner)
        if fallback is None:
            self._site.ahead.append(partial(self._forecast, _raised))
            return guarded
        substitute = Substitute(self._site, fallback, "fallback=")
        rescue = driver.flow(partial(self._fall_back, substitute), substitute.ask)
        self._site.ahead.append(partial(self._forecast, rescue))
        passed = check_colour(self._site, fallback, "fallback=") or (lambda: None)
        return driver.rescued(guarded, passed, rescue)

    def _gated(self, inner: Step) -> Step:
        if self._times_first:
            return self._site.driver.guarded(self, inner, self._enter_watched)
        return self._site.driver.gate(self, inner)

    def machine(self, args: Args, kwargs: Kwargs) -> Machine:
        """Return the machine that a call belongs to."""
        if self._key_of is None:
            return self._circuits.single
        return self._circuits.by_key[self._key_of(args, kwargs)]

    # -- the gate

    def enter(self, args: Args, kwargs: Kwargs) -> Ticket:
        """Admit a call.

        Raises:
            CircuitOpen: The breaker does not admit it.
        """
        machine = self._single or self.machine(args, kwargs)
        if machine.state is CLOSED:
            return machine, machine.generation, self._now() if self._reads_time else 0.0
        return self._admitted(machine, self._now())

    def _admitted(self, machine: Machine, now: float) -> Ticket:
        try:
            return machine, machine.admit(now, self._tell_change), now
        except Refused as refusal:
            raise self._refused(machine, refusal) from None

    def _enter_watched(self, args: Args, kwargs: Kwargs) -> Ticket:
        return Watched(self.enter(args, kwargs))

    def done(self, ticket: Ticket, value: Any) -> None:
        """Take a success, unless it is none."""
        if self._judges and self._took_as_bad(ticket, value):
            return
        machine, generation, start = ticket
        # Closed, a success changes nothing; a probe's may end its round, which has a time.
        if machine.state is CLOSED and not self._reads_time:
            machine.succeed(generation, 0.0, 0.0, self._tell_change)
            return
        now = self._now()
        machine.succeed(generation, now, producing(value, now - start), self._tell_change)

    def failed(self, ticket: Ticket, error: Exception) -> None:
        """Take a failure, as far as it speaks against the upstream."""
        machine, generation, start = ticket
        now = self._now()
        verdict = self._classify(error)
        on = self._judging.on
        counts = verdict.counts if on is None else chosen(on, error, self._site.operation)
        if counts:
            machine.last_error = type(error).__name__
        machine.settle(
            generation,
            now,
            counts,
            now - start,
            verdict.wait,
            late=_is_late(ticket),
            tell=self._tell_change,
        )

    def _took_as_bad(self, ticket: Ticket, value: Any) -> bool:
        """Take an answer that counts as a failure, or a stream that began late; else False."""
        failed, late = self._is_failure(value), _is_late(ticket)
        if not failed and not late:
            return False
        machine, generation, start = ticket
        now = self._now()
        if failed:
            machine.last_error = "an answer that failed_if= is for"
        took = producing(value, now - start)
        machine.settle(generation, now, failed, took, late=late, tell=self._tell_change)
        return True

    def _is_failure(self, value: Any) -> bool:
        failed_if = self._judging.failed_if
        if failed_if is None or type(value) in LIVE:
            return False
        try:
            return bool(failed_if(value))
        except Exception as error:  # noqa: BLE001 - the answer is there all the same
            fault("policy.failed_if_failed", error, operation=self._site.operation)
            return False

    def dropped(self, ticket: Ticket, ending: Ending) -> None:
        """Forget a call that was cancelled, or whose reader left."""
        machine, generation, _ = ticket
        machine.drop(generation)

    def seen(self, ticket: Ticket, item: Any, at: float) -> None:
        """Note whether the first item came late; further ones say nothing."""
        if isinstance(ticket, Watched) and ticket.late is None:
            ticket.late = at - ticket[2] > (self._judging.slow_first_item or 0.0)

    # -- refusal

    def _forecast(self, answer: Rescue, args: Args, kwargs: Kwargs) -> Callable[[], Any] | None:
        """Say what would happen to a call that would be refused now."""
        machine = self._single or self.machine(args, kwargs)
        refusal = machine.refusal(self._now())
        if refusal is None:
            return None
        return partial(answer, self._refused(machine, refusal), args, kwargs)

    def _say_refused(self, retry_after: float | None) -> None:
        if self._tell_refused is not None:
            self._tell_refused(
                CallRefused(
                    operation=self._site.operation,
                    policy="circuit_breaker",
                    name=self._name,
                    retry_after=retry_after,
                )
            )

    def _refused(self, machine: Machine, refusal: Refused) -> CircuitOpen:
        self._say_refused(refusal.retry_after)
        wait = refusal.retry_after
        again = "" if wait is None else f"; try again in {format_wait(wait)}"
        after = "" if machine.last_error is None else f" after {machine.last_error}"
        after = " by request" if machine.requested else after
        return CircuitOpen(
            f"the circuit breaker {self._name!r} is {refusal.state.value}{after}{again}",
            policy="circuit_breaker",
            name=self._name,
            retry_after=refusal.retry_after,
        )

    async def _fall_back(
        self,
        substitute: Substitute,
        proceed: Proceed,
        error: Exception,
        args: Args,
        kwargs: Kwargs,
    ) -> Any:
        """Answer instead, where it was this breaker that refused."""
        if not (isinstance(error, CircuitOpen) and error.policy_name == self._name):
            raise error
        return await substitute.answer(proceed, args, kwargs)


def _is_late(ticket: Ticket) -> bool:
    return getattr(ticket, "late", None) is True


def _raised(error: Exception, *_: object) -> NoReturn:
    raise error
