"""Whose fault a failure is."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai
import pytest

from agentperf._engine.classify import Fault, classify, retry_after
from agentperf.errors import CallTimeout, CircuitOpen, ConfigurationError, RateLimitExceeded

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


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_what_the_upstream_asks_for(headers, wait):
    """Seconds, milliseconds or a date; nonsense is no answer."""
    noon = 1795176000.0
    assert retry_after(headers, now=noon) == wait


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
