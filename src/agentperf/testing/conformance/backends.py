"""The suite for cache backends, of either colour."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from agentperf.abc import AsyncCacheBackend, CacheBackend
from agentperf.testing.conformance.expecting import Either, at_once, expect, finished

EVERY_BYTE = bytes(range(256))
LONGEST = 200


class BackendConformance:
    """Holds a `CacheBackend` or an `AsyncCacheBackend` to its contract.

    Two things it can't see: whether a backend that says `blocking = False` does I/O all the same,
    and what is done with a time to live that isn't above zero, which no caller gives.

    Attributes:
        ttl: The time to live that the checks use, in seconds; larger for a server that counts in
            whole seconds.
    """

    ttl = 0.1

    def make(self) -> CacheBackend | AsyncCacheBackend:
        """Return the backend to check, empty."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the backend; override it where a clock can be moved by hand."""
        time.sleep(seconds)

    def _check(self, check: Callable[[Any], Awaitable[None]]) -> None:
        backend = self.make()

        async def run() -> None:
            either = Either(backend)
            try:
                await check(either)
            finally:
                await either.close()

        finished(run, is_async=isinstance(backend, AsyncCacheBackend))

    def test_it_extends_the_contract(self) -> None:
        """It is a backend, and says of itself what callers need to know."""
        backend = self.make()
        expect(
            isinstance(backend, CacheBackend | AsyncCacheBackend),
            f"{type(backend).__name__} must extend CacheBackend or AsyncCacheBackend",
        )
        for name in ("shared", "atomic"):
            expect(isinstance(getattr(backend, name), bool), f"{name} must be True or False")

    def test_what_is_not_there(self) -> None:
        """A key that was never stored gives None, and can't be removed."""

        async def check(backend: Any) -> None:
            expect(await backend.get("absent") is None, "get() of an absent key must give None")
            expect(
                await backend.delete("absent") is False, "delete() of an absent key must give False"
            )

        self._check(check)

    def test_what_was_stored_comes_back(self) -> None:
        """Bytes come back as they were: none, all there are, and many."""

        async def check(backend: Any) -> None:
            for value in (b"", b"\r\n\0", EVERY_BYTE, EVERY_BYTE * 4096):
                await backend.set("key", value, None)
                found = await backend.get("key")
                expect(type(found) is bytes, f"get() must give bytes, not {type(found).__name__}")
                expect(found == value, f"{len(value)} bytes came back changed")

        self._check(check)

    def test_storing_again_replaces(self) -> None:
        """The last value counts."""

        async def check(backend: Any) -> None:
            await backend.set("key", b"first", None)
            await backend.set("key", b"second", None)
            expect(await backend.get("key") == b"second", "set() must replace what is there")

        self._check(check)

    def test_removing(self) -> None:
        """A removed key is gone, and removing tells whether it was there."""

        async def check(backend: Any) -> None:
            await backend.set("key", b"value", None)
            await backend.set("other", b"value", None)
            expect(await backend.delete("key") is True, "delete() of a present key must give True")
            expect(await backend.get("key") is None, "a deleted key must be gone")
            expect(await backend.delete("key") is False, "the second delete() must give False")
            expect(await backend.get("other") == b"value", "delete() must leave other keys alone")

        self._check(check)

    def test_time_to_live(self) -> None:
        """An entry is there until its time is up, and then it isn't, for any method."""

        async def check(backend: Any) -> None:
            await backend.set("short", b"value", self.ttl)
            await backend.set("long", b"value", self.ttl * 20)
            await backend.set("endless", b"value", None)
            expect(await backend.get("short") == b"value", "an entry must live as long as its ttl")
            self.pass_time(self.ttl * 1.5)
            expect(await backend.get("short") is None, "an entry must be gone after its ttl")
            expect(await backend.get("long") == b"value", "each entry must have its own ttl")
            expect(await backend.get("endless") == b"value", "without a ttl an entry must stay")
            expect(await backend.delete("short") is False, "an expired key must count as absent")

        self._check(check)

    def test_storing_again_replaces_the_time_to_live(self) -> None:
        """The last time to live counts, also when it is none."""

        async def check(backend: Any) -> None:
            await backend.set("longer", b"value", self.ttl)
            await backend.set("longer", b"value", self.ttl * 20)
            await backend.set("endless", b"value", self.ttl)
            await backend.set("endless", b"value", None)
            await backend.set("shorter", b"value", None)
            await backend.set("shorter", b"value", self.ttl)
            self.pass_time(self.ttl * 1.5)
            expect(await backend.get("longer") == b"value", "set() must replace the ttl")
            expect(await backend.get("endless") == b"value", "set() without a ttl must remove it")
            expect(await backend.get("shorter") is None, "set() with a ttl must set it")

        self._check(check)

    def test_keys_are_told_apart(self) -> None:
        """Every character counts, up to the longest key that is allowed."""

        async def check(backend: Any) -> None:
            printable = "".join(map(chr, range(33, 127)))
            keys = ["a", "A", "ab", *(f"a{character}b" for character in printable), printable]
            keys += [".", "..", "/", "/a", "a/", "./a", "../a", "a//b", "a/./b", "a%2Fb", "a%2fb"]
            keys += ["x" * (LONGEST - 1) + end for end in "12"]
            for key in keys:
                await backend.set(key, key.encode(), None)
            for key in keys:
                expect(await backend.get(key) == key.encode(), f"the key {key!r} is mixed up")

        self._check(check)

    def test_clearing_by_prefix(self) -> None:
        """The prefix is taken literally, and what doesn't begin with it stays."""

        async def check(backend: Any) -> None:
            for prefix in ("ap1:a:", "a*", "a?", "a[b]", "a%", "a_", "a\\"):
                inside = [prefix, f"{prefix}1"]
                outside = ["ap1:ab:1", "aXc", "ab", "b", "A*1", f"-{prefix}", f"-{prefix}1"]
                for key in inside + outside:
                    await backend.set(key, b"value", None)
                await backend.clear(prefix)
                for key in inside:
                    expect(await backend.get(key) is None, f"clear({prefix!r}) left {key!r}")
                for key in outside:
                    found = await backend.get(key)
                    expect(found == b"value", f"clear({prefix!r}) took {key!r} away")

        self._check(check)

    def test_clearing_everything(self) -> None:
        """An empty prefix clears all."""

        async def check(backend: Any) -> None:
            await backend.set("a", b"value", None)
            await backend.set("b:c", b"value", self.ttl * 20)
            await backend.clear("")
            expect(await backend.get("a") is None, 'clear("") must remove everything')
            expect(await backend.get("b:c") is None, 'clear("") must remove everything')

        self._check(check)

    def test_several_at_once(self) -> None:
        """The methods for many keys do what those for one do."""

        async def check(backend: Any) -> None:
            await backend.set_many({"a": b"1", "b": b"", "c": b"3"}, None)
            await backend.set_many({"short": b"4"}, self.ttl)
            found = await backend.get_many(["a", "b", "absent", "short"])
            wanted = {"a": b"1", "b": b"", "short": b"4"}
            expect(found == wanted, f"get_many() gave {found!r} for {wanted!r}")
            expect(await backend.get_many([]) == {}, "get_many([]) must give an empty dict")
            self.pass_time(self.ttl * 1.5)
            expect(await backend.get_many(["short"]) == {}, "set_many() must keep the ttl")
            removed = await backend.delete_many(["a", "b", "absent"])
            expect(removed == 2, f"delete_many() of two present keys gave {removed}")
            expect(await backend.get_many(["a", "c"]) == {"c": b"3"}, "delete_many() removed amiss")

        self._check(check)

    def test_storing_only_what_is_absent(self) -> None:
        """`add` stores once, and again when the first is gone or expired."""

        async def check(backend: Any) -> None:
            expect(await backend.add("key", b"first", self.ttl) is True, "add() must store")
            expect(await backend.add("key", b"second", None) is False, "add() must not replace")
            expect(await backend.get("key") == b"first", "add() must leave what is there")
            self.pass_time(self.ttl * 1.5)
            expect(await backend.get("key") is None, "add() must keep the ttl")
            expect(await backend.add("key", b"", None) is True, "add() must store after expiry")
            expect(await backend.add("key", b"x", None) is False, "an empty value is a value too")

        self._check(check)

    def test_changing_only_what_is_known(self) -> None:
        """`replace` and `delete_if` act only on the value that the caller names."""

        async def check(backend: Any) -> None:
            expect(await backend.replace("key", b"", b"x", None) is False, "replace() of nothing")
            expect(await backend.delete_if("key", b"") is False, "delete_if() of nothing")
            await backend.set("key", b"mine", None)
            expect(await backend.replace("key", b"his", b"x", None) is False, "replace() compares")
            expect(await backend.delete_if("key", b"his") is False, "delete_if() must compare")
            expect(await backend.get("key") == b"mine", "a failed comparison must change nothing")
            expect(await backend.replace("key", b"mine", b"new", self.ttl) is True, "replace()")
            expect(await backend.get("key") == b"new", "replace() must store the new value")
            self.pass_time(self.ttl * 1.5)
            expect(await backend.get("key") is None, "replace() must set the ttl")
            await backend.set("key", b"mine", None)
            expect(await backend.delete_if("key", b"mine") is True, "delete_if() must remove")
            expect(await backend.get("key") is None, "delete_if() must remove")

        self._check(check)

    def test_storing_under_a_guard(self) -> None:
        """`set_if` acts only while the guard holds the token, and then leaves the mark there."""

        async def check(backend: Any) -> None:
            mine: dict[str, Any] = _fence(b"mine", mark_ttl=self.ttl)
            expect(
                await backend.set_if("key", b"x", None, **mine) is False,
                "set_if() must not store without a guard",
            )
            await backend.set("guard", b"his", None)
            await backend.set("key", b"old", None)
            expect(
                await backend.set_if("key", b"x", None, **mine) is False,
                "set_if() must compare the guard",
            )
            expect(
                await backend.get_many(["key", "guard"]) == {"key": b"old", "guard": b"his"},
                "a guard that doesn't hold must let nothing change",
            )
            await backend.set("guard", b"mine", None)
            stored = await backend.set_if("key", b"new", self.ttl * 20, **mine)
            expect(stored is True, "set_if() must say that it stored")
            expect(await backend.get("key") == b"new", "set_if() must store")
            expect(await backend.latest("guard") == b"mark", "set_if() must put the mark there")
            self.pass_time(self.ttl * 1.5)
            expect(await backend.latest("guard") is None, "set_if() must set the mark's ttl")
            expect(await backend.get("key") == b"new", "set_if() must set the ttl of the value")
            await backend.set("guard", b"", None)
            await backend.set_if("short", b"v", self.ttl, **_fence(b"", mark_ttl=self.ttl * 20))
            self.pass_time(self.ttl * 1.5)
            expect(await backend.get("short") is None, "set_if() must keep the ttl")
            expect(await backend.latest("guard") == b"mark", "set_if() must keep the mark's ttl")

        self._check(check)

    def test_taking_a_guard_over(self) -> None:
        """Who loses the guard stores nothing over what the next one stored, if it is atomic."""
        backend = self.make()
        if not isinstance(backend, CacheBackend):
            return
        rounds = 50
        both = threading.Barrier(2, timeout=10)

        def work(number: int) -> None:
            for turn in range(rounds):
                guard, key = f"guard:{turn}", f"key:{turn}"
                if number:
                    backend.set(guard, b"mine", None)
                    both.wait()
                    backend.set_if(key, b"late", None, **_fence(b"mine", guard=guard, mark_ttl=60))
                else:
                    both.wait()
                    time.sleep(turn % 5 * 0.0003)  # to come in at different moments
                    if backend.replace(guard, b"mine", b"his", None):
                        backend.set(key, b"newer", None)
                both.wait()
                if backend.atomic and backend.get(guard) == b"his":
                    expect(backend.get(key) == b"newer", "set_if() says atomic, and is overtaken")

        try:
            at_once(2, work)
        finally:
            backend.close()

    def test_threads(self) -> None:
        """Threads never get each other's values; of several that add, one wins if it is atomic."""
        backend = self.make()
        if not isinstance(backend, CacheBackend):
            return
        won: list[int] = []
        rounds = 50

        def work(number: int) -> None:
            for turn in range(rounds):
                key, value = f"thread:{number}", b"%d:%d" % (number, turn)
                backend.set(key, value, None)
                expect(backend.get(key) == value, "threads mix up each other's values")
                if backend.add(f"race:{turn}", value, None):
                    won.append(turn)

        try:
            at_once(4, work)
            if backend.atomic:
                expect(sorted(won) == list(range(rounds)), "add() says atomic, and several won")
        finally:
            backend.close()

    def test_closing_twice(self) -> None:
        """Closing again does nothing."""

        async def check(backend: Any) -> None:
            await backend.close()
            await backend.close()

        self._check(check)


def _fence(token: bytes, *, mark_ttl: float, guard: str = "guard") -> dict[str, Any]:
    return {"guard": guard, "token": token, "mark": b"mark", "mark_ttl": mark_ttl}
