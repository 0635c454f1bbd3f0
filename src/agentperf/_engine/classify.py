"""The failure classifier: whose fault an error is, and what that means for the call.

Client libraries are recognised by the names and shapes of their errors, so none has to be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from agentperf._base.callables import refuse_unfit
from agentperf._base.log import fault
from agentperf._base.verdicts import Fault, Remedy, Verdict, is_wait
from agentperf._engine.choosing import checked_on, chosen
from agentperf._engine.current import current_host
from agentperf._engine.libraries import (
    BUSY,
    CONFLICT,
    CONTENT,
    NETWORK,
    TIMEOUT,
    TOO_LONG,
    UPSTREAM,
    known,
)
from agentperf._engine.pushback import headers_of, retry_after, until_reset
from agentperf._engine.waiting import Overrun
from agentperf.errors import CallRejected, ConfigurationError, ContextWindowExceeded

What = type[Exception] | tuple[type[Exception], ...] | int | Callable[[Exception], bool]
"""Which errors a rule is for: types, a status, or a callable that is given the error."""
Judge = Callable[[Exception], Verdict | None]
"""Says what an error means; None where it has nothing to say."""


def classify(error: BaseException, *, now: float | None = None) -> Verdict:
    """Tell whose fault an error is and what to do about it.

    | failure | fault | retried | against health |
    |---|---|---|---|
    | connection, timeout and other OS errors | network | yes | yes |
    | files that are missing, there already, or not allowed | local | no | no |
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

    An `x-should-retry` header overrules the third column. What was said by `agentperf.judge`, or by
    a plugin's classifier that the setting `classifiers` names, goes before the table.

    Args:
        error: The error.
        now: Seconds since the epoch, to read dates against; the current host's time by default.

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
    return current_host().classify(error, now=now)


def judge(what: What, verdict: Verdict) -> Callable[[], None]:
    """Say what errors mean that agentperf doesn't know, or judges otherwise, on the current host.

    All policies of the host go by it. The rule that was given last is asked first.

    Args:
        what: An exception type or a tuple of them, a status from 100 to 599, or a
            callable that is given the error.
        verdict: What they mean. Where it has no `wait`, what the response asks for counts.

    Returns:
        A function that takes the rule back.

    Example:
        agentperf.judge(ModelIsLoading, Verdict(Fault.OVERLOAD, retryable=True, counts=False))

    Raises:
        ConfigurationError: An argument is of another kind.
    """
    return current_host().judge(what, verdict)


class Judges:
    """Those who judge errors on one host: the program's rules, then plugins, then agentperf."""

    def __init__(self) -> None:
        self._rules: tuple[Judge, ...] = ()
        self._plugins: tuple[Judge, ...] = ()

    def add(self, what: What, verdict: Verdict) -> Callable[[], None]:
        """Ask this rule before all others; what is returned takes it back.

        Raises:
            ConfigurationError: An argument is of another kind.
        """
        rule = _rule(what, verdict)
        self._rules = (rule, *self._rules)

        def take_back() -> None:
            self._rules = tuple(other for other in self._rules if other is not rule)

        return take_back

    def add_plugin(self, judge: Judge) -> Callable[[], None]:
        """Ask a plugin's classifier, after those that are there; what is returned ends that."""

        def careful(error: Exception) -> Verdict | None:
            try:
                verdict = judge(error)
            except Exception as problem:  # noqa: BLE001 - the error at hand is what matters
                fault("classifier.failed", problem)
                return None
            return verdict if isinstance(verdict, Verdict) else None

        self._plugins = (*self._plugins, careful)

        def end() -> None:
            self._plugins = tuple(other for other in self._plugins if other is not careful)

        return end

    def verdict(self, error: BaseException, now: float) -> Verdict:
        """Return what an error means at `now`, in seconds since the epoch."""
        if isinstance(error, BaseExceptionGroup):
            return self.verdict(error.exceptions[0], now)
        if not isinstance(error, Exception):
            return _CANCELLED
        for said in (*self._rules, *self._plugins):
            if (verdict := said(error)) is not None:
                return _waiting(verdict, error, now)
        verdict = _usual(error, now)
        if verdict.remedy is None and verdict.fault in _ELSEWHERE:
            return replace(verdict, remedy=Remedy.ELSEWHERE)
        return verdict


def _rule(what: What, verdict: Verdict) -> Judge:
    if not isinstance(verdict, Verdict):
        raise ConfigurationError(
            f"verdict={verdict!r}: what it means, such as "
            "agentperf.Verdict(agentperf.Fault.OVERLOAD, retryable=True, counts=True)"
        )
    if isinstance(what, int) and not isinstance(what, bool) and 100 <= what < 600:
        return lambda error: verdict if _status(error) == what else None
    if callable(what) and not isinstance(what, type):
        refuse_unfit("what", what, "judge(lambda error: 'busy' in str(error), verdict)", 1)
    try:
        on = None if isinstance(what, int) else checked_on(what)
    except ConfigurationError:
        on = None
    if on is None:
        raise ConfigurationError(
            f"what={what!r}: an exception type, a tuple of them, a status from 100 to 599, or "
            'a callable such as lambda error: "busy" in str(error)'
        )
    return lambda error: verdict if chosen(on, error) else None


def _waiting(verdict: Verdict, error: Exception, now: float) -> Verdict:
    if verdict.wait is not None:
        return verdict
    return _with_wait(verdict, retry_after(headers_of(error), now))


def _with_wait(verdict: Verdict, wait: float | None) -> Verdict:
    return replace(verdict, wait=wait) if is_wait(wait) else verdict


_CANCELLED = Verdict(Fault.CALLER, retryable=False, counts=False, reason="cancelled")
_RULED_OUT = Verdict(Fault.LOCAL, retryable=False, counts=False, reason="refused")
_BUG = Verdict(Fault.CALLER, retryable=False, counts=False, reason="programming error")
_FILE = Verdict(Fault.LOCAL, retryable=False, counts=False, reason="file")
_UNKNOWN = Verdict(Fault.LOCAL, retryable=False, counts=True, reason="unknown")
_ELSEWHERE = {Fault.QUOTA, Fault.OVERLOAD, Fault.PROVIDER, Fault.NETWORK}
"""Whose fault it is where another place may do better."""


def _usual(error: Exception, now: float) -> Verdict:
    if isinstance(error, Overrun):
        return _CANCELLED
    if isinstance(error, CallRejected):
        return _with_wait(_RULED_OUT, error.retry_after)
    if isinstance(error, ContextWindowExceeded):
        return TOO_LONG
    if (status := _status(error)) is not None:
        return _by_status(status, error, now)
    return known(error) or _by_kind(error)


def _status(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int) and 100 <= status < 600:
            return status
    return None


_BY_STATUS = {
    408: replace(TIMEOUT, reason="request timed out"),
    409: CONFLICT,
    425: replace(CONFLICT, reason="too early"),
    429: Verdict(Fault.QUOTA, retryable=True, counts=False, reason="rate limited"),
    501: Verdict(Fault.PROVIDER, retryable=False, counts=True, reason="not implemented"),
    503: Verdict(Fault.OVERLOAD, retryable=True, counts=True, reason="unavailable"),
    504: replace(TIMEOUT, reason="gateway timed out"),
    529: Verdict(Fault.OVERLOAD, retryable=True, counts=True, reason="overloaded"),
}
_CALLERS = Verdict(Fault.CALLER, False, False, cacheable=True, reason="bad request")
_PROVIDERS = Verdict(Fault.PROVIDER, retryable=True, counts=True, reason="server error")
_EXHAUSTED = Verdict(Fault.QUOTA, retryable=False, counts=False, reason="quota exhausted")
_BY_CODE = {
    "context_length_exceeded": TOO_LONG,
    "content_filter": CONTENT,
    "content_policy_violation": CONTENT,
}
"""The codes with which providers refuse what another model may well take."""


_BY_TYPE = {"overloaded_error": BUSY, "rate_limit_error": _BY_STATUS[429]}


def _by_status(status: int, error: Exception, now: float) -> Verdict:
    verdict = _BY_STATUS.get(status, _PROVIDERS if status >= 500 else _CALLERS)
    if status < 400:
        verdict = _mid_stream(error)
    elif status == 429 and _code(error) == "insufficient_quota":
        verdict = _EXHAUSTED
    elif verdict is _CALLERS:
        verdict = _refusal(error)
    headers = headers_of(error)
    should_retry = headers.get("x-should-retry")
    if should_retry in ("true", "false"):
        verdict = replace(verdict, retryable=should_retry == "true")
    wait = retry_after(headers, now)
    if wait is None and verdict.fault in (Fault.QUOTA, Fault.OVERLOAD):
        wait = until_reset(headers, now)
    return _with_wait(verdict, wait)


def _mid_stream(error: Exception) -> Verdict:
    """Judge an error that came after an answer had begun well, as those of Anthropic do."""
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, Mapping) else None
    kind = inner.get("type") if isinstance(inner, Mapping) else None
    return _BY_TYPE.get(str(kind), UPSTREAM)


def _refusal(error: Exception) -> Verdict:
    """Tell a prompt that is too long, or content that is not allowed, from other bad requests."""
    code = _code(error)
    if isinstance(code, str) and code in _BY_CODE:
        return _BY_CODE[code]
    if (found := known(error)) is not None and found.remedy is not None:
        return found
    # Anthropic's has no code of its own.
    return TOO_LONG if "prompt is too long" in str(error) else _CALLERS


def _code(error: Exception) -> object:
    return getattr(error, "code", None) or getattr(error, "type", None)


_OF_FILES = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    FileExistsError,
)
"""Errors of the operating system that say nothing of an upstream."""


def _by_kind(error: Exception) -> Verdict:
    if isinstance(error, TypeError | NameError | AttributeError):
        return _BUG
    if isinstance(error, TimeoutError):
        return TIMEOUT
    if isinstance(error, _OF_FILES):
        return _FILE
    if isinstance(error, OSError | EOFError):  # ConnectionError is among them
        return NETWORK
    return _UNKNOWN
