"""Breakers, as their users meet them."""

from __future__ import annotations

import re
import threading

import anyio
import pytest

import agentperf
from agentperf.errors import CircuitOpen, ConfigurationError
from agentperf.events import CallRefused, CircuitChanged
from agentperf.policies.circuit_breaker import circuit_breaker
from agentperf.testing import FakeClock, cut, fail, faulty, fresh_host, recorded


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def echo(value=1):
    """Give back what came in."""
    return value


def opened(clock, **options):
    """Return a function whose breaker has just opened; its upstream works again."""
    work = circuit_breaker(minimum_calls=4, **options)(faulty(echo, *[fail(ConnectionError)] * 4))
    for _ in range(4):
        with pytest.raises(ConnectionError):
            work()
    return work


def test_an_open_circuit_refuses_with_all_there_is_to_know(clock):
    """Policy, name, last failure and when to come back."""
    work = opened(clock, name="search")
    with pytest.raises(CircuitOpen, match="'search' is open after ConnectionError") as caught:
        work()
    assert (caught.value.policy, caught.value.policy_name) == ("circuit_breaker", "search")
    assert 25 < caught.value.retry_after < 35


def test_it_recovers(clock):
    """After its time probes go through and close it; every change is told with its numbers."""
    with recorded(CircuitChanged) as log:
        work = opened(clock, probes=2)
        clock.advance(40)
        assert [work(n) for n in range(5)] == [0, 1, 2, 3, 4]
    changes = log.of(CircuitChanged)
    assert [(c.old, c.new) for c in changes] == [
        ("closed", "open"),
        ("open", "half-open"),
        ("half-open", "closed"),
    ]
    assert (changes[0].calls, changes[0].failure_rate) == (4, 1.0)


def test_a_round_of_probes_that_ends_with_a_success_may_still_fail(clock):
    """Two of three failed: it stays open for its time, counted from now."""
    script = [*[fail(ConnectionError)] * 4, fail(ConnectionError), fail(ConnectionError)]
    work = circuit_breaker(minimum_calls=4, probes=3)(faulty(echo, *script))
    for _ in range(4):
        with pytest.raises(ConnectionError):
            work()
    clock.advance(40)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            work()
    assert work() == 1
    with pytest.raises(CircuitOpen) as caught:
        work()
    assert caught.value.retry_after > 50


@pytest.mark.parametrize("error", [TypeError, type("Bad", (Exception,), {"status_code": 404})])
def test_the_callers_own_faults_do_not_count(clock, error):
    """A wrong request says nothing of the upstream."""
    work = circuit_breaker(minimum_calls=2)(faulty(echo, fail(error()), repeat=True))
    for _ in range(20):
        with pytest.raises(error):
            work()


def test_a_fallback_answers_for_a_refused_call(clock):
    """It gets the call's arguments; errors of the function itself still pass through."""
    work = opened(clock, fallback=lambda value=1: ("instead", value))
    assert work(5) == ("instead", 5)


@pytest.mark.anyio
async def test_a_fallback_may_be_asynchronous():
    """For an asynchronous function."""
    with fresh_host(FakeClock()):

        async def instead():
            return "instead"

        async def work():
            raise ConnectionError

        guarded = circuit_breaker(minimum_calls=1, window=1, fallback=instead)(work)
        with pytest.raises(ConnectionError):
            await guarded()
        assert await guarded() == "instead"


def test_a_stream_counts_when_it_ends(clock):
    """A failure in the middle counts, a reader that leaves does not."""

    def count():
        yield from range(3)

    work = circuit_breaker(minimum_calls=2, window=2)(faulty(count, cut(1), cut(2), repeat=True))
    for _ in range(5):
        reading = work()
        next(reading)
        reading.close()
        reading = work()
        next(reading)
        with pytest.raises(LookupError):
            reading.throw(LookupError())
    for _ in range(2):
        with pytest.raises(ConnectionError):
            list(work())
    with pytest.raises(CircuitOpen):
        next(work())


@pytest.mark.anyio
async def test_a_cancelled_call_leaves_no_trace():
    """Neither a failure nor a success, and a cancelled probe does not wedge the breaker."""
    clock = FakeClock()
    with fresh_host(clock):
        hang, broken = True, True

        @circuit_breaker(minimum_calls=2, window=2, probes=1)
        async def work():
            if broken:
                raise ConnectionError
            if hang:
                await anyio.sleep_forever()
            return "fine"

        for _ in range(2):
            with pytest.raises(ConnectionError):
                await work()
        clock.advance(60)
        broken = False
        with anyio.move_on_after(0.01):
            await work()
        hang = False
        assert await work() == "fine"


def test_each_value_of_by_has_a_circuit_of_its_own(clock):
    """One broken host does not shut out another."""

    @circuit_breaker(minimum_calls=2, window=2, by="host")
    def get(host):
        if host == "bad":
            raise ConnectionError
        return host

    for _ in range(2):
        with pytest.raises(ConnectionError):
            get("bad")
    with pytest.raises(CircuitOpen):
        get("bad")
    assert get("good") == "good"


def test_calls_run_side_by_side(clock):
    """No lock is held while the function runs."""
    together = threading.Barrier(5, timeout=5)
    work = circuit_breaker(lambda: together.wait() >= 0)
    host = agentperf._engine.current.current_host()
    results = []

    def call():
        with agentperf.use(host):
            results.append(work())

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 5


def test_a_refusal_is_told(clock):
    """Subscribers learn which policy refused."""
    work = opened(clock, name="search")
    with recorded(CallRefused) as log, pytest.raises(CircuitOpen):
        work()
    assert [(event.policy, event.name) for event in log.of(CallRefused)] == [
        ("circuit_breaker", "search")
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"failure_rate": 0}, "failure_rate=0"),
        ({"failure_rate": 50}, "failure_rate=50"),
        ({"slow_rate": 0.5}, "go together"),
        ({"slow_rate": 2, "slow_after": 1}, "slow_rate=2"),
        ({"window": 0}, "window=0"),
        ({"window": "often"}, "window='often'"),
        ({"minimum_calls": 0}, "minimum_calls=0"),
        ({"open_for": "0s"}, "open_for='0s'"),
        ({"probes": -1}, "probes=-1"),
        ({"fallback": 5}, "fallback=5"),
        ({"on": 5}, "on=5"),
        ({"failed_if": 5}, "failed_if=5"),
        ({"failed_if": bool}, "failed_if="),
        ({"slow_first_item": 1}, "go together"),
        ({"slow_rate": 0.5, "slow_first_item": 0}, "slow_first_item=0"),
    ],
)
def test_bad_options_are_refused_before_any_call(options, said):
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=said):
        circuit_breaker(**options)


def test_a_misspelt_by_is_found_at_decoration():
    """With the names there are."""
    with pytest.raises(ConfigurationError, match="usr"):
        circuit_breaker(by="usr")(lambda user: user)


def test_the_states_of_all_circuits(clock):
    """With `by=`, the handle says which are open without being asked for each."""
    work = circuit_breaker(by="model")(lambda model, text: text)
    breaker = agentperf.handle(work).breaker
    assert repr(breaker) == "<breaker: no circuit yet>"
    work("small", "a")
    work("large", "a")
    breaker.force("forced-open", "large", "any")
    assert breaker.states() == {"small": "closed", "large": "forced-open"}
    assert repr(breaker) == "<breaker: 1 closed, 1 forced-open>"
    assert agentperf.handle(circuit_breaker(lambda: 1)).breaker.states() == {None: "closed"}


def refused(breaker, function):
    """Decorate a function and refuse its calls."""
    decorated = breaker(function)
    agentperf.handle(decorated).breaker.force("forced-open")
    return decorated


@pytest.mark.anyio
async def test_a_fallback_for_streams_may_be_anything_that_gives_items():
    """A list, a generator, an asynchronous one, or a coroutine of either."""

    async def late():
        return ["a", "b"]

    async def one_by_one():
        yield "a"
        yield "b"

    async def stream():
        yield "never"

    def sync_stream():
        yield "never"

    with fresh_host(FakeClock()):
        for fallback in (lambda: ["a", "b"], lambda: iter("ab"), late, one_by_one):
            reading = refused(circuit_breaker(fallback=fallback), stream)()
            assert [item async for item in reading] == ["a", "b"]
        listed = refused(circuit_breaker(fallback=lambda: ["a", "b"]), sync_stream)
        assert list(listed()) == ["a", "b"]
        for one in (3, "ab", b"ab"):
            with pytest.raises(ConfigurationError, match="one by one"):
                list(refused(circuit_breaker(fallback=lambda one=one: one), sync_stream)())


def test_an_asynchronous_fallback_of_a_synchronous_function_is_refused(clock):
    """Nobody could await it; it is not left lying about either."""

    async def late(x):
        return x

    with pytest.raises(ConfigurationError, match="must not be asynchronous"):
        refused(circuit_breaker(fallback=late), lambda x: x)(1)


def test_that_shows_before_the_circuit_opens(clock):
    """At the first call, as a plain function may give what is awaited; of generators at once."""

    async def late(x):
        return x

    def letters(x):
        yield x

    with pytest.raises(ConfigurationError, match="must not be asynchronous"):
        circuit_breaker(fallback=late)(lambda x: x)(1)
    with pytest.raises(ConfigurationError, match="must not be asynchronous"):
        circuit_breaker(fallback=late)(letters)


async def _late(x):
    return x


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"failed_if": _late}, "failed_if=_late: an async function"),
        ({"on": _late}, "on=_late: an async function"),
        ({"by": _late}, "by=_late: an async function"),
        ({"failed_if": lambda: True}, "failed_if=<lambda>: it is called with one argument"),
        ({"enabled": lambda x: True}, "enabled=<lambda>: it is called with no argument"),
    ],
)
def test_callables_that_could_never_answer(options, said):
    """Told before anything is decorated."""
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        circuit_breaker(**options)


def test_a_fallback_that_takes_other_arguments():
    """Told at decoration."""
    with pytest.raises(ConfigurationError, match="no parameters for"):
        circuit_breaker(fallback=lambda: "sorry")(lambda question: question)


@pytest.mark.parametrize(
    ("by", "shown"),
    [
        ("n", 1),
        ("{model}", "small"),
        ("{model}/{n}", ("small", 1)),
        (("n", "model"), (1, "small")),
        (("model", "scope.tenant"), ("small", "acme")),
        ("scope.tenant", "acme"),
        (lambda model, n: [n, 0.5], (1, 0.5)),
    ],
)
def test_circuits_stand_under_the_values_that_they_belong_to(clock, by, shown):
    """As the user knows them, whatever they are kept under."""
    work = circuit_breaker(by=by)(lambda model, n: n)
    with agentperf.scope(tenant="acme"):
        work("small", 1)
    assert agentperf.handle(work).breaker.states() == {shown: "closed"}


def test_circuits_of_equal_values(clock):
    """True and 1 are two of them."""
    work = circuit_breaker(by="n")(lambda n: n)
    work(1)
    work(True)
    assert agentperf.handle(work).breaker.states() == {1: "closed", ("bool", True): "closed"}


def test_on_says_which_errors_count(clock):
    """Those, and no others: in place of the classifier."""
    script = [*[fail(ConnectionError)] * 4, *[fail(KeyError)] * 2]
    work = circuit_breaker(on=KeyError, failure_rate=1.0, minimum_calls=2, window=2)(
        faulty(echo, *script)
    )
    for _ in range(4):
        with pytest.raises(ConnectionError):
            work()
    for _ in range(2):
        with pytest.raises(KeyError):
            work()
    with pytest.raises(CircuitOpen, match="after KeyError"):
        work()


def test_answers_may_count_as_failures(clock, caplog):
    """The caller gets them all the same; a predicate that fails finds no fault."""
    work = circuit_breaker(failed_if=lambda answer: answer < 0, minimum_calls=2, window=2)(echo)
    assert [work(-1), work(-1)] == [-1, -1]
    with pytest.raises(CircuitOpen, match="failed_if"):
        work(1)
    careless = circuit_breaker(failed_if=lambda answer: answer.status, minimum_calls=1)(echo)
    assert [careless(1), careless(1)] == [1, 1]
    assert "policy.failed_if_failed operation=" in caplog.text


def test_streams_may_be_slow_by_their_first_item(clock):
    """However quick the rest is; a reader that takes its time later doesn't make it slow."""

    def count(wait):
        clock.advance(wait)
        yield from range(3)

    work = circuit_breaker(slow_rate=1.0, slow_first_item=2, minimum_calls=2, window=2)(count)
    for _ in range(4):
        for _ in work(1):
            clock.advance(60)
    assert agentperf.handle(work).breaker.tally().slow == 0
    with recorded(CircuitChanged) as log:
        for _ in range(2):
            list(work(3))
    assert [change.reason for change in log.of(CircuitChanged)] == ["too many slow calls"]


@pytest.mark.parametrize("limit", ["slow_first_item", "slow_after"])
@pytest.mark.parametrize("primed", [False, True])
def test_the_readers_pauses_are_not_the_upstreams(clock, limit, primed):
    """Neither before the first item is asked for, nor between items, nor before the end."""

    def numbers(wait):
        clock.advance(wait)
        yield from range(3)
        clock.advance(wait)

    def opened(wait):
        return numbers(wait)

    work = circuit_breaker(slow_rate=1.0, minimum_calls=2, window=2, **{limit: 2})(opened)
    if primed:  # whoever waits for the first item before the reader does
        work = agentperf.fallback("never")(work)
    for _ in range(4):
        stream = work(1)
        clock.advance(60)
        for _ in stream:
            clock.advance(60)
    assert agentperf.handle(work).breaker.tally().slow == 0
    for _ in range(2):
        list(work(3))
    assert agentperf.handle(work).breaker.state() == "open"


@pytest.mark.anyio
async def test_the_pauses_of_an_awaiting_reader_are_not_the_upstreams(clock):
    """The same on event loops."""

    async def numbers():
        clock.advance(1)
        yield 1

    async def opened():
        return numbers()

    breaking = circuit_breaker(slow_rate=1.0, slow_first_item=2, slow_after=2, minimum_calls=1)
    work = breaking(opened)
    stream = await work()
    clock.advance(60)
    async for _ in stream:
        clock.advance(60)
    assert agentperf.handle(work).breaker.tally().slow == 0


def test_a_half_open_circuit_says_when_to_come_back(clock):
    """At the latest, that is: when it gives up waiting for its probes."""

    def work():
        yield 1
        raise ConnectionError

    work = circuit_breaker(minimum_calls=1, window=1, probes=1)(work)
    with pytest.raises(ConnectionError):
        list(work())
    clock.advance(60)
    probe = work()
    next(probe)
    clock.advance(10)
    with pytest.raises(CircuitOpen, match="half-open") as caught:
        next(work())
    assert caught.value.retry_after == pytest.approx(50)


def test_a_breaker_is_tripped_and_reset_by_hand(clock):
    """As if it had happened by itself."""
    work = circuit_breaker(echo)
    breaker = agentperf.handle(work).breaker
    breaker.trip()
    assert breaker.state() == "open"
    with pytest.raises(CircuitOpen, match="is open by request;"):
        work()
    breaker.reset()
    assert work() == 1
