"""Options that nobody knows, or that come without their names, are refused at once."""

from __future__ import annotations

import pytest

import agentperf
from agentperf.errors import ConfigurationError
from agentperf.testing import fresh_host


@pytest.mark.parametrize(
    ("decorator", "slip", "meant"),
    [
        (agentperf.retry, {"attemps": 3}, "attempts=3"),
        (agentperf.rate_limited, {"token": "9/s"}, "tokens='9/s'"),
        (agentperf.circuit_breaker, {"failure_rat": 0.3}, "failure_rate=0.3"),
    ],
)
def test_a_slip_of_the_pen(decorator, slip, meant):
    """A misspelt option is refused with what was probably meant."""
    with pytest.raises(ConfigurationError, match=f"did you mean {meant}"):
        decorator(**slip)


@pytest.mark.parametrize("decorator", [agentperf.retry, agentperf.circuit_breaker])
def test_what_is_decorated_is_no_option(decorator):
    """The options that are listed don't contain the place of the function."""
    with pytest.raises(ConfigurationError, match=r"there are (on|failure_rate), "):
        decorator(zzz=1)


@pytest.mark.parametrize("decorator", [agentperf.retry, agentperf.circuit_breaker])
@pytest.mark.parametrize("value", [3, "search", 0.5])
def test_options_go_by_name(decorator, value):
    """A value without a name is no function to decorate, and is not dropped in silence."""
    with pytest.raises(ConfigurationError, match="by name"):
        decorator(value)


@pytest.mark.parametrize("budget", ["x", True, 2, -0.1])
def test_a_budget_is_a_share(budget):
    """Anything but a share from 0 to 1 is refused with an example."""
    with pytest.raises(ConfigurationError, match=r"budget=0\.2"):
        agentperf.retry(budget=budget)


@pytest.mark.parametrize("decorator", [agentperf.retry, agentperf.circuit_breaker])
def test_bare_on_a_class_method(decorator):
    """A class method, which can't be called by itself, is decorated bare too."""

    class Agent:
        @decorator
        @classmethod
        def name(cls):
            return cls.__name__

    assert Agent.name() == "Agent"


@pytest.mark.parametrize("by", [3, [], [1], {"a"}])
def test_what_cannot_tell_calls_apart(by):
    """`by=` takes names, a template or a callable; anything else is refused with an example."""
    for make in (
        lambda: agentperf.rate_limited("1/s", by=by),
        lambda: agentperf.circuit_breaker(by=by),
    ):
        with pytest.raises(ConfigurationError, match='by="user_id"'):
            make()


@pytest.mark.parametrize("by", ["usr", "{usr}", "{user", ("user", "usr")])
def test_a_mistake_in_by_is_told_as_one_in_by(by):
    """The error names the option that was written, not the machinery behind it."""
    for make in (agentperf.rate_limited("1/s", by=by), agentperf.circuit_breaker(by=by)):
        with pytest.raises(ConfigurationError, match=r"^by=") as caught:
            make(lambda user: user)
        assert "key=" not in str(caught.value)


def test_shares_as_text():
    """What a configuration file may say, a decorator may too."""
    assert agentperf.retry(budget="30%").options.budget == 0.3
    text = "\n".join(f"On day {n} the tomatoes were watered." for n in range(40))
    assert agentperf.compress(text, ratio="50%").value == agentperf.compress(text, ratio=0.5).value


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True, "3"])
def test_attempts_are_counted_from_one(attempts):
    """The error says so."""
    with pytest.raises(ConfigurationError, match=r"a whole number from 1 up, attempts=3"):
        agentperf.retry(attempts=attempts)


@pytest.mark.parametrize("on", [(), [ConnectionError], [ConnectionError, TimeoutError]])
def test_what_to_retry_is_one_type_or_a_tuple(on):
    """Nothing at all would retry nothing, and a list is no tuple."""
    with pytest.raises(ConfigurationError, match="a tuple of them"):
        agentperf.retry(on=on)


def test_an_argument_that_cannot_tell_calls_apart():
    """The advice names options that there are."""
    chat = agentperf.rate_limited("1/s", by="client")(lambda client: client)
    with pytest.raises(agentperf.UncacheableArgumentError, match=r"instead with by=") as caught:
        chat(object())
    assert "ignore=" not in str(caught.value)
    assert "key=(" not in str(caught.value)


@pytest.mark.parametrize(
    "policy",
    [
        lambda store: agentperf.rate_limited("9/s", store=store, name="n"),
        lambda store: agentperf.bulkhead(8, store=store, name="n"),
        lambda store: agentperf.circuit_breaker(store=store, name="n"),
        lambda store: agentperf.budgeted(usd=1, store=store, name="n"),
    ],
)
def test_the_address_of_a_store(policy):
    """Its form is checked at once, who offers it at the first call; no error shows what follows."""
    for malformed in ("//localhost", "6379", "my redis://x", ":secret@x", ""):
        with pytest.raises(ConfigurationError, match="store=") as refused:
            policy(malformed)
        assert "secret" not in str(refused.value)
    with fresh_host():
        work = policy("sqlte://secret")(lambda: None)
        with pytest.raises(agentperf.PluginError, match="did you mean 'sqlite'") as unknown:
            work()
        assert "secret" not in str(unknown.value)
