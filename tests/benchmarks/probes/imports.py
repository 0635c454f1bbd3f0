"""Imports: whether a library can be imported where there is no network."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from tests.benchmarks.probes.probe import OURS, Probe

OFFLINE = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise OSError("no network")

sys.addaudithook(refuse)
"""


async def offline(module: str) -> None:
    """Import it in a process of its own that refuses to look names up and to connect."""
    program = f"{OFFLINE}\nimport {module}\n"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), stderr=asyncio.subprocess.PIPE
    )
    said = (await process.communicate())[1].decode().strip()
    assert process.returncode == 0, said.rpartition("\n")[2]


MODULES = {
    "agentperf": "agentperf",
    "aiobreaker": "aiobreaker",
    "aiocache": "aiocache",
    "aiolimiter": "aiolimiter",
    "async-lru": "async_lru",
    "cachebox": "cachebox",
    "cachetools": "cachetools",
    "cashews": "cashews",
    "circuitbreaker": "circuitbreaker",
    "diskcache": "diskcache",
    "dogpile.cache": "dogpile.cache",
    "hyx": "hyx.retry",
    "interlock-cb": "interlock",
    "limits": "limits",
    "openlimit": "openlimit",
    "purgatory": "purgatory",
    "pybreaker": "pybreaker",
    "pyrate-limiter": "pyrate_limiter",
    "stamina": "stamina",
    "steindamm": "steindamm",
    "tenacity": "tenacity",
    "throttled-py": "throttled",
}
CONTESTANTS = {name: partial(str, module) for name, module in MODULES.items()}

PROBES = (
    Probe(
        "imported without a network: works",
        offline,
        tuple(name for name in MODULES if name != OURS),
    ),
)
