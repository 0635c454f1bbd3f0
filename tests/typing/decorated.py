"""Decorated functions keep their exact types; checked by mypy and pyright, never run.

Each `type: ignore` stands on a call that must be refused: an ignore without an error is an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, ParamSpec, Protocol, TypeVar, assert_type, overload

import agentperf
from agentperf import cached, stack, timed

T = TypeVar("T")
P = ParamSpec("P")

upstream = stack(timed("op", slow="2s"), cached(ttl="5m"))


# -- the four shapes, bare, called and stacked ----------------------------------------------------


@timed
def plain(a: int, *, b: str = "") -> list[str]:
    """Bare."""
    return [b] * a


@timed("op")
@cached(ttl=60, ignore="b")
async def coroutine(a: int, *, b: str = "") -> list[str]:
    """Called, one upon the other."""
    return [b] * a


@upstream
def generator(a: int) -> Generator[int, str, bytes]:
    """Through a stack."""
    sent = yield a
    return sent.encode()


@cached
async def async_generator(a: int) -> AsyncGenerator[int, str]:
    """Bare."""
    yield a


@timed
def iterator(a: int) -> Iterator[int]:
    """A stream, as most people write its type."""
    yield a


@timed
async def async_iterator(a: int) -> AsyncIterator[int]:
    """The same, asynchronous."""
    yield a


@agentperf.invalidates("item:{a}")
async def writer(a: int) -> None:
    """A function that changes what is cached."""


@cached(tags=lambda a: [f"item:{a}"])
def reader(a: int) -> str:
    """Tags that come from a callable."""
    return str(a)


async def caches() -> None:
    """A cache gives what its function computes."""
    await writer(1)
    assert_type(reader(1), str)
    cache = agentperf.Cache("10m")
    assert_type(cache.get_or_compute("a", lambda: 1), int)
    assert_type(await cache.aget_or_compute("a", lambda: coroutine(1)), list[str])


async def shapes() -> None:
    """All arguments and results are as they were written."""
    assert_type(plain(1, b="x"), list[str])
    assert_type(await coroutine(1), list[str])
    assert_type(generator(1), Generator[int, str, bytes])
    assert_type(async_generator(1), AsyncGenerator[int, str])
    assert_type(iterator(1), Iterator[int])
    async for item in async_iterator(1):
        assert_type(item, int)


async def wrong_calls() -> None:
    """And what was wrong without a decorator is wrong with one."""
    plain("1")  # type: ignore[arg-type]
    plain(1, "x")  # type: ignore[call-arg]
    plain(1, c="x")  # type: ignore[call-arg]
    plain()  # type: ignore[call-arg]
    await coroutine(1, b=2)  # type: ignore[arg-type]
    await plain(1)  # type: ignore[misc]
    generator(None)  # type: ignore[arg-type]
    for _ in async_generator(1):  # type: ignore[attr-defined]
        pass


# -- policies that need an argument ---------------------------------------------------------------


@agentperf.fallback([], "none", on=(ConnectionError, LookupError))
@agentperf.fallback(
    agentperf.Link(on=(agentperf.Remedy.ELSEWHERE, OSError), a=2),
    on=agentperf.Fault.QUOTA,
    resume=lambda items, a: {"a": a + len(items)},
)
@agentperf.bulkhead(8, queue=20, adaptive=(2, 32))
@agentperf.timeout("30s", gap=5)
def guarded(a: int) -> list[str]:
    """Above each other."""
    return [str(a)]


@agentperf.timeout(first_item="5s")
async def guarded_stream(a: int) -> AsyncIterator[int]:
    """A stream."""
    yield a


async def guards() -> None:
    """Types are as they were written, also of what the handle gives."""
    assert_type(guarded(1), list[str])
    async for item in guarded_stream(1):
        assert_type(item, int)
    assert_type(agentperf.handle(guarded).bulkhead.stats().limit, int)
    guarded("1")  # type: ignore[arg-type]
    agentperf.bulkhead("8")  # type: ignore[arg-type]
    agentperf.timeout(total=b"5")  # type: ignore[arg-type]


# -- methods --------------------------------------------------------------------------------------


class Agent:
    """One method of each kind."""

    @timed
    def method(self, x: int) -> str:
        """Bare."""
        return str(x)

    @cached(ttl=1)
    async def amethod(self, x: int) -> str:
        """Called."""
        return str(x)

    @classmethod
    @upstream
    def of_class(cls, x: int) -> Agent:
        """Stacked."""
        return cls()

    @timed
    @classmethod
    def above(cls, x: int) -> Agent:
        """Above the class method."""
        return cls()

    @staticmethod
    @timed
    def static(x: int) -> int:
        """Bare."""
        return x

    @property
    @timed
    def title(self) -> str:
        """Beneath a property."""
        return ""

    @cached_property
    @timed
    def once(self) -> bytes:
        """Beneath a cached property."""
        return b""


class Special(Agent):
    """An override that fits."""

    @timed
    def method(self, x: int) -> str:
        """Call the one beneath."""
        return super().method(x)


async def methods(agent: Agent) -> None:
    """`self` is bound, and everything else is as it was written."""
    assert_type(agent.method(1), str)
    assert_type(Agent.method(agent, 1), str)
    assert_type(await agent.amethod(1), str)
    assert_type(Agent.of_class(1), Agent)
    assert_type(agent.above(1), Agent)
    assert_type(agent.static(1), int)
    assert_type(agent.title, str)
    assert_type(agent.once, bytes)
    agent.method("1")  # type: ignore[arg-type]
    agent.static()  # type: ignore[call-arg]


class Runs(Protocol):
    """What an agent can do."""

    def method(self, x: int) -> str:
        """Run."""
        ...


fulfilled: Runs = Agent()


@dataclass
class Record:
    """A dataclass keeps its methods."""

    name: str

    @timed
    def greet(self, other: Record) -> str:
        """Name both."""
        return self.name + other.name


assert_type(Record("a").greet(Record("b")), str)


# -- overloads, generics, parameter specifications ------------------------------------------------


@overload
def answer(question: str, *, many: None = None) -> str: ...
@overload
def answer(question: str, *, many: int) -> list[str]: ...
@timed
def answer(question: str, *, many: int | None = None) -> str | list[str]:
    """One or many."""
    return question if many is None else [question] * many


@timed
def first(items: list[T]) -> T:
    """Generic."""
    return items[0]


class Box(Generic[T]):
    """A generic class."""

    def __init__(self, item: T) -> None:
        self.item = item

    @cached(ttl=1)
    def get(self) -> T:
        """Give it."""
        return self.item


def passing_on(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate whatever comes."""
    return timed(stack(cached(ttl=1))(function))


@passing_on
def passed_on(a: int, *, b: str) -> float:
    """Twice decorated."""
    return a + len(b)


def generics() -> None:
    """Type variables are solved at the call, as without a decorator."""
    assert_type(answer("?"), str)
    assert_type(answer("?", many=3), list[str])
    assert_type(first([1]), int)
    assert_type(first(["a"]), str)
    assert_type(Box(b"x").get(), bytes)
    assert_type(passed_on(1, b="x"), float)
    answer("?", many="3")  # type: ignore[call-overload]
    first(1)  # type: ignore[arg-type]
    passed_on(1)  # type: ignore[call-arg]


# -- beneath other decorators ---------------------------------------------------------------------


@contextmanager
@timed
def opened(name: str) -> Iterator[int]:
    """A context manager."""
    yield len(name)


@asynccontextmanager
@timed
async def aopened(name: str) -> AsyncIterator[int]:
    """An asynchronous one."""
    yield len(name)


async def managers() -> None:
    """What they give is known."""
    with opened("x") as number:
        assert_type(number, int)
    async with aopened("x") as number:
        assert_type(number, int)


def other_callables() -> None:
    """Lambdas and functions at hand."""
    assert_type(timed(len)([1]), int)
    double: Callable[[int], int] = timed(lambda x: 2 * x)
    assert_type(double(1), int)


@agentperf.budgeted(usd=0.5, deadline="2m")
def within(a: int) -> str:
    """A budget for each call."""
    return str(a)


@agentperf.hedged
async def raced(a: int) -> str:
    """Bare."""
    return str(a)


@agentperf.hedged("300ms", extra=2)
async def raced_stream(a: int) -> AsyncIterator[int]:
    """A stream."""
    yield a


async def budgets_and_hedges() -> None:
    """What they give, and what a budget can be asked."""
    assert_type(within(1), str)
    assert_type(await raced(1), str)
    async for item in raced_stream(1):
        assert_type(item, int)
    with agentperf.budget(calls=1) as budget:
        assert_type(budget, agentperf.Budget)
        assert_type(budget.spent, agentperf.Usage)
        assert_type(budget.remaining(), dict[str, float])
    agentperf.budgeted(calls="1")  # type: ignore[arg-type]
    agentperf.hedged(extra="1")  # type: ignore[call-overload]
    await raced("1")  # type: ignore[arg-type]


# -- wrong options --------------------------------------------------------------------------------


def wrong_options() -> None:
    """Options are typed too."""
    timed(slow=[1])  # type: ignore[call-overload]
    timed(memory="yes")  # type: ignore[call-overload]
    timed(nam="op")  # type: ignore[call-overload]
    cached(ttl=60, copy="always")  # type: ignore[call-overload]
    cached(ttl=60, scope="planet")  # type: ignore[call-overload]
    stack(len)  # type: ignore[arg-type]
    timed("op")(3)  # type: ignore[type-var]
    agentperf.record(input_tokens="1")  # type: ignore[arg-type]


agentperf.tmied(3)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
