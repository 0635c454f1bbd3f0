"""What can be said of a budget, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from agentperf._base.durations import Duration, seconds
from agentperf._base.options import whole
from agentperf.errors import ConfigurationError

OnRepeat = Literal["raise", "tell"]


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """The options of one budget, in their final form; see `budgeted` for their meaning."""

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None
    deadline: float | None = None
    max_repeats: int | None = None
    on_repeat: OnRepeat = "raise"

    @property
    def limits_nothing(self) -> bool:
        """Whether no limit is among them."""
        limits = (self.usd, self.tokens, self.calls, self.deadline, self.max_repeats)
        return all(limit is None for limit in limits)


def checked(
    *,
    usd: float | None,
    tokens: int | None,
    calls: int | None,
    deadline: Duration | None,
    max_repeats: int | None,
    on_repeat: OnRepeat,
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
    return BudgetOptions(
        usd=None if usd is None else _money(usd),
        tokens=None if tokens is None else whole("tokens", tokens, 50_000),
        calls=None if calls is None else whole("calls", calls, 30),
        deadline=None if deadline is None else seconds(deadline, "deadline"),
        max_repeats=None if max_repeats is None else whole("max_repeats", max_repeats, 5),
        on_repeat=on_repeat,
    )


def _money(usd: float) -> float:
    number = isinstance(usd, int | float) and not isinstance(usd, bool)
    if not (number and 0 < usd < math.inf):
        raise ConfigurationError(f"usd={usd!r}: US dollars above 0, such as usd=0.50")
    return float(usd)
