"""Whose fault a failure is."""

from __future__ import annotations

import asyncio
import http.client as http_client
import json
import re
import sys
from typing import Any

import anyio
import openai
import pytest
import trio

import agentperf
from agentperf import Fault, Remedy, Verdict, classify
from agentperf.errors import (
    CallRejected,
    CallTimeout,
    CircuitOpen,
    ConfigurationError,
    ContextWindowExceeded,
    RateLimitExceeded,
)
from agentperf.testing import FakeClock, fail, faulty, fresh_host

# The HTTP library that this version of the client stands on: httpx2 from openai 3 on, else httpx.
http: Any = sys.modules["httpx2" if "httpx2" in sys.modules else "httpx"]


def status_error(status, code=None, **headers):
    """Status error."""
    request = http.Request("POST", "http://localhost/v1/chat/completions")
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = http.Response(status, request=request, headers=names)
    body = {"code": code, "message": "no"}
    kind = openai.RateLimitError if status == 429 else openai.APIStatusError
    return kind("no", response=response, body=body)


@pytest.mark.parametrize(
    ("status", "fault", "retryable", "counts"),
    [
        (400, Fault.CALLER, False, False),
        (401, Fault.CALLER, False, False),
        (404, Fault.CALLER, False, False),
        (408, Fault.NETWORK, True, True),
        (409, Fault.PROVIDER, True, False),
        (422, Fault.CALLER, False, False),
        (429, Fault.QUOTA, True, False),
        (500, Fault.PROVIDER, True, True),
        (501, Fault.PROVIDER, False, True),
        (502, Fault.PROVIDER, True, True),
        (503, Fault.OVERLOAD, True, True),
        (504, Fault.NETWORK, True, True),
        (529, Fault.OVERLOAD, True, True),
    ],
)
def test_by_status(status, fault, retryable, counts):
    """The errors of the real client, by what the server answered."""
    verdict = classify(status_error(status))
    assert (verdict.fault, verdict.retryable, verdict.counts) == (fault, retryable, counts)


def test_an_exhausted_account_is_not_retried():
    """Waiting does not fill it."""
    verdict = classify(status_error(429, code="insufficient_quota"))
    assert (verdict.fault, verdict.retryable) == (Fault.QUOTA, False)


def test_the_upstream_may_overrule():
    """`x-should-retry` counts both ways."""
    assert classify(status_error(400, x_should_retry="true")).retryable
    assert not classify(status_error(503, x_should_retry="false")).retryable


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        TimeoutError(),
        OSError(),
        CallTimeout(),
        EOFError(),
        http.ConnectError("no"),
        http.ReadTimeout("no"),
        http.RemoteProtocolError("half an answer"),
        openai.APIConnectionError(request=http.Request("GET", "http://localhost")),
        openai.APITimeoutError(request=http.Request("GET", "http://localhost")),
    ],
)
def test_lost_connections_may_come_back(error):
    """Retryable, and they speak against the upstream's health."""
    verdict = classify(error)
    assert (verdict.fault, verdict.retryable, verdict.counts) == (Fault.NETWORK, True, True)


@pytest.mark.parametrize("error", [TypeError(), NameError(), AttributeError()])
def test_programming_errors_are_the_callers(error):
    """They say nothing of the upstream, and trying again is useless."""
    verdict = classify(error)
    assert (verdict.fault, verdict.retryable, verdict.counts) == (Fault.CALLER, False, False)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()])
def test_cancellation_is_neutral(error):
    """Neither retried nor counted."""
    verdict = classify(error)
    assert (verdict.retryable, verdict.counts) == (False, False)


@pytest.mark.parametrize("kind", [CircuitOpen, RateLimitExceeded])
def test_our_own_refusals_do_not_count(kind):
    """And they hand on when to come back."""
    verdict = classify(kind("no", policy="p", name="n", retry_after=3.0))
    assert (verdict.retryable, verdict.counts, verdict.wait) == (False, False, 3.0)


def test_anything_else_counts_but_is_not_retried():
    """Nobody knows what it is."""
    verdict = classify(KeyError("x"))
    assert (verdict.retryable, verdict.counts) == (False, True)


def test_a_group_is_judged_by_its_first_error():
    """As task groups raise them."""
    assert classify(ExceptionGroup("two", [ConnectionError(), TypeError()])).retryable


def test_a_timeout_is_told_from_a_lost_connection():
    """Both are the network's fault; the reason says which."""
    request = http.Request("GET", "http://localhost")
    for error in (
        TimeoutError(),
        CallTimeout(),
        http.ReadTimeout("no"),
        openai.APITimeoutError(request=request),
    ):
        assert classify(error).reason == "timed out"
    for error in (ConnectionError(), openai.APIConnectionError(request=request)):
        assert classify(error).reason == "connection"


@pytest.mark.parametrize("thing", ["boom", ConnectionError, None])
def test_only_errors_are_judged(thing):
    """A name or a class would otherwise be taken for a cancellation."""
    with pytest.raises(ConfigurationError, match=r"classify\(ConnectionError\(\)\)"):
        classify(thing)


def test_headers_that_a_client_keeps_beside_its_response():
    """Errors of litellm have the upstream's headers in a place of their own."""
    error = status_error(429)
    error.litellm_response_headers = {"Retry-After": "7"}
    assert classify(error).wait == 7


def test_resets_count_where_nothing_better_is_said():
    """`Retry-After` goes first, and a wrong request has nothing to wait for."""
    used_up = {"ratelimit_remaining": "0", "ratelimit_reset": "12"}
    assert classify(status_error(429, **used_up)).wait == 12
    assert classify(status_error(429, **used_up, retry_after="3")).wait == 3
    assert classify(status_error(404, **used_up)).wait is None


def of(library, *names, **attributes):
    """Make an error of a library, by the names of its class and of its bases."""
    kind = Exception
    for name in reversed(names):
        kind = type(name, (kind,), {"__module__": f"{library}.exceptions"})
    error = kind("no")
    vars(error).update(attributes)
    return error


class Driver(Exception):
    """What a database driver raises."""

    sqlstate = "40P01"


@pytest.mark.parametrize(
    ("error", "fault", "retryable", "counts"),
    [
        (of("redis", "ConnectionError", "RedisError"), Fault.NETWORK, True, True),
        (of("redis", "BusyLoadingError", "ConnectionError"), Fault.OVERLOAD, True, True),
        (of("redis", "AuthenticationError", "ConnectionError"), Fault.CALLER, False, False),
        (of("redis", "NoScriptError", "ResponseError"), Fault.CALLER, False, False),
        (of("redis", "MaxConnectionsError", "ConnectionError"), Fault.LOCAL, True, False),
        (of("sqlalchemy", "OperationalError", "DBAPIError"), Fault.PROVIDER, True, True),
        (of("sqlalchemy", "OperationalError", orig=Driver()), Fault.PROVIDER, True, False),
        (of("sqlalchemy", "DBAPIError", connection_invalidated=True), Fault.NETWORK, True, True),
        (of("sqlalchemy", "IntegrityError", "DBAPIError"), Fault.CALLER, False, False),
        (of("sqlalchemy", "TimeoutError", "SQLAlchemyError"), Fault.LOCAL, True, False),
        (of("httpx", "PoolTimeout", "TimeoutException"), Fault.LOCAL, True, False),
        (of("elsewhere", "ConnectionError"), Fault.LOCAL, False, True),
    ],
)
def test_errors_of_databases_and_clients(error, fault, retryable, counts):
    """By the package and the name of the class, or of the nearest base that is known."""
    verdict = classify(error)
    assert (verdict.fault, verdict.retryable, verdict.counts) == (fault, retryable, counts)


def test_real_errors_of_redis():
    """The classes are where they are looked for."""
    redis = pytest.importorskip("redis")
    assert classify(redis.exceptions.BusyLoadingError()).fault is Fault.OVERLOAD
    assert classify(redis.exceptions.ConnectionError()).reason == "connection"
    assert not classify(redis.exceptions.NoPermissionError()).retryable


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ConnectionError(), Remedy.ELSEWHERE),
        (status_error(429), Remedy.ELSEWHERE),
        (status_error(503), Remedy.ELSEWHERE),
        (status_error(400), None),
        (status_error(400, code="context_length_exceeded"), Remedy.LARGER_CONTEXT),
        (ContextWindowExceeded(), Remedy.LARGER_CONTEXT),
        (of("litellm", "ContextWindowExceededError", status_code=400), Remedy.LARGER_CONTEXT),
        (status_error(400, code="content_policy_violation"), Remedy.OTHER_POLICY),
        (KeyError(), None),
    ],
)
def test_which_other_target_may_answer(error, remedy):
    """The same elsewhere, one that takes more, one that allows more; or none."""
    assert classify(error).remedy is remedy


def test_an_error_in_the_middle_of_a_stream():
    """The answer began well: its status says nothing, the type of the error does."""
    error = status_error(200)
    assert classify(error).fault is Fault.PROVIDER
    error.body = {"type": "error", "error": {"type": "overloaded_error"}}
    assert (classify(error).fault, classify(error).retryable) == (Fault.OVERLOAD, True)


LOADING = Verdict(Fault.OVERLOAD, retryable=True, counts=False, reason="loading")


def test_rules_of_the_program():
    """By type, status or a look at the error; the last is asked first; each can be taken back."""
    with fresh_host():
        back = agentperf.judge((KeyError, LookupError), LOADING)
        agentperf.judge(418, LOADING)
        agentperf.judge(lambda error: "warming" in str(error), LOADING)
        for error in (KeyError(), status_error(418), ValueError("warming up")):
            assert classify(error) == LOADING
        assert classify(status_error(418, retry_after="4")).wait == 4
        again = agentperf.judge(KeyError, Verdict(Fault.CALLER, retryable=False, counts=False))
        assert classify(KeyError()).fault is Fault.CALLER
        again()
        back()
        assert classify(KeyError()).reason == "unknown"
        assert classify(ExceptionGroup("one", [ValueError("warming")])) == LOADING
    with fresh_host():
        assert classify(status_error(418)).fault is Fault.CALLER


def test_policies_go_by_the_rules():
    """What a rule calls retryable is retried."""
    with fresh_host(FakeClock()):
        agentperf.judge(KeyError, LOADING)
        assert agentperf.retry(faulty(lambda: 5, fail(KeyError)))() == 5


@pytest.mark.parametrize(
    ("what", "verdict", "said"),
    [
        ("418", LOADING, "what='418'"),
        (int, LOADING, "what="),
        ((), LOADING, "what="),
        (True, LOADING, "what=True"),
        (KeyError, "retry", "verdict='retry'"),
    ],
)
def test_rules_that_make_no_sense(what, verdict, said):
    """The error names the parameter."""
    with fresh_host(), pytest.raises(ConfigurationError, match=re.escape(said)):
        agentperf.judge(what, verdict)


class Acme:
    """A plugin that knows errors."""

    @agentperf.hookimpl
    def agentperf_classifiers(self):
        """One that knows, one that fails."""

        def broken(error):
            raise RuntimeError("no idea")

        return {
            "acme": lambda: lambda error: LOADING if isinstance(error, KeyError) else None,
            "broken": lambda: broken,
        }


def test_classifiers_of_plugins(caplog):
    """Asked where a setting names them, after the program's rules; one that fails is passed by."""
    with fresh_host() as host:
        host.plugins.register(Acme(), "acme")
        assert classify(KeyError()).reason == "unknown"
        host.configure(classifiers=["broken", "acme"])
        assert classify(KeyError()) == LOADING
        assert classify(TypeError()).reason == "programming error"
        assert "classifier.failed" in caplog.text
        host.judge(KeyError, Verdict(Fault.CALLER, retryable=False, counts=False))
        assert classify(KeyError()).fault is Fault.CALLER
        host.configure(classifiers=[])
        with pytest.raises(ConfigurationError, match="nobody"):
            host.configure(classifiers=["nobody"])


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"fault": "overload"}, "fault='overload': one of Fault.CALLER"),
        ({"retryable": "yes"}, "retryable='yes': True or False"),
        ({"counts": 1}, "counts=1: True or False"),
        ({"cacheable": None}, "cacheable=None: True or False"),
        ({"wait": "3s"}, "wait='3s': seconds from 0 up, such as wait=3.0"),
        ({"wait": -1}, "wait=-1: seconds"),
        ({"wait": float("nan")}, "wait=nan: seconds"),
        ({"wait": float("inf")}, "wait=inf: seconds"),
        ({"wait": True}, "wait=True: seconds"),
        ({"reason": 5}, "reason=5: text"),
        ({"remedy": "elsewhere"}, "remedy='elsewhere': None, or one of Remedy.ELSEWHERE"),
    ],
)
def test_a_verdict_of_the_wrong_kind(members, said):
    """Told where it is made, not in place of an error of the user's."""
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        Verdict(**{"fault": Fault.OVERLOAD, "retryable": True, "counts": True, **members})


def test_a_refusal_with_a_wait_that_is_none():
    """A class of the user's own may say anything; the verdict doesn't fail on it."""

    class Mine(CallRejected):
        retry_after = "3s"

    refusal = Mine.__new__(Mine)
    assert classify(refusal).wait is None


async def _async(error):
    return True


@pytest.mark.parametrize("what", [42, 99, 600, 99999, -1, _async, lambda: True])
def test_what_no_rule_could_be_for(what):
    """No status, or a callable that could never say no."""
    with pytest.raises(ConfigurationError, match="what="):
        agentperf.judge(what, Verdict(Fault.OVERLOAD, retryable=True, counts=True))


@pytest.mark.parametrize(
    ("error", "fault", "retryable", "counts", "reason"),
    [
        (FileNotFoundError("x"), Fault.LOCAL, False, False, "file"),
        (FileExistsError("x"), Fault.LOCAL, False, False, "file"),
        (PermissionError("x"), Fault.LOCAL, False, False, "file"),
        (IsADirectoryError("x"), Fault.LOCAL, False, False, "file"),
        (NotADirectoryError("x"), Fault.LOCAL, False, False, "file"),
        (BlockingIOError("x"), Fault.NETWORK, True, True, "connection"),
        (trio.TooSlowError(), Fault.NETWORK, True, True, "timed out"),
        (trio.BrokenResourceError(), Fault.NETWORK, True, True, "connection"),
        (anyio.BrokenResourceError(), Fault.NETWORK, True, True, "connection"),
        (anyio.EndOfStream(), Fault.NETWORK, True, True, "connection"),
        (http_client.IncompleteRead(b"x"), Fault.NETWORK, True, True, "connection"),
        (http_client.BadStatusLine("x"), Fault.NETWORK, True, True, "connection"),
        (http_client.RemoteDisconnected("x"), Fault.NETWORK, True, True, "connection"),
        (http_client.InvalidURL("x"), Fault.CALLER, False, False, "bad request"),
        (http.UnsupportedProtocol("x"), Fault.CALLER, False, False, "bad request"),
        (http.LocalProtocolError("x"), Fault.CALLER, False, False, "bad request"),
        (http.InvalidURL("x"), Fault.CALLER, False, False, "bad request"),
        (http.RemoteProtocolError("x"), Fault.NETWORK, True, True, "connection"),
        (json.JSONDecodeError("x", "y", 0), Fault.LOCAL, False, True, "unknown"),
    ],
)
def test_errors_of_files_streams_and_urls(error, fault, retryable, counts, reason):
    """What speaks of an upstream, and what of the program alone."""
    verdict = classify(error)
    assert (verdict.fault, verdict.retryable, verdict.counts) == (fault, retryable, counts)
    assert verdict.reason == reason


@pytest.mark.parametrize(
    ("library", "names", "reason"),
    [
        ("urllib3.exceptions", ("ProtocolError", "HTTPError"), "connection"),
        ("urllib3.exceptions", ("MaxRetryError", "HTTPError"), "connection"),
        ("urllib3.exceptions", ("ReadTimeoutError", "TimeoutError"), "timed out"),
        ("urllib3.exceptions", ("LocationParseError", "LocationValueError"), "bad request"),
        ("requests.exceptions", ("JSONDecodeError", "RequestException"), "unreadable answer"),
        ("requests.exceptions", ("ReadTimeout", "Timeout"), "timed out"),
        ("requests.exceptions", ("MissingSchema", "RequestException"), "bad request"),
        ("requests.exceptions", ("ConnectionError", "RequestException"), "connection"),
    ],
)
def test_libraries_that_may_not_be_there(library, names, reason):
    """Known by the names of their errors."""
    kind = OSError if library.startswith("requests") else Exception
    for name in reversed(names):
        kind = type(name, (kind,), {"__module__": library})
    assert classify(kind("x")).reason == reason
