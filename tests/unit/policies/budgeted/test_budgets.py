"""Budgets, as their users meet them: limits, nesting, shapes, threads, tasks."""

from __future__ import annotations

import contextlib
import contextvars
import pickle
import threading

import anyio
import pytest

import agentperf
from agentperf import (
    BudgetExceeded,
    CallTimeout,
    ConfigurationError,
    Usage,
    budget,
    budgeted,
    cached,
    record,
    retry,
    timed,
)
from agentperf.events import BudgetEnded, CallRefused, CallRepeated, CallTimedOut
from agentperf.testing import FakeClock, delay, fail, faulty, fresh_host, recorded


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@timed("leaf")
def leaf(tokens: int = 10, usd: float = 0.1) -> str:
    """Spend what is said."""
    record(input_tokens=tokens, cost_usd=usd)
    return "done"


@timed("aleaf")
async def aleaf(tokens: int = 10) -> str:
    """The same, awaited."""
    await anyio.lowlevel.checkpoint()
    record(input_tokens=tokens)
    return "done"


@timed("agent")
def agent(steps: int) -> int:
    """Call the leaf so many times."""
    for _ in range(steps):
        leaf()
    return steps


# -- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "made", "spent", "allowed"),
    [
        ({"usd": 0.3}, 3, 0.3, 0.3),
        ({"usd": 0.25}, 3, 0.3, 0.25),
        ({"tokens": 30}, 3, 30, 30),
        ({"tokens": 21}, 3, 30, 21),
        ({"calls": 3}, 3, 3, 3),
    ],
)
def test_a_call_beyond_a_limit_is_refused(clock, limit, made, spent, allowed):
    """Money is added up exactly: three dimes are thirty cents."""
    with budget(**limit) as mine:
        with pytest.raises(BudgetExceeded) as caught:
            agent(9)
        assert mine.calls == made
    error = caught.value
    assert (error.policy, error.policy_name) == ("budgeted", "budget")
    assert (error.limit, error.spent, error.allowed) == (*limit, spent, allowed)
    assert "budget 'budget'" in str(error)


def test_every_error_pickles(clock):
    """With all that it says."""
    with budget(calls=1, name="mine"), pytest.raises(BudgetExceeded) as caught:
        agent(2)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert vars(copy) == vars(caught.value)
    assert (copy.policy_name, copy.limit) == ("mine", "calls")


def test_what_was_spent_can_be_read(clock):
    """In all, by operation, and what is left."""
    with budget(usd=1, tokens=100, calls=9, deadline="1m") as mine:
        agent(2)
        with agentperf.measure("plan"):
            record(output_tokens=5)
        record(output_tokens=1)
        clock.advance(20)
    assert mine.spent == Usage(20, 6, 0, 0.2)
    assert mine.by_operation() == {
        "leaf": Usage(20, 0, 0, 0.2),
        "plan": Usage(0, 5),
        "budget": Usage(0, 1),
    }
    assert mine.remaining() == {"usd": 0.8, "tokens": 74, "calls": 7, "seconds": 40}
    assert mine.calls == 2
    assert "0.8 usd" in repr(mine)


def test_without_a_limit_it_only_adds_up(clock):
    """And can be asked what is left of the budgets around it."""
    with budget(calls=5), budget() as mine:
        agent(3)
    assert (mine.calls, mine.spent.input_tokens) == (3, 30)
    assert mine.remaining() == {"calls": 2}


def test_operations_that_only_call_others_do_not_count(clock):
    """However deep: calls are those that have no call inside."""

    @timed
    def outer() -> None:
        agent(2)
        agent(1)

    with budget() as mine:
        outer()
        assert mine.calls == 3
        leaf()
        assert mine.calls == 4


def test_a_hit_spends_nothing_and_attempts_count_each(clock):
    """What is refused is the call that would really be made."""
    answer = cached(leaf)
    with budget(calls=1) as mine:
        assert [answer(), answer(), answer()] == ["done"] * 3
        with pytest.raises(BudgetExceeded):
            answer(11)
    assert (mine.calls, mine.spent.input_tokens) == (1, 10)
    shaky = retry(faulty(leaf, fail(ConnectionError), repeat=True))
    with budget(calls=2) as mine, pytest.raises(BudgetExceeded):
        shaky()
    assert mine.calls == 2


def test_a_refusal_leaves_limits_and_breakers_alone(clock):
    """A permit goes back, and the upstream is not to blame."""
    work = agentperf.rate_limited("5/min")(
        agentperf.circuit_breaker(window=1, minimum_calls=1)(leaf)
    )
    with budget(calls=1):
        work()
        for _ in range(3):
            with pytest.raises(BudgetExceeded):
                work()
    handle = agentperf.handle(work)
    assert handle.limiter.remaining()["requests"] == 4
    assert handle.breaker.state() == "closed"


def test_refusals_and_the_end_are_told(clock):
    """Under the operation that was refused, and with all that was spent."""
    with recorded(CallRefused, BudgetEnded) as log:
        with pytest.raises(BudgetExceeded):
            budgeted(calls=2)(agent)(3)
        clock.advance(1)
    refused, ended = log
    assert (refused.operation, refused.policy, refused.name) == ("leaf", "budgeted", "agent")
    assert (ended.operation, ended.name, ended.calls) == ("agent", "agent", 2)
    assert ended.usage == Usage(20, cost_usd=0.2)


def test_money_that_nobody_can_count_is_said_once(clock, caplog):
    """Tokens without a price in a budget of dollars."""
    with budget(usd=1):
        for _ in range(3):
            timed(lambda: record(input_tokens=5))()
    assert caplog.text.count("budget.cost_unknown") == 1
    caplog.clear()
    with budget(tokens=100):
        timed(lambda: record(input_tokens=5))()
    assert not caplog.text


# -- prompts ----------------------------------------------------------------------------------


@timed("ask")
def ask(prompt: str, model: str = "gpt-4o-mini") -> str:
    """Spend nothing that is told."""
    return prompt[:1]


def test_a_prompt_that_is_too_long_is_refused_beforehand(clock):
    """It alone would break the budget; nothing is spent, and a shorter one fits."""
    with budget(tokens=50) as mine:
        with pytest.raises(BudgetExceeded, match="50 of 50 tokens left; the call needs about"):
            ask("many words " * 100)
        assert ask("few words") == "f"
    assert mine.calls == 1


def test_a_prompt_that_is_too_dear_is_refused_beforehand(clock):
    """By the price of the model, where it is known."""
    with budget(usd=0.0001) as mine:
        with pytest.raises(BudgetExceeded) as caught:
            ask("many words " * 1000)
        assert caught.value.limit == "usd"
        assert ask("many words " * 1000, model="nobody-knows") == "m"
        assert ask("few words") == "f"
    assert mine.calls == 2


def test_prompts_of_calls_under_way_are_spoken_for(clock):
    """Until the call ends; then what it really spent counts."""
    seen = []

    @timed
    def slow(prompt: str) -> None:
        seen.append(mine.remaining()["tokens"])
        record(input_tokens=3)

    with budget(tokens=1000) as mine:
        slow("many words " * 50)
        seen.append(mine.remaining()["tokens"])
    assert seen[0] < 950
    assert seen[1] == 997


def test_an_operation_that_calls_another_keeps_nothing_for_itself(clock):
    """The inner call takes over what was kept for the outer one."""

    @timed
    def outer(prompt: str) -> str:
        return ask(prompt)

    text = "many words " * 50
    with budget(tokens=150) as mine:
        assert outer(text) == "m"
        assert mine.calls == 1
        assert mine.remaining()["tokens"] == 150


def test_a_wrong_call_is_wrong_as_ever(clock):
    """The function's own TypeError."""
    with budget(tokens=100), pytest.raises(TypeError, match="argument"):
        ask(nothing=1)


# -- nesting ----------------------------------------------------------------------------------


def test_the_inner_budget_can_only_narrow(clock):
    """And what is spent inside counts in both."""
    with budget(calls=3, name="outer") as outer:
        with budget(calls=2, name="inner") as inner, pytest.raises(BudgetExceeded) as caught:
            agent(9)
        assert caught.value.policy_name == "inner"
        with budget(calls=100, name="wide") as wide, pytest.raises(BudgetExceeded) as caught:
            agent(9)
        assert caught.value.policy_name == "outer"
    assert (outer.calls, inner.calls, wide.calls) == (3, 2, 1)
    assert outer.spent.input_tokens == 30


def test_a_call_that_opens_a_budget_counts_once_outside(clock):
    """Its place outside is taken over by the first call inside."""

    @timed
    def step() -> None:
        with budget(calls=1):
            leaf()

    with budget() as mine:
        step()
        step()
    assert mine.calls == 2


def test_every_call_has_a_budget_of_its_own(clock):
    """A decorated function can be called again."""
    work = budgeted(calls=2)(agent)
    assert [work(2), work(2)] == [2, 2]
    with pytest.raises(BudgetExceeded):
        work(3)


# -- deadlines --------------------------------------------------------------------------------


def test_a_synchronous_call_does_not_begin_after_the_deadline(clock):
    """One that began before runs to its end."""
    slow = timed(lambda: clock.advance(7))
    with budget(deadline=5) as mine:
        slow()
        with pytest.raises(BudgetExceeded) as caught:
            slow()
    assert (caught.value.limit, caught.value.spent, caught.value.allowed) == ("deadline", 7, 5)
    assert mine.calls == 1


def test_a_pause_of_a_synchronous_call_ends_at_the_deadline(clock):
    """Nobody would wait for the next attempt."""
    began = clock.now()
    shaky = retry(faulty(leaf, delay(30)))
    with budget(deadline=5, name="mine"), pytest.raises(CallTimeout, match="'mine'") as caught:
        shaky()
    assert clock.now() - began == 5
    assert (caught.value.policy, caught.value.limit, caught.value.seconds) == (
        "budgeted",
        "deadline",
        5,
    )
    with agentperf.use(agentperf.Host(clock=clock)):
        assert faulty(leaf, delay(30))() == "done"


@contextlib.contextmanager
def cut_off(clock, seconds):
    """Expect a wait to end with the budget's time, and its error to say so."""
    began = clock.now()
    with pytest.raises(CallTimeout, match="'mine'") as caught:
        yield
    assert (caught.value.policy, caught.value.limit) == ("budgeted", "deadline")
    assert clock.now() - began == seconds


@pytest.mark.parametrize(
    "policy", [agentperf.rate_limited(concurrency=1), agentperf.bulkhead(1, queue=5)]
)
def test_a_synchronous_wait_for_a_place_ends_at_the_deadline(clock, policy):
    """Nobody knows when one comes free; the line is left in order, and nobody is to blame."""

    @agentperf.circuit_breaker(window=1, minimum_calls=1)
    @policy
    def stream():
        return (number for number in (1, 2))

    held = stream()
    assert next(held) == 1
    with budget(deadline=5, name="mine"), cut_off(clock, 5):
        stream()
    held.close()
    assert list(stream()) == [1, 2]


def test_a_wait_for_a_rate_that_is_longer_than_the_deadline(clock):
    """Nobody has to wait for it to know."""
    limited = agentperf.rate_limited("1/min", name="slow")(leaf)
    limited()
    began = clock.now()
    with budget(deadline=50):
        with pytest.raises(
            agentperf.RateLimitExceeded, match=r"waits 50 s more \(deadline=50 s of budgeted 'b"
        ) as no:
            limited()
        assert no.value.retry_after == 60
        assert clock.now() == began
    with budget(deadline=70):
        assert limited() == "done"
    assert clock.now() - began == 60


@pytest.mark.anyio
async def test_an_asynchronous_wait_that_is_longer_than_the_deadline():
    """The same."""
    clock = FakeClock(autojump=True)
    with fresh_host(clock):
        limited = agentperf.rate_limited("1/min")(aleaf)
        await limited()
        began = clock.now()
        with budget(deadline=50), pytest.raises(agentperf.RateLimitExceeded):
            await limited()
        with pytest.raises(agentperf.RateLimitExceeded):
            await agentperf.timeout(50)(limited)()
        assert clock.now() == began


@pytest.mark.anyio
async def test_an_asynchronous_call_is_cut_off_at_the_deadline():
    """Also one that is far down, and one that only waits for its turn."""
    clock = FakeClock(autojump=True)

    async def sleep() -> None:
        await agentperf.retry(faulty(aleaf, delay(30)))()

    with fresh_host(clock):
        began = clock.now()
        with pytest.raises(CallTimeout, match="'work' with its deadline of 5 s"):
            await budgeted(deadline=5, name="work")(sleep)()
        assert clock.now() - began == 5


@pytest.mark.anyio
async def test_an_asynchronous_wait_for_a_place_ends_at_the_deadline(clock):
    """And the next one in the line is none the worse."""
    gate = anyio.Event()
    limited = agentperf.rate_limited(concurrency=1)(gate.wait)

    async def in_time() -> None:
        with budget(deadline=5), pytest.raises(CallTimeout):
            await limited()

    async with anyio.create_task_group() as tasks:
        for work in (limited, in_time, limited):
            tasks.start_soon(work)
            await anyio.wait_all_tasks_blocked()
        assert agentperf.handle(limited).limiter.waiting() == 2
        await clock.aadvance(5)
        assert agentperf.handle(limited).limiter.waiting() == 1
        gate.set()
    assert agentperf.handle(limited).limiter.remaining() == {"concurrency": 1}


@pytest.mark.anyio
async def test_an_inner_deadline_only_shrinks():
    """The outer one holds inside too."""
    clock = FakeClock(autojump=True)
    slow = timed(faulty(aleaf, delay(30), repeat=True))
    with fresh_host(clock):
        began = clock.now()
        with budget(deadline=5, name="outer"), budget(deadline=20) as mine:
            assert mine.remaining() == {"seconds": 5}
            with pytest.raises(CallTimeout, match="'outer'"):
                await slow()
        with (
            budget(deadline=20),
            budget(deadline=2, name="inner"),
            pytest.raises(CallTimeout, match="'inner'"),
        ):
            await slow()
        assert clock.now() - began == 7


@pytest.mark.anyio
async def test_a_timeout_of_the_function_itself_passes_through():
    """As it is, where the deadline was not to blame."""
    own = CallTimeout("mine")
    with fresh_host(FakeClock(autojump=True)), budget(deadline=60):
        with pytest.raises(CallTimeout) as caught:
            await timed(faulty(aleaf, fail(own)))()
        assert caught.value is own


def test_a_stream_ends_before_the_item_that_would_be_too_late(clock):
    """Closed, not failed: whoever produced the items is not to blame."""
    closed = []

    @timed("words")
    def words():
        try:
            for word in "abc":
                record(output_tokens=1)
                yield word
        finally:
            closed.append(True)

    got = []
    with budget(deadline=5) as mine, pytest.raises(CallTimeout, match="cut the call off"):  # noqa: PT012
        for word in words():
            got.append(word)
            clock.advance(3)
    assert (got, closed) == (["a", "b"], [True])
    assert agentperf.stats()["words"].closed == 1
    assert mine.spent.output_tokens == 2


@pytest.mark.anyio
async def test_an_asynchronous_stream_is_cut_off_while_it_waits():
    """In the middle of an item, and closed."""
    clock = FakeClock(autojump=True)

    @timed("words")
    async def words():
        for word in "abc":
            yield word
            await agentperf_sleep(3)

    async def agentperf_sleep(seconds: float) -> None:
        await faulty(aleaf, delay(seconds))()

    got = []
    with fresh_host(clock):
        began = clock.now()
        with budget(deadline=5), pytest.raises(CallTimeout, match="cut the call off"):  # noqa: PT012
            async for word in words():
                got.append(word)  # noqa: PERF401 - what came before the error counts
        assert (got, clock.now() - began) == (["a", "b"], 5)
        assert agentperf.stats()["words"].closed == 1


# -- shapes, threads, tasks -------------------------------------------------------------------


def test_a_stream_spends_in_the_budget_it_was_opened_in(clock):
    """Also when it is read later and elsewhere."""

    @retry
    def words():
        for word in "abc":
            record(output_tokens=1)
            yield word

    with budget(calls=1) as mine:
        stream = words()
        next(stream)
        with pytest.raises(BudgetExceeded):
            list(words())
    assert list(stream) == ["b", "c"]
    assert (mine.calls, mine.spent.output_tokens) == (1, 3)


def test_a_budgeted_generator(clock):
    """Its budget lives as long as the stream; the end is told then."""

    @budgeted(calls=2)
    def steps():
        while True:
            yield leaf()

    with recorded(BudgetEnded) as log:
        stream = steps()
        assert [next(stream), next(stream)] == ["done"] * 2
        assert log == []
        with pytest.raises(BudgetExceeded):
            next(stream)
    assert [event.calls for event in log] == [2]


@pytest.mark.anyio
async def test_a_budgeted_async_generator():
    """The same, asynchronous."""

    @budgeted(tokens=20)
    async def steps():
        while True:
            yield await aleaf()

    with fresh_host(FakeClock()):
        got = []
        with pytest.raises(BudgetExceeded):  # noqa: PT012
            async for step in steps():
                got.append(step)  # noqa: PERF401 - what came before the error counts
        assert got == ["done"] * 2


@pytest.mark.anyio
async def test_tasks_share_the_budget_they_were_started_in():
    """Calls are counted exactly, however many run at once."""
    refused = []

    async def one() -> None:
        try:
            await aleaf()
        except BudgetExceeded:
            refused.append(1)

    with fresh_host(FakeClock()), budget(calls=7) as mine:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
    assert (mine.calls, len(refused), mine.spent.input_tokens) == (7, 13, 70)


def test_threads_share_it_with_a_copy_of_the_context(clock):
    """And a thread without one is outside of it."""
    done, refused = [], []

    def work() -> None:
        for _ in range(50):
            try:
                done.append(leaf())
            except BudgetExceeded:
                refused.append(1)

    with budget(calls=100) as mine:
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(4)
        ]
        threads.append(threading.Thread(target=work))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (mine.calls, len(done), len(refused)) == (100, 150, 100)
    assert mine.spent == Usage(1000, cost_usd=10.0)


def test_several_event_loops_share_it(clock):
    """Each in a thread of its own."""

    async def loop() -> None:
        for _ in range(10):
            await aleaf()

    with budget() as mine:
        context = contextvars.copy_context
        threads = [threading.Thread(target=context().run, args=(anyio.run, loop)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (mine.calls, mine.spent.input_tokens) == (30, 300)


@pytest.mark.anyio
async def test_a_cancelled_call_was_made_and_keeps_nothing():
    """It counts, and what was kept for its prompt is free again."""

    @timed
    async def slow(prompt: str) -> None:
        await anyio.sleep_forever()

    with fresh_host(FakeClock()), budget(tokens=1000) as mine:
        with anyio.move_on_after(0):
            await slow("many words " * 20)
        assert mine.remaining() == {"tokens": 1000}
        assert mine.calls == 1


@pytest.mark.anyio
async def test_a_plain_function_that_turns_out_asynchronous_counts_once():
    """The call that found it out is not made twice."""

    def plain():
        return aleaf()

    with fresh_host(FakeClock()), budget() as mine:
        assert await timed(plain)() == "done"
        assert mine.calls == 1


def test_turned_off_it_does_nothing():
    """By the host, by the decorator."""
    with fresh_host(FakeClock(), enabled=False), budget(calls=1):
        assert agent(5) == 5
    with fresh_host(FakeClock()):
        assert budgeted(calls=1, enabled=False)(agent)(5) == 5


def test_who_opens_none_does_not_pay():
    """Pipelines learn of budgets when the first one is opened on their host."""
    with fresh_host(FakeClock()) as host:
        leaf()
        assert not host.bindings.around
        with budget():
            assert host.bindings.around
            with fresh_host(FakeClock()) as inner:
                assert inner.bindings.around


# -- loops ------------------------------------------------------------------------------------


def test_the_same_call_again_and_again_is_refused(clock):
    """With equal arguments, however they are passed, also from a cache."""
    search = cached(timed("search")(lambda query, limit=3: query))
    with budget(max_repeats=2), recorded(CallRepeated) as log:
        search("a")
        search("b")
        search(query="a", limit=3)
        with pytest.raises(BudgetExceeded) as caught:
            search("a")
        search("b")
    assert (caught.value.limit, caught.value.spent, caught.value.allowed) == ("max_repeats", 2, 2)
    assert [(event.operation, event.times, event.limit) for event in log] == [("search", 3, 2)]


def test_attempts_are_not_repetitions(clock):
    """One call, whatever it takes."""
    shaky = retry(faulty(leaf, fail(OSError), fail(OSError)))
    with budget(max_repeats=1):
        assert shaky() == "done"


def test_repetitions_can_be_told_only(clock):
    """Each one too many."""
    with budget(max_repeats=1, on_repeat="tell"), recorded(CallRepeated) as log:
        for _ in range(3):
            leaf()
    assert [event.times for event in log] == [2, 3]


def test_what_has_no_key_is_no_repetition(clock):
    """Nobody can say that it is the same."""
    take = timed(lambda thing: None)
    with budget(max_repeats=1):
        for _ in range(3):
            take(object())


def test_a_method_repeats_by_instance(clock):
    """Another object, another call."""

    class Tool:
        @timed
        def run(self, x: int) -> int:
            return x

    one, other = Tool(), Tool()
    with budget(max_repeats=1):
        one.run(1)
        other.run(1)
        with pytest.raises(BudgetExceeded):
            one.run(1)


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "budgeted needs a limit"),
        ({"usd": 0}, "usd=0.50"),
        ({"usd": "1"}, "usd=0.50"),
        ({"usd": True}, "usd=0.50"),
        ({"usd": float("inf")}, "usd=0.50"),
        ({"tokens": 0}, "tokens=50000"),
        ({"tokens": 1.5}, "tokens=50000"),
        ({"calls": -1}, "calls=30"),
        ({"deadline": "soon"}, "deadline='soon'"),
        ({"deadline": 0}, "deadline=0"),
        ({"max_repeats": 0}, "max_repeats=5"),
        ({"calls": 1, "on_repeat": "raise_"}, "on_repeat='raise_'"),
        ({"calls": 1, "on_repeat": "tell"}, "goes with max_repeats"),
        ({"call": 3}, "did you mean calls=3"),
    ],
)
def test_bad_input(options, message):
    """Names the option and shows a good example."""
    with pytest.raises(ConfigurationError, match=message):
        budgeted(**options)


@pytest.mark.parametrize("given", [lambda: 1, 3])
def test_bare_it_says_what_it_needs(given):
    """With an example."""
    with pytest.raises(ConfigurationError, match=r"@budgeted\(usd=0\.50, calls=30\)"):
        budgeted(given)


def test_a_region_needs_a_name_of_text():
    """As it is shown in errors."""
    with pytest.raises(ConfigurationError, match="name=3"):
        budget(name=3)


def _sync():
    pass


def _stream():
    yield 1


async def _awaited():
    pass


async def _async_stream():
    yield 1


@pytest.mark.parametrize("function", [_sync, _stream, _awaited, _async_stream])
def test_a_region_is_no_decorator(function):
    """A budget for each call is what `budgeted` gives, whatever the shape."""
    for decorate in (budget(calls=2), budget):
        with pytest.raises(ConfigurationError, match=r"write @budgeted\(calls=2\)"):
            decorate(function)


def test_a_region_is_opened_once(clock):
    """Whether a second time was to go on or to begin anew, nobody could say."""
    region = budget(calls=2, name="mine")
    assert repr(region) == "<budget 'mine': to be opened>"
    with region:
        leaf()
    with pytest.raises(ConfigurationError, match=r"'mine' was opened already.*one for each"):
        region.__enter__()
    assert repr(region) == "<budget 'mine': opened>"
    leaf()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"usd": 0}, r"usd=0\.50"),
        ({"deadline": "x"}, "deadline='x'"),
        ({"call": 3}, "did you mean calls=3"),
        ({"foo": 1}, "budget has no option 'foo'; there are usd, tokens"),
    ],
)
def test_bad_input_of_a_region(options, message):
    """Where it is made, not where it is opened."""
    with pytest.raises(ConfigurationError, match=message):
        budget(**options)


def test_a_region_takes_its_limits_by_name():
    """With an example."""
    with pytest.raises(ConfigurationError, match=r"budget\(0\.05\) takes .* by name: budget\("):
        budget(0.05)


@pytest.mark.parametrize(("limit", "kind"), [("tokens", int), ("calls", int), ("usd", float)])
def test_refusals_tell_whole_numbers_of_what_is_counted(clock, limit, kind):
    """Tokens and calls; dollars are fractions."""
    with budget(**{limit: 1}), pytest.raises(BudgetExceeded) as refused:
        agent(99)
    assert type(refused.value.spent) is type(refused.value.allowed) is kind


def test_spending_without_a_measured_operation(clock):
    """Counts for the decorated function that runs; for the budget where there is none."""

    @retry
    def plain():
        record(input_tokens=3)
        with budget(name="inner") as inner:
            record(input_tokens=4)
        return inner.by_operation()

    operation = agentperf.handle(plain).operation
    with budget(name="mine") as mine:
        record(input_tokens=1)
        assert plain() == {operation: Usage(4)}
        leaf(5, 0)
    assert mine.by_operation() == {
        "mine": Usage(1),
        operation: Usage(7),
        "leaf": Usage(5, cost_usd=0.0),
    }


@pytest.mark.anyio
async def test_a_call_that_a_deadline_cuts_off_is_told():
    """So that `recent()` explains it; once, by the budget whose deadline it was."""
    with fresh_host(FakeClock(autojump=True)), recorded(CallTimedOut) as log:
        slow = budgeted(deadline=90)(faulty(aleaf, delay(60)))
        with budget(deadline=5, name="mine"), pytest.raises(CallTimeout):
            await slow()
        (told,) = agentperf.handle(slow).recent()
    (event,) = log
    assert told.event is event
    assert (event.operation, event.name) == (agentperf.handle(slow).operation, "mine")
    assert (event.limit, event.seconds) == ("deadline", 5)


@pytest.mark.anyio
async def test_a_stream_that_a_deadline_cuts_off_is_told(clock):
    """Of either colour."""

    @timed("items")
    def items():
        yield 1
        yield 2

    @timed("aitems")
    async def aitems():
        yield 1
        await anyio.sleep_forever()
        yield 2

    with recorded(CallTimedOut) as log, budget(deadline=5, name="mine"):
        one, other = items(), aitems()
        assert (next(one), await anext(other)) == (1, 1)
        clock.advance(5)
        with pytest.raises(CallTimeout):
            next(one)
        with pytest.raises(CallTimeout):
            await anext(other)
    assert [(event.operation, event.name) for event in log] == [
        ("items", "mine"),
        ("aitems", "mine"),
    ]


def test_a_synchronous_wait_that_a_deadline_cuts_off_is_told(clock):
    """Here the wait for a place."""
    held = agentperf.bulkhead(1, queue=5)(lambda: (number for number in (1, 2)))
    stream = held()
    assert next(stream) == 1
    with recorded(CallTimedOut) as log, budget(deadline=5, name="mine"), cut_off(clock, 5):
        held()
    assert [(event.name, event.limit, event.seconds) for event in log] == [("mine", "deadline", 5)]
    stream.close()
