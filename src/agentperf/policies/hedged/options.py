"""What can be said of hedging, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentperf._base.durations import Duration, seconds
from agentperf._base.options import Share, share, whole
from agentperf.errors import ConfigurationError

_QUANTILE = re.compile(r"\s*[pP](\d{1,2}(?:\.\d+)?)\s*")
_MOST = 10


@dataclass(frozen=True, slots=True)
class HedgeOptions:
    """The options of one `hedged`, in their final form; see `hedged` for their meaning.

    Attributes:
        quantile: Of the recent durations, the one to wait for; None where `after` is a time.
        after: Seconds to wait; None where it is a quantile.
    """

    quantile: float | None
    after: float | None
    extra: int
    budget: float | None


def checked(*, after: Duration, extra: int, budget: Share | None) -> HedgeOptions:
    """Turn what the user wrote into options.

    Raises:
        ConfigurationError: Something is malformed.
    """
    quantile = _quantile(after)
    fixed = seconds(after, "after") if quantile is None else None
    if whole("extra", extra, 1) > _MOST:
        raise ConfigurationError(f"extra={extra!r}: {_MOST} at most, as in extra=1")
    return HedgeOptions(
        quantile=quantile,
        after=fixed,
        extra=extra,
        budget=None if budget is None else share("budget", budget, 0.1, zero=True),
    )


def _quantile(after: Duration) -> float | None:
    """Read a quantile such as `"p95"`; None where it is no such text."""
    if isinstance(after, str) and (found := _QUANTILE.fullmatch(after)):
        quantile = float(found[1]) / 100
        if quantile > 0:
            return quantile
    if isinstance(after, str) and after.strip()[:1] in ("p", "P"):
        raise ConfigurationError(
            f'after={after!r}: a quantile above p0 and below p100, such as after="p95", or a time '
            'such as after="300ms"'
        )
    return None
