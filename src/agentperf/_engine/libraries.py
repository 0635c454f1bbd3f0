"""What the errors of well-known client libraries mean; known by name, so that none is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agentperf._base.verdicts import Fault, Remedy, Verdict

NETWORK = Verdict(Fault.NETWORK, retryable=True, counts=True, reason="connection")
TIMEOUT = replace(NETWORK, reason="timed out")
UPSTREAM = Verdict(Fault.PROVIDER, retryable=True, counts=True, reason="upstream error")
UNREADABLE = Verdict(Fault.PROVIDER, retryable=False, counts=True, reason="unreadable answer")
BUSY = Verdict(Fault.OVERLOAD, retryable=True, counts=True, reason="overloaded")
REFUSED = Verdict(Fault.CALLER, retryable=False, counts=False, reason="bad request")
CONFLICT = Verdict(Fault.PROVIDER, retryable=True, counts=False, reason="conflict")
NO_PLACE = Verdict(Fault.LOCAL, retryable=True, counts=False, reason="no connection free")
TOO_LONG = replace(REFUSED, cacheable=True, reason="prompt too long", remedy=Remedy.LARGER_CONTEXT)
CONTENT = replace(REFUSED, cacheable=True, reason="content refused", remedy=Remedy.OTHER_POLICY)

_HTTP = {
    "PoolTimeout": NO_PLACE,
    "UnsupportedProtocol": REFUSED,
    "LocalProtocolError": REFUSED,
    "InvalidURL": REFUSED,
    "TimeoutException": TIMEOUT,
    "TransportError": NETWORK,
    "NetworkError": NETWORK,
    "ProtocolError": NETWORK,
}
_STREAMS = {
    "TooSlowError": TIMEOUT,
    "BrokenResourceError": NETWORK,
    "EndOfStream": NETWORK,
    "IncompleteRead": NETWORK,  # anyio's end before the last byte
}
_STANDARD_HTTP = {
    "IncompleteRead": NETWORK,
    "BadStatusLine": NETWORK,
    "InvalidURL": REFUSED,
}
_URLLIB3 = {
    "LocationValueError": REFUSED,
    "TimeoutError": TIMEOUT,
    "MaxRetryError": NETWORK,
    "ProtocolError": NETWORK,
    "SSLError": NETWORK,
    "ProxyError": NETWORK,
}
_REQUESTS = {
    "JSONDecodeError": UNREADABLE,
    "Timeout": TIMEOUT,
    "MissingSchema": REFUSED,
    "InvalidSchema": REFUSED,
    "InvalidURL": REFUSED,
}
_MODELS = {
    "APITimeoutError": TIMEOUT,
    "APIConnectionError": NETWORK,
    "APIResponseValidationError": UNREADABLE,
    "APIError": UPSTREAM,
}
_REDIS = {
    "BusyLoadingError": BUSY,
    "MaxConnectionsError": NO_PLACE,
    "AuthenticationError": REFUSED,
    "AuthorizationError": REFUSED,
    "ConnectionError": NETWORK,
    "TimeoutError": TIMEOUT,
    "ReadOnlyError": UPSTREAM,
    "OutOfMemoryError": BUSY,
    "ClusterDownError": UPSTREAM,
    "MasterDownError": UPSTREAM,
    "TryAgainError": CONFLICT,
    "WatchError": CONFLICT,
    "InvalidResponse": UNREADABLE,
    "ResponseError": REFUSED,
    "DataError": REFUSED,
}
_SQLALCHEMY = {
    "TimeoutError": NO_PLACE,
    "OperationalError": UPSTREAM,
    "InterfaceError": NETWORK,
    "DisconnectionError": NETWORK,
    "InternalError": UPSTREAM,
    "DBAPIError": UPSTREAM,
    "StaleDataError": CONFLICT,
    "IntegrityError": REFUSED,
    "DataError": REFUSED,
    "ProgrammingError": REFUSED,
    "NotSupportedError": REFUSED,
    "SQLAlchemyError": REFUSED,
}
_LITELLM = {
    "ContextWindowExceededError": TOO_LONG,
    "ContentPolicyViolationError": CONTENT,
}
_BY_LIBRARY: Mapping[str, Mapping[str, Verdict]] = {
    "httpx": _HTTP,
    "httpx2": _HTTP,
    "httpcore": _HTTP,
    "httpcore2": _HTTP,
    "http": _STANDARD_HTTP,
    "urllib3": _URLLIB3,
    "requests": _REQUESTS,
    "anyio": _STREAMS,
    "trio": _STREAMS,
    "openai": _MODELS,
    "anthropic": _MODELS,
    "redis": _REDIS,
    "valkey": _REDIS,
    "sqlalchemy": _SQLALCHEMY,
    "litellm": _LITELLM,
}
"""By the package that defines an error, and by its name or that of the nearest base class."""

_TRY_AGAIN = {"40001", "40P01", "55P03"}
"""Codes of SQL: two transactions got into each other's way."""


def known(error: Exception) -> Verdict | None:
    """Return what an error of a known library means; None for any other."""
    for kind in type(error).__mro__:
        library = kind.__module__.partition(".")[0]
        if (verdict := _BY_LIBRARY.get(library, {}).get(kind.__name__)) is not None:
            return _of_database(error) or verdict if library == "sqlalchemy" else verdict
    return None


def _of_database(error: Exception) -> Verdict | None:
    """Return what the driver beneath says that its wrapper doesn't."""
    if getattr(error, "connection_invalidated", False) is True:
        return NETWORK
    driver = getattr(error, "orig", None)
    code = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    return CONFLICT if code in _TRY_AGAIN else None
