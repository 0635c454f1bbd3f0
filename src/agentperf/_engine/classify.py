"""The failure classifier: whose fault an error is, and what that means for the call.

Client libraries are recognised by the names and shapes of their errors, so none has to be imported.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentperf.errors import CallRejected, ConfigurationError


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
    """

    fault: Fault
    retryable: bool
    counts: bool
    wait: float | None = None
    cacheable: bool = False
    reason: str = ""


def classify(error: BaseException, *, now: float | None = None) -> Verdict:
    """Tell whose fault an error is and what to do about it.

    | failure | fault | retried | against health |
    |---|---|---|---|
    | connection, OS and timeout errors | network | yes | yes |
    | 408, 502, 504 | network or provider | yes | yes |
    | 429 | quota | yes, after `Retry-After` | no |
    | 429 for an exhausted account | quota | no | no |
    | 500 and other 5xx | provider | yes | yes |
    | 503, 529 | overload | yes | yes |
    | 409, 425 | provider | yes | no |
    | other 4xx | caller | no | no |
    | `TypeError`, `NameError`, `AttributeError` | caller | no | no |
    | refused by a policy of ours | local | no | no |
    | cancellation, interrupt, exit | caller | no | no |
    | any other exception | local | no | yes |

    An `x-should-retry` header overrules the third column.

    Args:
        error: The error.
        now: Seconds since the epoch, to read dates against; the real time by default.

    Example:
        try:
            client.chat.completions.create(...)
        except Exception as error:
            if agentperf.classify(error).retryable: ...

    Raises:
        ConfigurationError: It is not an error, such as the class of one.
    """
    if not isinstance(error, BaseException):
        raise ConfigurationError(
            f"classify({error!r}): an error is needed, as in `except Exception as error: "
            "classify(error)` or classify(ConnectionError())"
        )
    if isinstance(error, BaseExceptionGroup):
        return classify(error.exceptions[0], now=now)
    if not isinstance(error, Exception):
        return Verdict(Fault.CALLER, retryable=False, counts=False, reason="cancelled")
    if isinstance(error, CallRejected):
        return Verdict(
            Fault.LOCAL, retryable=False, counts=False, wait=error.retry_after, reason="refused"
        )
    if (status := _status(error)) is not None:
        return _by_status(status, error, now)
    return _by_kind(error)


def _status(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int) and 100 <= status < 600:
            return status
    return None


_BY_STATUS = {
    408: Verdict(Fault.NETWORK, retryable=True, counts=True, reason="request timed out"),
    409: Verdict(Fault.PROVIDER, retryable=True, counts=False, reason="conflict"),
    425: Verdict(Fault.PROVIDER, retryable=True, counts=False, reason="too early"),
    429: Verdict(Fault.QUOTA, retryable=True, counts=False, reason="rate limited"),
    501: Verdict(Fault.PROVIDER, retryable=False, counts=True, reason="not implemented"),
    503: Verdict(Fault.OVERLOAD, retryable=True, counts=True, reason="unavailable"),
    504: Verdict(Fault.NETWORK, retryable=True, counts=True, reason="gateway timed out"),
    529: Verdict(Fault.OVERLOAD, retryable=True, counts=True, reason="overloaded"),
}
_CALLERS = Verdict(Fault.CALLER, False, False, cacheable=True, reason="bad request")
_PROVIDERS = Verdict(Fault.PROVIDER, retryable=True, counts=True, reason="server error")
_EXHAUSTED = Verdict(Fault.QUOTA, retryable=False, counts=False, reason="quota exhausted")


def _by_status(status: int, error: Exception, now: float | None) -> Verdict:
    default = _PROVIDERS if status >= 500 else _CALLERS
    verdict = _BY_STATUS.get(status, default)
    if status == 429 and _code(error) == "insufficient_quota":
        verdict = _EXHAUSTED
    headers = headers_of(error)
    should_retry = headers.get("x-should-retry")
    if should_retry in ("true", "false"):
        verdict = replace(verdict, retryable=should_retry == "true")
    return replace(verdict, wait=retry_after(headers, now))


def _code(error: Exception) -> object:
    return getattr(error, "code", None) or getattr(error, "type", None)


def headers_of(error: Exception) -> Mapping[str, str]:
    """Return the headers of the reply that an error stands for, with names in lower case."""
    response: Any = getattr(error, "response", None)
    # litellm makes responses of its own, without headers, and keeps the upstream's beside them.
    for holder, name in ((response, "headers"), (error, "litellm_response_headers")):
        headers = getattr(holder, name, None)
        if isinstance(headers, Mapping) and headers:
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that a response asks to wait; None where it does not say.

    Reads `retry-after-ms`, and `Retry-After` in seconds or as a date (RFC 9110, 10.2.3); what lies
    in the past is no wait at all.

    Args:
        headers: The response's headers, with names in lower case.
        now: Seconds since the epoch, to read dates against; the real time by default.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if (plain := _number(text)) is not None:
        return plain
    when = _date(text)
    if when is None:
        return None
    return max(0.0, when.timestamp() - (_wall() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if value < float("inf") else None


def _date(text: str | None) -> dt.datetime | None:
    if not text:
        return None
    try:
        return email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None


def _wall() -> float:
    import time

    return time.time()


_NETWORK = Verdict(Fault.NETWORK, retryable=True, counts=True, reason="connection")
_TIMEOUT = replace(_NETWORK, reason="timed out")
_BUG = Verdict(Fault.CALLER, retryable=False, counts=False, reason="programming error")
_UPSTREAM = Verdict(Fault.PROVIDER, retryable=True, counts=True, reason="upstream error")
_UNKNOWN = Verdict(Fault.LOCAL, retryable=False, counts=True, reason="unknown")

_LIBRARIES = {"httpx", "httpx2", "httpcore", "httpcore2", "openai", "anthropic"}
_BY_NAME = {
    "APITimeoutError": _TIMEOUT,
    "TimeoutException": _TIMEOUT,
    "APIConnectionError": _NETWORK,
    "TransportError": _NETWORK,
    "NetworkError": _NETWORK,
    "ProtocolError": _NETWORK,
    "APIResponseValidationError": Verdict(
        Fault.PROVIDER, retryable=False, counts=True, reason="unreadable answer"
    ),
    "APIError": _UPSTREAM,
}
"""Base classes of errors without a status, in the libraries above."""


def _by_kind(error: Exception) -> Verdict:
    for kind in type(error).__mro__:
        if kind.__module__.partition(".")[0] in _LIBRARIES and kind.__name__ in _BY_NAME:
            return _BY_NAME[kind.__name__]
    if isinstance(error, TypeError | NameError | AttributeError):
        return _BUG
    if isinstance(error, TimeoutError):
        return _TIMEOUT
    if isinstance(error, OSError | EOFError):  # ConnectionError is among them
        return _NETWORK
    return _UNKNOWN
