"""What a failure means: whose fault it is, and what may help."""

from __future__ import annotations

import enum
from dataclasses import dataclass


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
    """

    fault: Fault
    retryable: bool
    counts: bool
    wait: float | None = None
    cacheable: bool = False
    reason: str = ""
    remedy: Remedy | None = None
