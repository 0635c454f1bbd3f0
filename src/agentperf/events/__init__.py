"""Facts: what happened, as frozen values without behaviour."""

from __future__ import annotations

from agentperf.events.base import Event
from agentperf.events.breakers import CallRefused, CircuitChanged
from agentperf.events.cache import (
    CacheBackendDown,
    CacheBackendUp,
    CacheCleared,
    CacheEviction,
    CacheExpired,
    CacheHit,
    CacheInvalidated,
    CacheMiss,
    CacheRefused,
    CacheStored,
    CacheUnreadable,
    CacheWarmed,
)
from agentperf.events.calls import CallEnded, SlowCall
from agentperf.events.clients import HttpCallEnded, ModelCallEnded
from agentperf.events.limits import (
    BudgetEnded,
    CallDelayed,
    CallRepeated,
    CallTimedOut,
    ConcurrencyChanged,
    LeaseSettled,
    LimitChanged,
    StoreDown,
    StoreUp,
)
from agentperf.events.prompts import PromptCompressed
from agentperf.events.retries import (
    FellBack,
    HedgeEnded,
    HedgeSkipped,
    HedgeStarted,
    RetryGaveUp,
    RetryScheduled,
)

__all__ = [
    "BudgetEnded",
    "CacheBackendDown",
    "CacheBackendUp",
    "CacheCleared",
    "CacheEviction",
    "CacheExpired",
    "CacheHit",
    "CacheInvalidated",
    "CacheMiss",
    "CacheRefused",
    "CacheStored",
    "CacheUnreadable",
    "CacheWarmed",
    "CallDelayed",
    "CallEnded",
    "CallRefused",
    "CallRepeated",
    "CallTimedOut",
    "CircuitChanged",
    "ConcurrencyChanged",
    "Event",
    "FellBack",
    "HedgeEnded",
    "HedgeSkipped",
    "HedgeStarted",
    "HttpCallEnded",
    "LeaseSettled",
    "LimitChanged",
    "ModelCallEnded",
    "PromptCompressed",
    "RetryGaveUp",
    "RetryScheduled",
    "SlowCall",
    "StoreDown",
    "StoreUp",
]
