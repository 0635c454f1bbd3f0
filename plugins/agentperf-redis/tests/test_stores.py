"""The contract and the promises of the Redis stores, on real servers."""

from __future__ import annotations

import uuid

import anyio
import pytest
import redis
from agentperf_redis import AsyncRedisStore, RedisStore
from agentperf_redis.decisions import script
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agentperf
from agentperf.abc import Decision
from agentperf.policies.budgeted.shared.decision import MICRO, SHARED_BUDGET
from agentperf.policies.circuit_breaker.shared.decision import CIRCUIT
from agentperf.policies.circuit_breaker.shared.decision import Terms as CircuitTerms
from agentperf.policies.rate_limited.bucket import Limits
from agentperf.policies.rate_limited.shared.decision import GCRA, Terms
from agentperf.testing.conformance import StoreConformance
from agentperf.testing.conformance import stores as suite
from tests.services import running
from tests.unit.policies.budgeted.shared.sequences import sequences as budget_sequences
from tests.unit.policies.circuit_breaker.shared import sequences as circuits
from tests.unit.policies.rate_limited.shared.sequences import LIMITS, lives, question

PATIENT = "socket_timeout=10&socket_connect_timeout=10&timeout=10"

COUNT = """
local before = record and record[1] or 0
return {before + arguments[1]}, {before, before + arguments[1]}
"""


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request):
    """Run each kind of server."""
    with running(request.param) as service:
        yield service


@pytest.fixture
def address(server):
    """Return an address with a prefix of the test's own."""
    return f"redis://127.0.0.1:{server.port}/0?prefix={uuid.uuid4().hex}:&{PATIENT}"


class OfBoth(StoreConformance):
    """The suite for stores, with decisions that run on the server."""

    ttl = 0.3
    kind = RedisStore
    count = Decision("count", suite.COUNT.apply, {"lua": COUNT})
    remember = Decision("remember", suite.REMEMBER.apply, {"lua": "return arguments, record or {}"})
    forget = Decision("forget", suite.FORGET.apply, {"lua": "return nil, record or {}"})
    time = Decision("time", suite.TIME.apply, {"lua": "return record, {now}"})
    fail = None

    @pytest.fixture(autouse=True)
    def _address(self, address):
        self.address = address

    def make(self):
        """Make an empty one."""
        return self.kind(self.address)


class TestBlocking(OfBoth):
    """The one for calls that block."""


class TestAwaited(OfBoth):
    """The one that is awaited."""

    kind = AsyncRedisStore


def test_a_decision_without_lua_is_refused(address):
    """A server can't call Python."""
    with pytest.raises(agentperf.ConfigurationError, match="no script"):
        RedisStore(address).decide(suite.COUNT, "key", (1.0,), 60)


def test_an_error_names_the_option_that_the_user_wrote():
    """The address is checked as that of a store."""
    with pytest.raises(agentperf.ConfigurationError, match=r"^store='redis"):
        RedisStore("redis://localhost?sockets=3")


def test_a_failed_script_changes_nothing(address):
    """A script that breaks leaves the record as it was."""
    store = RedisStore(address)
    store.decide(OfBoth.count, "key", (1.0,), 60)
    broken = Decision("broken", suite.FAIL.apply, {"lua": "error('no')"})
    with pytest.raises(redis.exceptions.ResponseError):
        store.decide(broken, "key", (), 60)
    assert store.decide(OfBoth.count, "key", (1.0,), 60) == (1.0, 2.0)


def test_records_expire(server, address):
    """What nobody asks for any more is not kept."""
    RedisStore(address).decide(OfBoth.count, "key", (1.0,), 12)
    with redis.Redis(port=server.port) as looking:
        (name,) = looking.keys(f"{address.partition('prefix=')[2].partition('&')[0]}*")
        assert 11_000 < looking.pttl(name) <= 12_000


def test_a_server_that_forgot_its_scripts_is_told_them_again(server, address):
    """It forgets them when it starts anew."""
    store = RedisStore(address)
    store.decide(OfBoth.count, "key", (1.0,), 60)
    with redis.Redis(port=server.port) as client:
        client.script_flush()
    assert store.decide(OfBoth.count, "key", (1.0,), 60) == (1.0, 2.0)
    assert anyio.run(AsyncRedisStore(address).decide, OfBoth.count, "key", (1.0,), 60.0) == (2, 3)


IN_LUA = """
local function decide(record, arguments, now)
%s
end
local function written(numbers)
  local texts = {}
  for at, number in ipairs(numbers) do texts[at] = string.format('%%.17g', number) end
  return texts
end
local numbers, at = {}, 0
for index, text in ipairs(ARGV) do numbers[index] = tonumber(text) end
local length, record, arguments = numbers[2], nil, {}
if length >= 0 then
  record = {}
  for place = 1, length do record[place] = numbers[2 + place] end
end
for place = 3 + math.max(0, length), #numbers do arguments[#arguments + 1] = numbers[place] end
local after, answer = decide(record, arguments, numbers[1])
return {written(after), written(answer)}
"""
"""Calls the Lua of a decision at a time of the test's own choice."""


class InLua:
    """Takes decisions in Python, and sees at the end that the server would have taken the same."""

    def __init__(self, server):
        self.client = redis.Redis(port=server.port)
        self.pipeline = self.client.pipeline(transaction=False)
        self.record, self.expected = None, []

    def __enter__(self):
        return self

    def decide(self, decision, arguments, now):
        """Return Python's answer."""
        record = self.record
        told = [-1] if record is None else [len(record), *record]
        numbers = [repr(float(number)) for number in (now, *told, *arguments)]
        self.pipeline.eval(IN_LUA % decision.scripts["lua"], 0, *numbers)
        self.record, answer = decision.apply(record, arguments, now)
        self.expected.append((self.record, answer))
        return answer

    def __exit__(self, kind, *_):
        with self.client:
            if kind is None:
                for both, replies in zip(self.expected, self.pipeline.execute(), strict=True):
                    assert tuple(tuple(map(float, reply)) for reply in replies) == both


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(LIMITS), lives())
def test_lua_decides_as_python_does(server, limits, life):
    """On any sequence of calls, settlements, lessons and jumps of time, to the last bit."""
    terms, now = Terms(limits), 1_700_000_000.0
    with InLua(server) as lua:
        for passed, *step in life:
            now += passed / 1_000_000
            lua.decide(*question(terms, *step), now)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(circuits.RULES), circuits.sequences())
def test_lua_decides_on_circuits_as_python_does(server, rules, sequence):
    """On any sequence of calls, probes, requests and jumps of time, to the last bit."""
    terms, answer, now = CircuitTerms(rules), None, 1_700_000_000.0
    with InLua(server) as lua:
        for passed, behind, request, jitter, told in sequence:
            now += passed
            known = circuits.knowledge(answer, behind)
            answer = lua.decide(CIRCUIT, terms.arguments(known, request, jitter, told), now)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(budget_sequences())
def test_lua_keeps_budgets_as_python_does(server, sequence):
    """On any sequence of calls, told or not, from any processes, to the last bit."""
    now = 1_700_000_000.0
    with InLua(server) as lua:
        for passed, arguments in sequence:
            now += passed / MICRO
            lua.decide(SHARED_BUDGET, arguments, now)


def test_what_runs_on_the_server_is_the_decision_in_its_frame(address):
    """On the server's own record and time, the answers are those of Python at that time."""
    terms, store = Terms(Limits(LIMITS[0].rates)), RedisStore(address)
    assert GCRA.scripts["lua"] in script(GCRA.scripts["lua"])
    answers = [store.decide(GCRA, "k", terms.arguments((1, 0, 0, 0)), 60) for _ in range(8)]
    assert [answer[0] == 0 for answer in answers] == [True] * 7 + [False]
    assert 0 < answers[-1][0] <= 60_000_000 / 7
