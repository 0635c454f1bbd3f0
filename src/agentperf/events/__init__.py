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
    CacheWarmed,
)
from agentperf.events.calls import CallEnded, SlowCall
from agentperf.events.clients import HttpCallEnded, ModelCallEnded
from agentperf.events.limits import CallDelayed, CallTimedOut, ConcurrencyChanged, LeaseSettled
from agentperf.events.prompts import PromptCompressed
from agentperf.events.retries import FellBack, RetryGaveUp, RetryScheduled

__all__ = [
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
    "CacheWarmed",
    "CallDelayed",
    "CallEnded",
    "CallRefused",
    "CallTimedOut",
    "CircuitChanged",
    "ConcurrencyChanged",
    "Event",
    "FellBack",
    "HttpCallEnded",
    "LeaseSettled",
    "ModelCallEnded",
    "PromptCompressed",
    "RetryGaveUp",
    "RetryScheduled",
    "SlowCall",
]
