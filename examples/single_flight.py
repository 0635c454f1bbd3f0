"""Ask the same thing ten times at once: it is computed once, for tasks and threads alike."""

from __future__ import annotations

import threading
import time

import anyio

import agentperf


@agentperf.cached(ttl="10m")
async def embed(text: str) -> tuple[float, ...]:
    """Stand in for a slow embedding."""
    await anyio.sleep(0.05)
    return tuple(float(ord(letter)) for letter in text)


@agentperf.cached(ttl="10m")
def look_up(name: str) -> str:
    """Stand in for a slow look-up."""
    time.sleep(0.05)
    return name.title()


async def ten_tasks() -> None:
    """Ask ten times in ten tasks."""
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(embed, "hello")


def ten_threads() -> None:
    """Ask ten times in ten threads."""
    threads = [threading.Thread(target=look_up, args=("clara",)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Ask in both ways, and print who computed and who only waited."""
    anyio.run(ten_tasks)
    ten_threads()
    for name, function in {"ten tasks": embed, "ten threads": look_up}.items():
        figures = agentperf.handle(function).cache.stats()
        print(f"{name}: {figures.misses} computed, {figures.shared + figures.hits} did not")


if __name__ == "__main__":
    main()
