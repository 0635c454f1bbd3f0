"""Processes that share the places of one bulkhead, told what to do, and stopped or killed by tests.

Whoever has a place counts himself in a file: so it is known how many there were at once.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 60
"""Seconds that a process may take for what takes no time."""

LASTS = 2.0
"""Seconds after which the places of a process that is gone are free here."""

_PROGRAM = """
import contextlib, fcntl, os, queue, random, sys, threading, time
import agentperf
from agentperf.policies.bulkhead.shared import decision

address, places, colour, inside, lasts, mode = sys.argv[1:]
decision.LASTS = float(lasts)
limit = agentperf.bulkhead(int(places), store=address, name="upstream", on_store_failure=mode)
ends = queue.Queue()

@contextlib.contextmanager
def counted():
    def change(by):
        with open(inside, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            now, most, calls = map(int, file.read().split())
            file.seek(0)
            file.truncate()
            file.write(f"{now + by} {max(most, now + by)} {calls + (by > 0)}")
    change(1)
    try:
        yield
    finally:
        change(-1)

@limit
def block(seconds):
    with counted():
        time.sleep(random.uniform(0, seconds))

@limit
async def await_(seconds):
    import anyio
    with counted():
        await anyio.sleep(random.uniform(0, seconds))

@limit
def hold():
    print("has", flush=True)
    ends.get()

stop, made = threading.Event(), []

def busy(calls):
    def many():
        while not stop.is_set():
            try:
                block(0.02)
                made.append(1)
            except agentperf.StoreUnavailable:
                time.sleep(0.01)
    async def amany():
        import anyio
        while not stop.is_set():
            try:
                await await_(0.02)
                made.append(1)
            except agentperf.StoreUnavailable:
                await anyio.sleep(0.01)
    async def all_of_them():
        import anyio
        async with anyio.create_task_group() as tasks:
            for _ in range(calls):
                tasks.start_soon(amany)
    if colour == "blocking":
        threads = [threading.Thread(target=many) for _ in range(calls)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    else:
        import anyio
        anyio.run(all_of_them, backend=colour)
    print("did", len(made), flush=True)
    made.clear()
    stop.clear()

def look():
    # No moment: others may just be telling the store how things stand.
    while True:
        try:
            return agentperf.handle(block).bulkhead.in_use()
        except Exception:
            time.sleep(0.05)

print("ready", flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if word == "hold":
        threading.Thread(target=hold, daemon=True).start()
    elif word == "end":
        ends.put(1)
    elif word == "look":
        print("sees", look(), flush=True)
    elif word == "busy":
        threading.Thread(target=busy, args=(int(rest[0]),), daemon=True).start()
    elif word == "made":
        print("made", len(made), flush=True)
    elif word == "stop":
        stop.set()
"""


class Holder:
    """A process of its own."""

    def __init__(self, arguments: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line.strip())

    def do(self, what: str) -> None:
        """Have it do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()

    def says(self, word: str, patience: float = PATIENCE) -> list[int]:
        """Wait until it says something that begins so; return the numbers it says then."""
        until = time.monotonic() + patience
        while True:
            said = self._said.get(timeout=max(0.0, until - time.monotonic())).split()
            if said[:1] == [word]:
                return list(map(int, said[1:]))

    def is_silent(self, seconds: float) -> bool:
        """Whether it says nothing for a while."""
        try:
            self._said.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def sees(self) -> int:
        """Return how many places all have together."""
        self.do("look")
        return self.says("sees")[0]

    def sees_at_last(self, number: int) -> None:
        """Wait until it sees that so many places are taken."""
        until = time.monotonic() + PATIENCE
        while (found := self.sees()) != number:
            assert time.monotonic() < until, found
            time.sleep(0.05)

    def works(self, more: int = 20) -> None:
        """Wait until it made some more calls."""
        until, before = time.monotonic() + PATIENCE, None
        while True:
            self.do("made")
            made = self.says("made")[0]
            before = made if before is None else before
            if made >= before + more:
                return
            assert time.monotonic() < until, (before, made)
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in its tracks."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Inside:
    """How many were at work, as they counted it themselves."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.begin()

    def begin(self) -> None:
        """Begin to count."""
        self._path.write_text("0 0 0")

    def told(self) -> tuple[int, int, int]:
        """Return how many are at work, how many there were at most, and how many calls."""
        now, most, calls = map(int, self._path.read_text().split())
        return now, most, calls


@contextlib.contextmanager
def holders(
    address: str,
    inside: Path,
    *colours: str,
    places: int = 2,
    lasts: float = LASTS,
    mode: str = "closed",
) -> Iterator[list[Any]]:
    """Run processes, one of each colour, and end them; they are ready, and have called nothing."""
    running = [
        Holder([address, str(places), colour, str(inside), str(lasts), mode]) for colour in colours
    ]
    try:
        for holder in running:
            holder.says("ready")
        yield running
    finally:
        for holder in running:
            holder.kill()


def busy_together(
    running: list[Any], inside: Inside, fault: Callable[[], object] = lambda: None
) -> tuple[int, int, int]:
    """Have processes make calls, each some before and some after a fault.

    Returns:
        The calls that were counted, those that the processes know of, and the most at once.
    """
    for holder in running:
        holder.do("busy 8")
    for holder in running:
        holder.works()
    fault()
    for holder in running:
        holder.works()
    for holder in running:
        holder.do("stop")
    made = sum(holder.says("did")[0] for holder in running)
    now, most, calls = inside.told()
    assert now == 0
    return calls, made, most


def check_never_more(address: str, folder: Path) -> None:
    """Have three processes of different colours be busy: together they keep to the number."""
    inside = Inside(folder / "inside")
    colours = ("blocking", "asyncio", "trio")
    with holders(address, folder / "inside", *colours, places=3, lasts=15.0) as running:
        calls, made, most = busy_together(running, inside)
        assert most == 3
        assert calls == made
        running[0].sees_at_last(0)


def check_killed(address: str, folder: Path, late: float) -> None:
    """Kill one that has all places: others get them when its lease is over, and not before."""
    with holders(address, folder / "inside", *["blocking"] * 3) as (first, second, third):
        for _ in range(2):
            first.do("hold")
            first.says("has")
        second.do("hold")
        assert second.is_silent(2 * LASTS)  # it renews them
        began = time.monotonic()
        first.kill()
        second.says("has")
        assert time.monotonic() - began < LASTS + late
        third.do("hold")
        third.says("has", LASTS + late)
        third.sees_at_last(2)


def check_suspended(address: str, folder: Path) -> None:
    """Stop one that has a place for longer than its lease: it comes back, and nothing is lost."""
    with holders(address, folder / "inside", *["blocking"] * 3, places=1) as running:
        first, second, third = running
        first.do("hold")
        first.says("has")
        first.stop()
        second.do("hold")
        second.says("has")
        first.go_on()
        third.sees_at_last(2)  # one too many, for as long as both work
        third.do("hold")
        first.do("end")
        third.sees_at_last(1)
        assert third.is_silent(1.0)
        second.do("end")
        third.says("has")
        third.do("end")
        third.sees_at_last(0)
