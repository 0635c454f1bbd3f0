"""Errors: one small tree, told apart by standard classes too, and able to travel."""

from __future__ import annotations

import copy
import pickle

import pytest

from agentperf import errors

STANDARD = {
    errors.ConfigurationError: ValueError,
    errors.MissingExtraError: ImportError,
    errors.CallTimeout: TimeoutError,
    errors.UncacheableArgumentError: TypeError,
    errors.UncacheableValueError: TypeError,
    errors.CacheMissError: LookupError,
    errors.ContextWindowExceeded: ValueError,
}
SPECIAL = {
    errors.MissingExtraError: lambda: errors.MissingExtraError("demo", "demo", "openai"),
    errors.UncacheableArgumentError: lambda: errors.UncacheableArgumentError(
        "no key", function="f", parameter="x"
    ),
}
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.AgentPerfError)
]


def made(kind):
    """Make an error of a kind."""
    if kind in SPECIAL:
        return SPECIAL[kind]()
    if issubclass(kind, errors.CallRejected):
        return kind("refused", policy="rate_limited", name="limit", retry_after=1.5)
    return kind("message")


def through_pickle(error):
    """Send it away and receive it."""
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("travel", [through_pickle, copy.copy])
def test_every_error_travels(kind, travel):
    """With its message, its facts and its notes."""
    error = made(kind)
    error.add_note("seen on the way")
    twin = travel(error)
    assert type(twin) is kind
    assert (str(twin), vars(twin), twin.args) == (str(error), vars(error), error.args)


@pytest.mark.parametrize("kind", STANDARD)
def test_errors_are_standard_ones_too(kind):
    """So that code which knows nothing of us catches them."""
    assert issubclass(kind, STANDARD[kind])


def test_the_tree_is_as_documented():
    """Every class stands in the module's docstring, beneath its base."""
    for kind in KINDS:
        assert kind.__name__ in errors.__doc__
    assert issubclass(errors.RequestTooLarge, errors.RateLimitExceeded)
    for kind in (errors.CircuitOpen, errors.BulkheadFull, errors.StoreUnavailable):
        assert issubclass(kind, errors.CallRejected)


def test_a_rejection_says_who_refused():
    """And when to come again."""
    error = made(errors.RateLimitExceeded)
    assert (error.policy, error.policy_name, error.retry_after) == ("rate_limited", "limit", 1.5)


def test_a_missing_extra_says_what_to_install():
    """By the distribution's name."""
    error = made(errors.MissingExtraError)
    assert "pip install 'agentperf-sdk[demo]'" in str(error)
    assert error.extra == "demo"
