"""What can be said of a budget, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from agentperf._base.durations import Duration, seconds
from agentperf._base.options import OnFailure, goes_with_store, whole
from agentperf.errors import ConfigurationError

if TYPE_CHECKING:
    from agentperf.abc.stores import AnyStore

OnRepeat = Literal["raise", "tell"]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class SharedOptions:
    """What is said of a budget that is kept in a store; see `budgeted` for its meaning."""

    store: str | AnyStore
    usd: float | None
    tokens: int | None
    calls: int | None
    per: float | None
    on_failure: OnFailure

    @property
    def identity(self) -> object:
        """Tells apart what one process can't mean by the same name."""
        return self.store, self.usd, self.tokens, self.calls, self.per, self.on_failure


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """The options of one budget, in their final form; see `budgeted` for their meaning."""

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None
    deadline: float | None = None
    max_repeats: int | None = None
    on_repeat: OnRepeat = "raise"
    shared: SharedOptions | None = None

    @property
    def limits_nothing(self) -> bool:
        """Whether no limit is among them."""
        limits = (
            *(self.usd, self.tokens, self.calls, self.deadline, self.max_repeats),
            self.shared,
        )
        return all(limit is None for limit in limits)


def checked(
    *,
    usd: float | None,
    tokens: int | None,
    calls: int | None,
    deadline: Duration | None,
    max_repeats: int | None,
    on_repeat: OnRepeat,
    store: str | AnyStore | None,
    name: str | None,
    per: Duration | None,
    on_store_failure: OnFailure,
) -> BudgetOptions:
    """Turn what the user wrote into options.

    Raises:
        ConfigurationError: Something is malformed or goes with nothing.
    """
    if on_repeat not in ("raise", "tell"):
        raise ConfigurationError(f'on_repeat={on_repeat!r}: "raise" or "tell"')
    if on_repeat != "raise" and max_repeats is None:
        raise ConfigurationError(
            f"on_repeat={on_repeat!r} goes with max_repeats, as in max_repeats=5, "
            f"on_repeat={on_repeat!r}"
        )
    options = BudgetOptions(
        usd=None if usd is None else _money(usd),
        tokens=None if tokens is None else whole("tokens", tokens, 50_000),
        calls=None if calls is None else whole("calls", calls, 30),
        deadline=None if deadline is None else seconds(deadline, "deadline"),
        max_repeats=None if max_repeats is None else whole("max_repeats", max_repeats, 5),
        on_repeat=on_repeat,
    )
    goes_with_store(store, on_store_failure, _WITH_STORE)
    if store is not None:
        return _shared(options, store, name, per, on_store_failure)
    if per is not None:
        raise ConfigurationError(f"per={per!r} goes with store=: {_WITH_STORE}")
    return options


_WITH_STORE = 'budget(usd=20, per="1d", store="redis://localhost:6379", name="team-a")'


def _shared(
    options: BudgetOptions,
    store: str | AnyStore,
    name: str | None,
    per: Duration | None,
    on_store_failure: OnFailure,
) -> BudgetOptions:
    """Have the store keep what it can keep; time and repetitions are those of a region."""
    from agentperf._engine.stores import check_store

    check_store(store, name, "budget", _WITH_STORE)
    if options.usd is None and options.tokens is None and options.calls is None:
        raise ConfigurationError(f"store= keeps usd=, tokens= or calls=: {_WITH_STORE}")
    if options.usd is not None and not _LEAST_USD <= options.usd <= _MOST_USD:
        raise ConfigurationError(
            f"usd={options.usd!r}: with store= a billionth of a dollar at least and {_MOST_USD:,} "
            "at most, such as usd=20"
        )
    period = None if per is None else seconds(per, "per")
    if period is not None and period < _LEAST_PERIOD:
        raise ConfigurationError(f'per={per!r}: a second at least, such as per="1d"')
    shared = SharedOptions(
        store=store,
        usd=options.usd,
        tokens=options.tokens,
        calls=options.calls,
        per=period,
        on_failure=on_store_failure,
    )
    return replace(options, usd=None, tokens=None, calls=None, shared=shared)


_MOST_USD = 1_000_000
"""Dollars up to which billionths of one are exact in the numbers of every store."""

_LEAST_USD = 1e-9
"""What a store counts money in."""

_LEAST_PERIOD = 1.0
"""Seconds; stores are asked over a network, and a shorter period would be over by then."""


def _money(usd: float) -> float:
    number = isinstance(usd, int | float) and not isinstance(usd, bool)
    if not (number and 0 < usd < math.inf):
        raise ConfigurationError(f"usd={usd!r}: US dollars above 0, such as usd=0.50")
    return float(usd)
