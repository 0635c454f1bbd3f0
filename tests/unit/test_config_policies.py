"""Policies that are put on operations by configuration."""

from __future__ import annotations

import functools
import json
import re

import pytest

import agentperf
from agentperf import ConfigurationError, Host, cached, configure, handle, stats, timed, use
from agentperf.config import Settings, load
from agentperf.config.settings import _EXAMPLES
from agentperf.policies.compose.catalogue import DECORATORS
from agentperf.policies.rate_limited import rate_limited
from agentperf.policies.retry import retry
from agentperf.testing import FakeClock

ALL = {
    "timeout": {"total": "30s"},
    "circuit_breaker": True,
    "rate_limited": {"requests": "500/min"},
    "bulkhead": {"concurrency": 8, "adaptive": [2, 16]},
    "fallback": {"targets": [["later"]]},
    "retry": {"attempts": 4, "budget": "80%"},
    "compress_prompt": {"max_tokens": 1000},
    "cached": {"ttl": "30d"},
    "timed": {"slow": "5000ms"},
}
"""Innermost first: the order in which they are written down means nothing."""

CANONICAL = [
    "timed",
    "fallback",
    "cached",
    "compress_prompt",
    "retry",
    "bulkhead",
    "rate_limited",
    "circuit_breaker",
    "timeout",
]


def host_of(operation, policies):
    """Make a host that puts policies on an operation."""
    return Host(clock=FakeClock(autojump=True), settings=Settings(policies={operation: policies}))


def kinds(function):
    """Name the policies around a function, outermost first."""
    return [policy.kind for policy in handle(function).pipeline]


def flaky(failures):
    """Make a function that fails so many times before it answers."""
    left = [ConnectionError("lost")] * failures

    def answer(prompt="p"):
        if left:
            raise left.pop()
        return prompt

    return answer


def test_on_a_decorated_function():
    """They work as their decorators would, and end with the settings that asked for them."""
    function = timed("op")(flaky(failures=2))
    with use(host_of("op", {"retry": {"attempts": 3, "backoff": "1ms"}, "cached": {"ttl": 5}})):
        assert function() == "p"
        assert function() == "p"
        assert handle(function).cache.stats().hits == 1
        assert stats()["op"].calls == 2
    with use(Host(settings=Settings())):
        assert kinds(function) == ["timed"]


@pytest.mark.anyio
async def test_on_an_asynchronous_function():
    """In the other colour too."""
    sync = flaky(failures=1)

    @timed("op")
    async def function():
        return sync()

    with use(host_of("op", {"retry": {"backoff": "1ms"}, "cached": {"ttl": 5}})):
        assert [await function(), await function()] == ["p", "p"]
        assert handle(function).cache.stats().hits == 1


def test_on_a_generator():
    """And for streams, which are kept when they were read to their end."""

    @timed("op")
    def function():
        yield from "ab"

    with use(host_of("op", {"cached": True})):
        assert [*function(), *function()] == [*"abab"]
        assert handle(function).cache.stats().hits == 1


def test_only_decorated_functions_have_a_pipeline():
    """A function without any decorator of ours is left alone."""
    name = f"{__name__}.flaky.<locals>.answer"
    with use(host_of(name, {"retry": {"backoff": "1ms"}})):
        with pytest.raises(ConnectionError):
            flaky(failures=1)()
        assert cached(flaky(failures=1))() == "p"


def test_by_the_name_of_the_function_or_of_its_figures():
    """Whichever is configured; the name its calls are counted under comes first."""
    function = timed("op")(flaky(failures=0))
    name = f"{__name__}.flaky.<locals>.answer"
    both = {name: {"retry": True}, "op": {"cached": True}}
    with use(Host(settings=Settings(policies={name: {"retry": True}}))):
        assert kinds(function) == ["timed", "retry"]
    with use(Host(settings=Settings(policies=both))):
        assert kinds(function) == ["timed", "cached"]


def test_always_in_canonical_order():
    """However they are written down, and whichever of them decorates the function."""
    for written in (timed("op"), retry(name="op"), rate_limited("9/s")):
        function = written(flaky(failures=0))
        operation = handle(function).operation
        with use(host_of(operation, ALL)):
            assert kinds(function) == CANONICAL


def test_decorators_keep_the_order_they_were_written_in():
    """A configured policy goes in front of the first that belongs further in."""
    function = cached(timed("op")(flaky(failures=0)))
    with use(host_of("op", {"retry": True, "circuit_breaker": True})):
        assert kinds(function) == ["cached", "timed", "retry", "circuit_breaker"]


def test_a_decorator_keeps_its_own_options():
    """What is written at the function comes first; configuration only fills in."""
    own = cached(ttl=7)
    function = timed("op")(own(flaky(failures=0)))
    with use(host_of("op", {"cached": {"ttl": 5}, "retry": True})):
        assert kinds(function) == ["timed", "cached", "retry"]
        assert handle(function).pipeline[1] is own


def test_options_are_read_as_people_write_them():
    """Shares, times and rates."""
    function = timed("op")(flaky(failures=0))
    without_timed = {kind: options for kind, options in ALL.items() if kind != "timed"}
    with use(host_of("op", without_timed)):
        _, _, cache, _, tries, places, limit, _, time = handle(function).pipeline
        assert places.options.bounds == (2, 16)
        assert time.limits.total == 30
        assert cache.options.ttl == 30 * 86400
        assert (tries.options.attempts, tries.options.budget) == (4, 0.8)
        assert limit.limits.rates[0][0].limit == 500


def test_methods():
    """By the name of the method in its class."""

    class Agent:
        @timed
        def ask(self, question):
            return question

    agent = Agent()
    with use(host_of(Agent.ask.__module__ + "." + Agent.ask.__qualname__, {"cached": True})):
        assert [agent.ask(1), agent.ask(1)] == [1, 1]
        assert handle(agent.ask).cache.stats().hits == 1


def test_behind_a_foreign_decorator():
    """They are put on once: on the pipeline further in."""

    def foreign(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    inner = timed("op")(flaky(failures=0))
    outer = timed("op")(foreign(inner))
    with use(host_of("op", {"retry": True})):
        assert kinds(inner) == ["timed", "retry"]
        assert kinds(outer) == ["timed"]


def test_what_is_disabled_is_disabled():
    """Configured policies are no exception, nor are those with `enabled = false`."""
    policies = {"op": {"retry": {"backoff": "1ms"}}}
    off = Host(settings=Settings(enabled=False, policies=policies))
    for host in (off, host_of("op", {"retry": {"enabled": False}})):
        with use(host), pytest.raises(ConnectionError):
            timed("op")(flaky(failures=1))()


def test_changed_while_the_program_runs():
    """From the next call on; what stays the same keeps its state."""
    calls = []
    function = timed("op")(lambda: calls.append(1))
    with use(host_of("op", {"cached": {"ttl": 5}})):
        function()
        configure(policies={"op": {"retry": True}, "other": {"timed": True}})
        assert kinds(function) == ["timed", "cached", "retry"]
        function()
        assert len(calls) == 1
        configure(policies={"op": {"cached": {"ttl": 6}}})
        function()
        assert len(calls) == 2
        configure(policies={"op": {"cached": False, "retry": False}})
        function()
        assert len(calls) == 3
        assert kinds(function) == ["timed"]


def test_a_bad_change_changes_nothing():
    """The policies there are stay at work."""
    function = timed("op")(flaky(failures=0))
    with use(host_of("op", {"cached": True})) as host:
        before = host.settings
        with pytest.raises(ConfigurationError, match="no such policy"):
            configure(policies={"op": {"cache": True}})
        assert host.settings is before
        assert kinds(function) == ["timed", "cached"]


def test_a_named_policy_is_shared():
    """Two operations keep one limit together."""
    limit = {"rate_limited": {"requests": "1/min", "on_limit": "raise", "name": "upstream"}}
    first, second = (timed(name)(flaky(failures=0)) for name in ("first", "second"))
    with use(
        Host(clock=FakeClock(), settings=Settings(policies={"first": limit, "second": limit}))
    ):
        first()
        with pytest.raises(agentperf.RateLimitExceeded):
            second()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("retri = true", r":2: policies\.op\.retri: no such policy; did you mean 'retry'"),
        ("zzz = true", "no such policy; known: timed, budgeted, fallback, cached"),
        ("\nretry = {attemps = 4}", ":3: .*no such option of retry; did you mean 'attempts'"),
        ("retry.zzz = 4", "no such option of retry; known: on, attempts"),
        ("retry = {attempts = 0}", r"policies\.op\.retry\.attempts: attempts=0: "),
        ("[policies.op.cached]\nname = 'x'\nttl = 'soon'", ":4: .*ttl='soon' is not a duration"),
        ("rate_limited = true", ":2: .*rate_limited needs a limit"),
        ("rate_limited = {requests = 'many'}", "requests='many' is not a rate"),
        ("cached = {name = ''}", r"policies\.op\.cached\.name: name=''"),
        ("cached = {function = 1}", "no such option of cached"),
    ],
)
def test_mistakes_are_told_when_the_host_is_made(tmp_path, text, says):
    """With the file, the line, the key and what may have been meant."""
    (tmp_path / "agentperf.toml").write_text(f"[policies.op]\n{text}\n", encoding="utf-8")
    settings = load({}, tmp_path)
    with pytest.raises(ConfigurationError, match=f"agentperf.toml.*{says}"):
        Host(settings=settings)


def test_a_policy_that_does_not_fit_the_function(tmp_path):
    """Is told at the call, which is when the two meet."""
    (tmp_path / "agentperf.toml").write_text("\npolicies.op.cached.ignore = 'nobody'\n")
    function = timed("op")(flaky(failures=0))
    says = r"agentperf.toml:2: policies.op.cached: .*nobody"
    with use(Host(settings=load({}, tmp_path))), pytest.raises(ConfigurationError, match=says):
        function()


def test_the_file_reaches_hosts_without_settings(tmp_path, monkeypatch):
    """A host that is given its settings reads nothing."""
    monkeypatch.chdir(tmp_path)
    text = '[tool.agentperf.policies]\nop = {cached = {ttl = "1h"}}\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    function = timed("op")(flaky(failures=0))
    with use(Host()):
        assert kinds(function) == ["timed", "cached"]
    with use(Host(settings=Settings())):
        assert kinds(function) == ["timed"]


@pytest.mark.parametrize(
    ("kind", "example"),
    [("retry", '{"attempts": 4}'), ("rate_limited", '{"requests": "500/min"}')],
)
def test_a_value_in_place_of_options(kind, example):
    """Is refused with options of that very policy."""
    with pytest.raises(ConfigurationError, match=re.escape(example)):
        Settings(policies={"app.search": {kind: 4}})


def test_a_budget_by_configuration():
    """Holds for what the function calls."""

    @timed("step")
    def step():
        return 1

    @timed("agent")
    def agent():
        return [step() for _ in range(5)]

    with use(host_of("agent", {"budgeted": {"calls": 2}})):
        assert kinds(agent) == ["timed", "budgeted"]
        with pytest.raises(agentperf.BudgetExceeded):
            agent()


def test_a_policy_that_can_not_serve_the_function():
    """Is told with the place where it is configured."""
    function = timed("op")(lambda: 1)
    with use(host_of("op", {"hedged": True})), pytest.raises(ConfigurationError, match="hedged: "):
        function()


def test_there_is_an_example_for_every_policy():
    """And it can be used."""
    assert _EXAMPLES.keys() == DECORATORS.keys()
    for kind, example in _EXAMPLES.items():
        Host(settings=Settings(policies={"app.search": {kind: json.loads(example)}}))


def test_what_a_decorator_takes_by_position_is_a_list():
    """As a file can say it: values that answer."""
    answer = flaky(1)
    operation = handle(timed(answer)).operation
    decorated = timed(answer)
    with use(host_of(operation, {"fallback": {"targets": ["later"]}})):
        assert [decorated(), decorated()] == ["later", "p"]
    with pytest.raises(ConfigurationError, match=r"fallback\.targets: targets='later': a list"):
        host_of(operation, {"fallback": {"targets": "later"}})
