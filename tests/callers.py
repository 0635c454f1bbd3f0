"""Processes that call one cached function, told when to begin, and stopped or killed by tests."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

PATIENCE = 30
"""Seconds that a process may take for what takes no time."""

LASTS = 2.0
"""Seconds after which leases lapse here."""

_PROGRAM = """
import os, sys, time
import agentperf
from agentperf.policies.cached.backed import lease

address, colour, work = sys.argv[1], sys.argv[2], float(sys.argv[3])
lease.LASTS = float(sys.argv[4])

@agentperf.cached(ttl="1h", backend=address, name="f")
def blocking():
    print("computes", flush=True)
    time.sleep(work)
    return os.getpid()

@agentperf.cached(ttl="1h", backend=address, name="f")
async def awaited():
    import anyio
    print("computes", flush=True)
    await anyio.sleep(work)
    return os.getpid()

@agentperf.cached(backend=address, name=f"warm {os.getpid()}")
def warm():
    import anyio._backends._asyncio

warm()

def call():
    if colour == "blocking":
        return blocking()
    import anyio
    return anyio.run(awaited, backend=colour)

f = blocking if colour == "blocking" else awaited
print("ready", flush=True)
for _ in sys.stdin:
    began = time.monotonic()
    value = call()
    took = time.monotonic() - began
    stats = agentperf.handle(f).cache.stats()
    print("got", value, took, stats.stored, stats.refused, flush=True)
"""


class Caller:
    """A process of its own.

    Args:
        address: The backend.
        colour: `"blocking"`, `"asyncio"` or `"trio"`.
        work: Seconds that its computations take.
        lasts: Seconds after which its leases lapse.
    """

    def __init__(self, address: str, colour: str, work: float, lasts: float) -> None:
        arguments = [address, colour, str(work), str(lasts)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.computed = 0

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("computes"):
                self.computed += 1
            self._said.put(line.strip())

    def begin(self) -> None:
        """Let it call."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def says(self, word: str) -> list[str]:
        """Wait until it says something that begins so; return what else it says then."""
        while True:
            said = self._said.get(timeout=PATIENCE).split()
            if said[:1] == [word]:
                return said[1:]

    def answer(self) -> Answer:
        """Wait for the answer of its call."""
        value, took, stored, refused = self.says("got")
        return Answer(int(value), float(took), int(stored), int(refused))

    def stop(self) -> None:
        """Stop it in its tracks."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Answer:
    """What a call came to.

    Attributes:
        value: The number of the process that computed it.
        took: Seconds.
        stored: How many answers the process has stored so far.
        refused: How many it could not store.
    """

    def __init__(self, value: int, took: float, stored: int, refused: int) -> None:
        self.value = value
        self.took = took
        self.stored = stored
        self.refused = refused

    def __repr__(self) -> str:
        return f"<{self.value} after {self.took:.2f} s>"


@contextlib.contextmanager
def callers(
    number: int, address: str, colour: str = "blocking", *, work: float, lasts: float = LASTS
) -> Iterator[list[Any]]:
    """Run so many of them, and end them; they are ready, and have called nothing."""
    running = [Caller(address, colour, work, lasts) for _ in range(number)]
    try:
        for caller in running:
            caller.says("ready")
        yield running
    finally:
        for caller in running:
            caller.kill()


def check_one_computes(address: str, colour: str) -> None:
    """Have several processes make the same call at once."""
    with callers(3, address, colour, work=0.5) as running:
        for caller in running:
            caller.begin()
        answers = [caller.answer() for caller in running]
        assert len({answer.value for answer in answers}) == 1
        assert sum(caller.computed for caller in running) == 1


def check_longer_than_the_lease(address: str, colour: str) -> None:
    """Have a process work for longer than its lease lasts, and another one wait for it."""
    with callers(2, address, colour, work=2.5 * LASTS) as (first, second):
        first.begin()
        first.says("computes")
        second.begin()
        assert first.answer().value == second.answer().value == first.pid
        assert second.computed == 0


def check_killed(address: str, late: float) -> None:
    """Kill the one that computes: another one goes on when its lease has lapsed."""
    with callers(3, address, work=1.0) as (first, second, third):
        first.begin()
        first.says("computes")
        second.begin()
        third.begin()
        first.kill()
        answers = [second.answer(), third.answer()]
        assert answers[0].value == answers[1].value, answers
        assert second.computed + third.computed == 1
        assert max(answer.took for answer in answers) < LASTS + 1.0 + late, answers


def check_suspended(address: str) -> None:
    """Stop the one that computes for longer than its lease lasts: its answer is not stored."""
    with callers(3, address, work=1.0) as (first, second, third):
        first.begin()
        first.says("computes")
        first.stop()
        second.begin()
        assert second.answer().value == second.pid
        first.go_on()
        late = first.answer()
        assert (late.value, late.stored, late.refused) == (first.pid, 0, 1)
        third.begin()
        assert third.answer().value == second.pid
        assert third.computed == 0
