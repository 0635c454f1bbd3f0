"""Everything that can be called can be decorated and stays what it is."""

from __future__ import annotations

import abc
import asyncio
import contextvars
import copy
import dataclasses
import functools
import gc
import inspect
import multiprocessing
import os
import pickle
import threading
import typing
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentperf import (
    ConfigurationError,
    Host,
    cached,
    configure,
    handle,
    stack,
    stats,
    timed,
    use,
)
from tests.unit._engine import things
from tests.unit._engine.spies import Spy, Through, finish, straight_on

BOTH_WAYS = [timed, timed(), stack(timed(), timed(enabled=False))]


@pytest.fixture(autouse=True)
def _host(fresh_host):
    """Every test on a host of its own."""


# -- methods --------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorator", BOTH_WAYS)
def test_methods_of_all_kinds(decorator):
    """Decorators above and below classmethod and staticmethod, called on class and instance."""

    class Agent:
        def __init__(self, name):
            self.name = name

        @decorator
        def plain(self, x):
            return self.name, x

        @classmethod
        @decorator
        def below_class(cls, x):
            return cls, x

        @decorator
        @classmethod
        def above_class(cls, x):
            return cls, x

        @staticmethod
        @decorator
        def below_static(x):
            return x

        @decorator
        @staticmethod
        def above_static(x):
            return x

        @property
        @decorator
        def title(self):
            return self.name.title()

        @functools.cached_property
        @decorator
        def shout(self):
            return self.name.upper()

        partly = functools.partialmethod(plain, "x")
        decorated_partly = decorator(functools.partialmethod(plain, "y"))

    class Special(Agent):
        pass

    agent = Special("ada")
    assert agent.plain(1) == Agent.plain(agent, 1) == ("ada", 1)
    assert agent.below_class(1) == agent.above_class(1) == (Special, 1)
    assert Agent.below_class(1) == Agent.above_class(1) == (Agent, 1)
    assert agent.below_static(1) == agent.above_static(1) == Agent.above_static(1) == 1
    assert (agent.title, agent.shout) == ("Ada", "ADA")
    assert agent.partly() == ("ada", "x")
    assert agent.decorated_partly() == ("ada", "y")
    assert isinstance(Agent.__dict__["above_class"], classmethod)
    assert isinstance(Agent.__dict__["above_static"], staticmethod)
    prefix = f"{__name__}.test_methods_of_all_kinds.<locals>.Agent."
    assert stats()[prefix + "above_class"].calls == 2
    assert inspect.signature(agent.plain) == inspect.signature(lambda x: x)


def test_overriding_and_super():
    """An override with its own decorator, calling the decorated one beneath."""

    class Base:
        @timed
        def run(self):
            return ["base"]

    class Derived(Base):
        @timed
        def run(self):
            return [*super().run(), "derived"]

    assert Derived().run() == ["base", "derived"]
    assert handle(Base.run).stats().calls == handle(Derived.run).stats().calls == 1


@pytest.mark.parametrize("above", [True, False])
def test_abstract_methods_stay_abstract(above):
    """In either order of decorators."""

    def both(function):
        return timed(abc.abstractmethod(function)) if above else abc.abstractmethod(timed(function))

    class Base(abc.ABC):  # noqa: B024 - its methods are abstract, beneath our decorator
        @both
        def run(self):
            return 1

        @classmethod
        @both
        def make(cls):
            return 2

    class Derived(Base):
        def run(self):
            return super().run()

        @classmethod
        def make(cls):
            return super().make()

    assert Base.__abstractmethods__ == {"run", "make"}
    with pytest.raises(TypeError, match="abstract"):
        Base()
    assert (Derived().run(), Derived.make()) == (1, 2)


def test_protocol_classes():
    """A protocol with decorated methods is fulfilled by those who have them."""

    @typing.runtime_checkable
    class Runs(typing.Protocol):
        @timed
        def run(self) -> int: ...

    class Agent:
        @timed
        def run(self):
            return 1

    class Explicit(Runs):
        @timed
        def run(self):
            return 2

    assert isinstance(Agent(), Runs)
    assert not isinstance(object(), Runs)
    assert Explicit().run() == 2


@pytest.mark.parametrize("options", [{}, {"slots": True}, {"frozen": True}])
def test_dataclass_methods(options):
    """Whether or not the class is made anew for its slots."""

    @dataclasses.dataclass(**options)
    class Agent:
        name: str

        @timed
        def run(self):
            return self.name

    assert Agent("ada").run() == "ada"
    assert dataclasses.fields(Agent)[0].name == "name"


def test_named_tuples_and_slots():
    """Instances without a dictionary are instances too."""

    class Point(typing.NamedTuple("Point", [("x", int), ("y", int)])):
        __slots__ = ()

        @timed
        def norm(self):
            return self.x + self.y

    assert Point(1, 2).norm() == 3


def test_a_method_decorated_on_its_instance():
    """`self.run = timed(self.run)`: bound, and gone with its instance."""

    class Agent:
        def __init__(self):
            self.run = timed(self.run)

        def run(self):
            return self

    agent = Agent()
    assert agent.run() is agent
    assert stats()[f"{__name__}.{Agent.run.__qualname__}"].calls == 1


# -- other callables ------------------------------------------------------------------------------


def test_lambdas_nested_functions_and_builtins():
    """By their qualified names."""

    def outer():
        def inner(x):
            return x

        return inner

    assert timed(lambda x: x)(1) == 1
    assert timed(outer())(2) == 2
    assert timed(len)([1, 2]) == 2
    assert timed(str.upper)("a") == "A"
    assert timed([3].index)(3) == 0
    assert timed(dict.fromkeys)([1]) == {1: None}
    assert {"builtins.len", "builtins.str.upper"} <= set(stats())


def test_partials():
    """A partial stays a partial, is counted under its function's name, and keeps its colour."""
    partial = timed(functools.partial(things.power, exponent=2))
    assert isinstance(partial, functools.partial)
    assert partial(3) == partial(base=3) == 9
    assert partial(3, exponent=1) == 3
    assert inspect.signature(partial) == inspect.signature(
        functools.partial(things.power, exponent=2)
    )
    assert stats()[f"{things.__name__}.power"].calls == 3

    async def later(x):
        return x

    later = timed(functools.partial(later, 5))
    assert inspect.iscoroutinefunction(later)
    assert finish(later) == 5


class Plain:
    """A callable object."""

    def __init__(self):
        self.attribute = 1

    def __call__(self, x):
        """Return it."""
        return [x]


class Async(Plain):
    """Awaited."""

    async def __call__(self, x):
        """Return it."""
        return [x]


class Generating(Plain):
    """A stream."""

    def __call__(self, x):
        """Give it."""
        yield x


class AsyncGenerating(Plain):
    """An async stream."""

    async def __call__(self, x):
        """Give it."""
        yield x


@pytest.mark.parametrize("kind", [Plain, Async, Generating, AsyncGenerating])
@pytest.mark.parametrize("partly", [False, True])
def test_callable_objects_of_every_shape(kind, partly):
    """They stay what they are in every respect, and frameworks see the colour of their call."""
    spy, thing = Spy(), kind()
    wrapper = timed(spy(functools.partial(thing, 1) if partly else thing))
    assert finish(wrapper if partly else lambda: wrapper(1)) == [1]
    assert spy.endings() == ["done"]
    if not partly:
        assert isinstance(wrapper, kind)
        assert wrapper.attribute == 1
        wrapper.attribute = 2
        assert thing.attribute == 2
        assert inspect.signature(wrapper) == inspect.signature(thing)
        for colour in (
            inspect.iscoroutinefunction,
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
        ):
            assert colour(wrapper.__call__) == colour(thing.__call__)
    assert len(handle(wrapper).pipeline) == 2


def through_pickle(thing):
    """Send it away and receive it."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - our own


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, through_pickle])
def test_copies_of_a_decorated_object(copier):
    """A copy is decorated too, and its object is a copy."""
    thing = timed("thing")(things.Multiplier(3))
    twin = copier(thing)
    assert twin(2) == thing(2) == 6
    assert [type(p).__name__ for p in handle(twin).pipeline] == ["Timed"]
    assert stats()["thing"].calls == 2
    twin.factor = 5
    assert thing.factor == 3


def test_copies_of_a_decorated_function():
    """A function is copied as Python copies functions: it is the same one."""
    assert copy.copy(things.square) is things.square
    assert copy.deepcopy([things.square]) == [things.square]


@pytest.mark.parametrize("name", ["square", "cube", "double"])
def test_pickling_by_name(name):
    """Decorated functions and objects of a module travel, and so do bound methods."""
    thing = getattr(things, name)
    assert through_pickle(thing)(3) == thing(3)
    run = things.Agent().run
    assert through_pickle(run)(3) == 4


# A test runner has threads of its own; newer Pythons warn of forking beside them.
with_fork = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@with_fork
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_other_processes(method):
    """Decorated functions are called there, and each process counts for itself."""
    things.square(1)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(things.square, [1, 2]) == [1, 4]
        assert pool.map(things.double, [3]) == [6]
        value, calls, process = pool.apply(things.squared_and_counted, (4,))
    assert (value, calls) == (16, 3)
    assert process != os.getpid()
    assert handle(things.square).stats().calls == 1


@with_fork
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_begins_anew(fresh_host):
    """No counts, no subscribers, no deadlock in the child; the parent's are as they were."""
    fresh_host.subscribe(lambda event: None)
    things.square(1)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        things.square(2)
        os.write(writer, b"%d" % handle(things.square).stats().calls)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 9) == b"1"
    assert handle(things.square).stats().calls == 1
    os.close(reader)
    os.close(writer)


# -- what can't be decorated ----------------------------------------------------------------------


class SomeClass:
    """A class."""


@pytest.mark.parametrize("decorator", [timed(), Spy(), Through(run=straight_on), stack(timed())])
@pytest.mark.parametrize(
    ("thing", "hint"),
    [
        (SomeClass, "SomeClass is a class; decorate its methods"),
        (int, "int is a class"),
        (property(len), "below @property"),
        (functools.cached_property(len), "below @property"),
        (42, "42 can't be called; decorate a function"),
        (None, "None can't be called"),
        ("text", "can't be called"),
    ],
)
def test_what_cannot_be_decorated_says_so(decorator, thing, hint):
    """With what to do instead, before any call."""
    with pytest.raises(ConfigurationError, match=hint):
        decorator(thing)


@pytest.mark.parametrize("thing", [SomeClass, property(len)])
def test_bare_use_on_what_cannot_be_decorated(thing):
    """Without parentheses the hint is the same."""
    with pytest.raises(ConfigurationError, match=r"decorate its methods|below @property"):
        timed(thing)


def test_the_example_is_of_the_policy_at_hand():
    """It would be odd to be told of another one."""
    with pytest.raises(ConfigurationError, match=r"@timed\(\.\.\.\)"):
        timed(slow=1)(42)


# -- comings and goings ---------------------------------------------------------------------------


def local():
    """A local function that was called."""

    @timed
    @cached(ttl=60)
    def function(x):
        return x

    function(1)
    return function


def calling_itself():
    """A local function that knows its own wrapper."""

    @timed
    def function(n):
        return function(n - 1) if n else 0

    function(2)
    return function


def on_its_instance():
    """A wrapper that its own instance keeps."""

    class Agent:
        def __init__(self):
            self.run = timed(self.run)

        def run(self):
            return 1

    agent = Agent()
    agent.run()
    return agent


def with_super():
    """A method that knows its own class."""

    class Agent:
        @timed
        def run(self):
            return super().__repr__()

    Agent().run()
    return Agent


@pytest.mark.parametrize("make", [local, calling_itself, on_its_instance, with_super])
@pytest.mark.parametrize("on_default_host", [False, True])
def test_what_nobody_holds_is_collected(make, on_default_host):
    """Local functions leave nothing behind; on the default host not even those in a cycle."""
    context = contextvars.Context()  # in which nobody has chosen a host
    if on_default_host:
        reference = context.run(lambda: weakref.ref(make()))
    else:
        with use(Host()):
            reference = weakref.ref(make())
    gc.collect()
    assert reference() is None


def test_a_local_function_goes_without_the_collector(fresh_host):
    """Its step goes as soon as the last reference does."""
    gc.collect()
    gc.disable()
    try:
        reference = weakref.ref(local())
        assert reference() is None
        assert fresh_host.bindings.steps == {}
    finally:
        gc.enable()


def test_a_host_that_nobody_holds_is_collected():
    """Functions don't keep the hosts they were called on."""
    host = Host()
    with use(host):
        things.square(1)
    reference = weakref.ref(host)
    del host
    gc.collect()
    assert reference() is None


def test_a_notebook_cell_that_is_run_again():
    """The same name defined twice: figures go on, a named cache may change its options."""
    cell = """
from agentperf import cached, timed

@timed
@cached(ttl={ttl}, name="notebook-cell")
def answer(x):
    return x, {ttl}
"""
    namespace = {"__name__": "notebook"}
    for ttl in (1, 1, 2):
        exec(cell.format(ttl=ttl), namespace)  # noqa: S102 - that is what a notebook does
        assert namespace["answer"](1)[0] == 1
    assert namespace["answer"](1) == (1, 2)
    assert stats()["notebook.answer"].calls == 4


def test_a_named_cache_with_other_options_while_the_first_lives():
    """That is a mistake, and says so."""
    first = cached(ttl=1, name="shared")(lambda x: x)
    second = cached(ttl=2, name="shared")(lambda x: x)
    first(1)
    with pytest.raises(ConfigurationError, match="name='shared' is in use with other options"):
        second(1)


# -- functions that turn out to be asynchronous ---------------------------------------------------


def from_elsewhere(function):
    """A foreign decorator that hides the colour."""

    def wrapper(*args):
        return function(*args)

    return wrapper


async def late(x):
    """Answer later."""
    await asyncio.sleep(0)
    return x


@pytest.mark.parametrize("policy", [timed("op"), stack(timed("op"), Through(run=straight_on))])
def test_a_plain_function_that_returns_an_awaitable(policy):
    """It is driven as asynchronous from the first call on, and counted once per call."""
    spy = Spy()
    wrapper = policy(spy(from_elsewhere(late)))

    async def main():
        return [await wrapper(i) for i in range(3)]

    assert asyncio.run(main()) == [0, 1, 2]
    assert stats()["op"].calls == 3
    assert spy.endings() == ["dropped", "done", "done", "done"]


def test_errors_and_cancellation_of_such_a_function():
    """They are those of the awaited call."""
    spy = Spy()

    async def bad():
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(wait_for(spy(from_elsewhere(bad))()))
    assert spy.endings()[-1] == "failed"


async def wait_for(awaitable):
    """Await it."""
    return await awaitable


def test_a_function_that_gives_an_awaitable_only_sometimes():
    """What it gives at once is fine to await too."""
    wrapper = timed("op")(lambda x: late(x) if x else x)

    async def main():
        return [wrapper(0), await wrapper(1), await wrapper(0)]

    assert asyncio.run(main()) == [0, 1, 0]
    assert stats()["op"].calls == 3


def test_threads_that_find_out_at_once(fresh_host):
    """Each gets its own answer, and every call counts."""
    wrapper = timed("op")(from_elsewhere(late))
    together = threading.Barrier(4)

    def call(x):
        together.wait(10)
        return asyncio.run(wait_for(wrapper(x)))

    contexts = [contextvars.copy_context() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda i: contexts[i].run(call, i), range(4))
        assert list(answers) == [0, 1, 2, 3]
    assert stats()["op"].calls == 4


def test_turned_async_on_every_host():
    """What one host has learnt, another finds out by itself."""
    wrapper = timed("op")(from_elsewhere(late))
    for _ in range(2):
        with use(Host()) as host:
            assert asyncio.run(wait_for(wrapper(1))) == 1
            assert host.stats()["op"].calls == 1


def test_a_disabled_one_is_called_as_it_is():
    """Nobody looks at what it returns."""
    configure(enabled=False)
    awaitable = timed(from_elsewhere(late))(1)
    assert inspect.iscoroutine(awaitable)
    assert asyncio.run(awaitable) == 1
