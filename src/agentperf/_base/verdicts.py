"""What a failure means: whose fault it is, and what may help."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from agentperf.errors import ConfigurationError


class Fault(enum.Enum):
    """Whose fault a failure is."""

    CALLER = "caller"
    """The request itself is wrong; sending it again would fail again."""
    QUOTA = "quota"
    """The caller is allowed less than it asks for."""
    OVERLOAD = "overload"
    """The upstream has more to do than it can."""
    PROVIDER = "provider"
    """The upstream failed."""
    NETWORK = "network"
    """The request or its answer got lost on the way."""
    LOCAL = "local"
    """Something in this program, or nobody knows."""


class Remedy(enum.Enum):
    """Which other target may answer what failed here."""

    ELSEWHERE = "elsewhere"
    """The same model or service at another place, such as another provider or region."""
    LARGER_CONTEXT = "larger context"
    """A model that takes a longer prompt."""
    OTHER_POLICY = "other policy"
    """A model whose provider allows such content."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means.

    Attributes:
        fault: Whose fault it is.
        retryable: Whether the same call may work in a while.
        counts: Whether it speaks against the health of the upstream.
        wait: Seconds that the upstream asked to wait, where it did.
        cacheable: Whether the same call will fail again, so that the failure may be remembered.
        reason: Why, in a few fixed words.
        remedy: Which other target may answer; None where none would, or nobody knows.

    Raises:
        ConfigurationError: A member is of another kind.
    """

    fault: Fault
    retryable: bool
    counts: bool
    wait: float | None = None
    cacheable: bool = False
    reason: str = ""
    remedy: Remedy | None = None

    def __post_init__(self) -> None:
        if (
            type(self.fault) is Fault
            and type(self.retryable) is bool
            and type(self.counts) is bool
            and type(self.cacheable) is bool
            and type(self.reason) is str
            and (self.wait is None or is_wait(self.wait))
            and (self.remedy is None or type(self.remedy) is Remedy)
        ):
            return
        raise ConfigurationError(_mistake(self))


def is_wait(value: object) -> bool:
    """Whether something says how many seconds to wait."""
    return (type(value) is float or type(value) is int) and 0 <= value < math.inf


def _mistake(verdict: Verdict) -> str:
    kinds = {"retryable": bool, "counts": bool, "cacheable": bool, "reason": str}
    if type(verdict.fault) is not Fault:
        return f"fault={verdict.fault!r}: one of {', '.join(map(str, Fault))}"
    for name, kind in kinds.items():
        if type(value := getattr(verdict, name)) is not kind:
            good = 'text, such as reason="model is loading"' if kind is str else "True or False"
            return f"{name}={value!r}: {good}"
    if verdict.wait is not None and not is_wait(verdict.wait):
        return f"wait={verdict.wait!r}: seconds from 0 up, such as wait=3.0"
    return f"remedy={verdict.remedy!r}: None, or one of {', '.join(map(str, Remedy))}"
