"""The conformance suites pass what keeps the contract, and find what breaks it."""

from __future__ import annotations

import subprocess
import sys
from posixpath import normpath
from types import ModuleType

import anyio
import pytest

from agentperf.abc import (
    AsyncCacheBackend,
    AsyncStore,
    CacheBackend,
    Exporter,
    Instrumentor,
    Tokenizer,
)
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock
from agentperf.testing.conformance import (
    BackendConformance,
    ExporterConformance,
    InstrumentorConformance,
    StoreConformance,
    TokenizerConformance,
)
from agentperf.testing.conformance.stores import MemoryStore


class Moved:
    """Time that the suites move by hand."""

    @property
    def clock(self):
        """The clock, one per test."""
        if not hasattr(self, "_clock"):
            self._clock = FakeClock()
        return self._clock

    def pass_time(self, seconds):
        """Move it."""
        self.clock.advance(seconds)


class AwaitedBackend(AsyncCacheBackend):
    """A backend that is awaited."""

    def __init__(self, inner):
        self.inner = inner

    async def get(self, key):
        """Look."""
        await anyio.lowlevel.checkpoint()
        return self.inner.get(key)

    async def set(self, key, value, ttl=None):
        """Store."""
        self.inner.set(key, value, ttl)

    async def delete(self, key):
        """Remove."""
        return self.inner.delete(key)

    async def clear(self, prefix=""):
        """Remove all that begin so."""
        self.inner.clear(prefix)


class AwaitedStore(AsyncStore):
    """A store that is awaited."""

    def __init__(self, inner):
        self.inner = inner

    async def decide(self, decision, key, arguments, ttl):
        """Decide."""
        await anyio.lowlevel.checkpoint()
        return self.inner.decide(decision, key, arguments, ttl)

    async def delete(self, key):
        """Remove."""
        return self.inner.delete(key)

    async def now(self):
        """Tell the time."""
        return self.inner.now()


class TestMemoryBackend(Moved, BackendConformance):
    """Our own memory."""

    kind = MemoryBackend

    def make(self):
        """Make an empty one."""
        return self.kind(self.clock)


class TestAsyncBackend(Moved, BackendConformance):
    """The other colour, with all the methods that the contract brings."""

    def make(self):
        """Make an empty one."""
        return AwaitedBackend(MemoryBackend(self.clock))


class TestMemoryStore(Moved, StoreConformance):
    """A store in memory."""

    kind = MemoryStore

    def make(self):
        """Make an empty one."""
        return self.kind(self.clock)


class TestAsyncStore(Moved, StoreConformance):
    """The other colour."""

    def make(self):
        """Make an empty one."""
        return AwaitedStore(MemoryStore(self.clock))


class Letters(Tokenizer):
    """Every byte is a token."""

    name = "bytes"
    exact = True

    def count(self, text):
        """Count bytes."""
        return len(text.encode("utf-8", "surrogatepass"))


class TestLetters(TokenizerConformance):
    """The simplest tokenizer there is."""

    kind = Letters

    def make(self):
        """Make one."""
        return self.kind()


class Listing(Exporter):
    """Keeps a line for each event."""

    def __init__(self):
        self.lines = []

    def export(self, batch):
        """Keep lines."""
        self.lines += [f"{noted.at} {noted.event!r}" for noted in batch]


class TestListing(ExporterConformance):
    """An exporter to a list."""

    kind = Listing

    def make(self):
        """Make one."""
        return self.kind()

    def exported(self, exporter):
        """Count the lines."""
        return len(exporter.lines)


library = ModuleType("somelibrary")
library.greet = lambda: "hello"


class Greeting(Instrumentor):
    """Instruments the one function of a library."""

    name = "somelibrary"
    targets = ("somelibrary",)

    def __init__(self):
        self.original = None

    def install(self, module, signals):
        """Patch it."""
        if self.original is None:
            original = self.original = module.greet
            module.greet = lambda: original()  # noqa: PLW0108

    def remove(self):
        """Put it back."""
        if self.original is not None:
            library.greet, self.original = self.original, None


class TestGreeting(InstrumentorConformance):
    """An instrumentor of a library of one function."""

    kind = Greeting

    @pytest.fixture(autouse=True)
    def _library(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "somelibrary", library)

    def make(self):
        """Make one."""
        return self.kind()

    def use(self):
        """Call it."""
        return library.greet()

    def patched(self):
        """Look at what is patched."""
        return library.greet


def failing(suite, kind):
    """Run a suite on a broken implementation; name the checks that fail."""

    class Broken(suite):
        pass

    Broken.kind = kind
    found = set()
    for name in dir(Broken):
        if name.startswith("test_"):
            try:
                getattr(Broken(), name)()
            except Exception:  # noqa: BLE001 - whatever a broken thing does is found
                found.add(name.removeprefix("test_"))
    return found


def broken(base, **members):
    """Make a class with other methods; each gets the base's method to call."""

    def changed(method, original):
        return lambda self, *args, **named: method(
            self, lambda *a, **n: original(self, *a, **n), *args, **named
        )

    methods = {
        name: changed(member, getattr(base, name)) if callable(member) else member
        for name, member in members.items()
    }
    return type(f"Broken{base.__name__}", (base,), methods)


BACKENDS = {
    "loses an empty value": (
        {"get": lambda self, get, key: get(key) or None},
        {"what_was_stored_comes_back", "several_at_once", "storing_only_what_is_absent"},
    ),
    "gives something for nothing": (
        {"get": lambda self, get, key: get(key) or b""},
        {"what_is_not_there", "removing", "time_to_live", "clearing_by_prefix"},
    ),
    "gives no bytes": (
        {"get": lambda self, get, key: None if get(key) is None else bytearray(get(key))},
        {"what_was_stored_comes_back"},
    ),
    "strips line ends": (
        {"set": lambda self, set_, key, value, ttl=None: set_(key, value.strip(), ttl)},
        {"what_was_stored_comes_back"},
    ),
    "keeps the first": (
        {"set": lambda self, set_, key, value, ttl=None: self.add(key, value, ttl)},
        {"storing_again_replaces"},
    ),
    "never expires": (
        {"set": lambda self, set_, key, value, ttl=None: set_(key, value, None)},
        {"time_to_live", "storing_again_replaces_the_time_to_live", "several_at_once"},
    ),
    "always expires": (
        {"set": lambda self, set_, key, value, ttl=None: set_(key, value, ttl or 0.05)},
        {"time_to_live", "storing_again_replaces_the_time_to_live"},
    ),
    "ignores case": (
        {
            "get": lambda self, get, key: get(key.lower()),
            "set": lambda self, set_, key, value, ttl=None: set_(key.lower(), value, ttl),
        },
        {"keys_are_told_apart"},
    ),
    "cuts long keys": (
        {
            "get": lambda self, get, key: get(key[:128]),
            "set": lambda self, set_, key, value, ttl=None: set_(key[:128], value, ttl),
        },
        {"keys_are_told_apart"},
    ),
    "deletes without telling": (
        {"delete": lambda self, delete, key: delete(key) and None},
        {"removing"},
    ),
    "always says deleted": (
        {"delete": lambda self, delete, key: delete(key) or True},
        {"what_is_not_there", "removing", "several_at_once"},
    ),
    "clears everything": (
        {"clear": lambda self, clear, prefix="": clear("")},
        {"clearing_by_prefix"},
    ),
    "clears nothing": (
        {"clear": lambda self, clear, prefix="": None},
        {"clearing_by_prefix", "clearing_everything"},
    ),
    "clears what has the prefix anywhere": (
        {
            "clear": lambda self, clear, prefix="": [
                self.delete(entry.key) for entry in list(self._store) if prefix in entry.key
            ]
        },
        {"clearing_by_prefix"},
    ),
    "makes a file name of the key": (
        {
            "get": lambda self, get, key: get(key.replace("/", "_")),
            "set": lambda self, set_, key, value, ttl=None: set_(key.replace("/", "_"), value, ttl),
        },
        {"keys_are_told_apart"},
    ),
    "leaves out what no file may be called": (
        {
            "get": lambda self, get, key: get(key.replace("|", "")),
            "set": lambda self, set_, key, value, ttl=None: set_(key.replace("|", ""), value, ttl),
        },
        {"keys_are_told_apart"},
    ),
    "tidies its paths": (
        {
            "get": lambda self, get, key: get(normpath(key)),
            "set": lambda self, set_, key, value, ttl=None: set_(normpath(key), value, ttl),
        },
        {"keys_are_told_apart"},
    ),
    "takes the prefix for a pattern": (
        {"clear": lambda self, clear, prefix="": clear(prefix.partition("*")[0])},
        {"clearing_by_prefix"},
    ),
    "adds over what is there": (
        {"add": lambda self, add, key, value, ttl=None: self.set(key, value, ttl) or True},
        {"storing_only_what_is_absent", "threads"},
    ),
    "replaces without comparing": (
        {"replace": lambda self, replace, key, old, new, ttl=None: not self.set(key, new, ttl)},
        {"changing_only_what_is_known"},
    ),
    "removes without comparing": (
        {"delete_if": lambda self, delete_if, key, value: self.delete(key)},
        {"changing_only_what_is_known"},
    ),
    "forgets the ttl of many": (
        {
            "set_many": lambda self, many, values, ttl=None: [
                self.set(key, value) for key, value in values.items()
            ]
        },
        {"several_at_once"},
    ),
    "counts the absent": (
        {
            "delete_many": lambda self, many, keys: many(list(keys)) + 1,
        },
        {"several_at_once"},
    ),
    "can't be closed twice": (
        {"close": lambda self, close: self.__dict__.pop("_store")},
        {"closing_twice"},
    ),
    "mixes up its threads": (
        {"get": lambda self, get, key: self.last, "set": lambda self, s, k, v, t=None: s(k, v, t)},
        {"threads"},
    ),
    "says nothing of itself": ({"shared": None}, {"it_extends_the_contract"}),
    "stores without a guard": (
        {
            "set_if": lambda self, set_if, k, v, ttl=None, **f: (
                self.set(k, v, ttl) or set_if(k, v, **f)
            )
        },
        {"storing_under_a_guard"},
    ),
    "holds the guard for ever": (
        {
            "set_if": lambda self, set_if, k, v, t=None, **f: set_if(
                k, v, t, **f | {"mark_ttl": 1e9}
            )
        },
        {"storing_under_a_guard"},
    ),
    "leaves no mark": (
        {
            "set_if": lambda self, set_if, k, v, t=None, **f: (
                set_if(k, v, t, **f) and self.delete(f["guard"])
            )
        },
        {"storing_under_a_guard"},
    ),
    "stores under a guard for ever": (
        {"set_if": lambda self, set_if, k, v, t=None, **f: set_if(k, v, None, **f)},
        {"storing_under_a_guard"},
    ),
}


@pytest.mark.parametrize("defect", BACKENDS)
def test_defects_of_backends(defect):
    """Each defect is found by the checks that are there for it."""
    members, wanted = BACKENDS[defect]
    assert wanted <= failing(TestMemoryBackend, broken(MemoryBackend, **members))


def test_what_says_atomic_and_is_not():
    """Of several threads that add at once, one may win."""
    from contextlib import suppress
    from threading import Barrier, BrokenBarrierError

    class Torn(MemoryBackend):
        barrier = Barrier(4)

        def add(self, key, value, ttl=None):
            absent = self.get(key) is None
            if key.startswith("race:"):
                with suppress(BrokenBarrierError):
                    self.barrier.wait(5)
            if absent:
                self.set(key, value, ttl)
            return absent

    assert "threads" in failing(TestMemoryBackend, Torn)


def test_what_says_atomic_and_looks_before_it_stores():
    """A guard may be taken over between the two."""
    from time import sleep

    class Torn(MemoryBackend):
        def set_if(self, key, value, ttl=None, *, guard, token, mark, mark_ttl):
            if self.get(guard) != token:
                return False
            if guard.startswith("guard:"):
                sleep(0.002)
            self.set(key, value, ttl)
            return self.replace(guard, token, mark, mark_ttl)

    assert failing(TestMemoryBackend, Torn) == {"taking_a_guard_over"}


STORES = {
    "forgets": (
        {"decide": lambda self, decide, *a: (self.delete(a[1]), decide(*a))[1]},
        {"decisions_build_on_each_other", "time_to_live", "nobody_comes_between"},
    ),
    "rounds": (
        {"decide": lambda self, decide, d, k, a, t: tuple(round(x, 6) for x in decide(d, k, a, t))},
        {"numbers_stay_exact"},
    ),
    "mixes up keys": (
        {"decide": lambda self, decide, d, k, a, t: decide(d, k[:128].lower(), a, t)},
        {"keys_are_told_apart"},
    ),
    "never forgets": (
        {"decide": lambda self, decide, d, k, a, t: decide(d, k, a, 1e9)},
        {"time_to_live"},
    ),
    "doesn't renew": (
        {"decide": lambda self, decide, d, k, a, t: decide(d, k, a, t / 2)},
        {"time_to_live"},
    ),
    "deletes without telling": (
        {"delete": lambda self, delete, key: delete(key) and None},
        {"removing"},
    ),
    "stands still": ({"now": lambda self, now: 7.0}, {"time_is_the_stores", "time_to_live"}),
    "swallows errors": (
        {"decide": lambda self, decide, d, *a: () if d.name == "fail" else decide(d, *a)},
        {"a_failed_decision_changes_nothing"},
    ),
    "says nothing of itself": ({"shared": "yes"}, {"it_extends_the_contract"}),
}


@pytest.mark.parametrize("defect", STORES)
def test_defects_of_stores(defect):
    """Each defect is found by the checks that are there for it."""
    members, wanted = STORES[defect]
    assert wanted <= failing(TestMemoryStore, broken(MemoryStore, **members))


def test_a_store_without_a_lock():
    """Decisions that are lost between threads are found."""
    import time

    class Torn(MemoryStore):
        def decide(self, decision, key, arguments, ttl):
            record, until = self._records.get(key, (None, 0.0))
            new, answer = decision.apply(record, arguments, self.now())
            time.sleep(0.0001)
            self._records[key] = (new, until)
            return tuple(answer)

    assert "nobody_comes_between" in failing(TestMemoryStore, Torn)


TOKENIZERS = {
    "counts a start token": (
        {"count": lambda self, n, text: n(text) + 1},
        {"nothing_has_no_tokens"},
    ),
    "can't take surrogates": (
        {"count": lambda self, n, text: len(text.encode())},
        {"every_text_has_a_count"},
    ),
    "refuses special tokens": (
        {"count": lambda self, n, text: 1 // ("<|" not in text) + n(text)},
        {"every_text_has_a_count"},
    ),
    "gives no whole number": (
        {"count": lambda self, n, text: n(text) / 4},
        {"every_text_has_a_count"},
    ),
    "gives nothing for short texts": (
        {"count": lambda self, n, text: n(text) // 40},
        {"every_text_has_a_count"},
    ),
    "counts too much": (
        {"count": lambda self, n, text: n(text) * 2},
        {"a_token_is_no_shorter_than_a_byte"},
    ),
    "cuts off": (
        {"count": lambda self, n, text: n(text[:100])},
        {"longer_texts_count_more"},
    ),
    "counts its calls": (
        {"count": lambda self, n, text: self.__dict__.setdefault("s", []).append(0) or len(self.s)},
        {"the_same_text_counts_the_same", "nothing_has_no_tokens", "threads"},
    ),
    "has a name of two": ({"name": "a+b"}, {"it_extends_the_contract"}),
    "has no name": ({"name": ""}, {"it_extends_the_contract"}),
}


@pytest.mark.parametrize("defect", TOKENIZERS)
def test_defects_of_tokenizers(defect):
    """Each defect is found by the checks that are there for it."""
    members, wanted = TOKENIZERS[defect]
    assert wanted <= failing(TestLetters, broken(Letters, **members))


class Lazy(Listing):
    """Keeps the lender's list."""

    def __init__(self):
        self.batches = []

    def export(self, batch):
        """Keep the list itself."""
        self.batches.append(batch)

    @property
    def lines(self):
        """What is in the lists by now."""
        return [noted for batch in self.batches for noted in batch]


EXPORTERS = {
    "drops the last": (
        broken(Listing, export=lambda self, export, batch: export(batch[:-1])),
        {"every_kind_of_event", "batches", "another_thread"},
    ),
    "keeps what it was lent": (Lazy, {"batches"}),
    "empties what it was lent": (
        broken(Listing, export=lambda self, export, batch: (export(batch), batch.clear())),
        {"batches"},
    ),
    "needs at least one": (
        broken(Listing, export=lambda self, export, batch: (batch[0], export(batch))),
        {"batches"},
    ),
    "knows one kind only": (
        broken(Listing, export=lambda self, export, batch: [n.event.seconds for n in batch]),
        {"every_kind_of_event"},
    ),
    "wants nothing that there is": (broken(Listing, kinds=(int,)), {"it_extends_the_contract"}),
    "can't close unused": (
        broken(Listing, close=lambda self, close: self.lines[0]),
        {"closing_unused"},
    ),
}


@pytest.mark.parametrize("defect", EXPORTERS)
def test_defects_of_exporters(defect):
    """Each defect is found by the checks that are there for it."""
    kind, wanted = EXPORTERS[defect]
    assert wanted <= failing(TestListing, kind)


def shout(self, install, module, signals):
    """Change what the library answers."""
    install(module, signals)
    module.greet = lambda: "HELLO"


def patch_always(self, install, module, signals):
    """Patch what is patched already."""
    self.original = self.original or module.greet
    module.greet = lambda original=module.greet: original()


INSTRUMENTORS = {
    "changes the answer": (
        {"install": shout},
        {"the_library_behaves_as_before"},
    ),
    "patches nothing": (
        {"install": lambda self, install, module, signals: None},
        {"installing_patches_and_removing_takes_it_off", "removing_is_harmless"},
    ),
    "stays": (
        {"remove": lambda self, remove: None},
        {"installing_patches_and_removing_takes_it_off"},
    ),
    "patches its patches": ({"install": patch_always}, {"installing_twice_does_nothing"}),
    "can't be removed unused": (
        {"remove": lambda self, remove: setattr(library, "greet", self.original)},
        {"removing_is_harmless"},
    ),
    "waits for nothing": ({"targets": ()}, {"it_extends_the_contract"}),
}


@pytest.mark.parametrize("defect", INSTRUMENTORS)
def test_defects_of_instrumentors(defect, monkeypatch):
    """Each defect is found by the checks that are there for it."""
    monkeypatch.setitem(sys.modules, "somelibrary", library)
    monkeypatch.setattr(library, "greet", library.greet)
    members, wanted = INSTRUMENTORS[defect]
    kind = broken(Greeting, **members)
    found = set()
    for check in wanted:
        library.greet = lambda: "hello"
        if check in failing(type("One", (TestGreeting,), {}), kind):
            found.add(check)
    assert wanted == found


def test_the_suites_need_no_pytest():
    """Importing them loads no test runner."""
    code = "import sys, agentperf.testing.conformance; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_extends_nothing():
    """A thing of another class is no backend."""
    assert "it_extends_the_contract" in failing(
        type("Odd", (TestMemoryBackend,), {"make": lambda self: object()}), None
    )
    assert issubclass(MemoryBackend, CacheBackend)
