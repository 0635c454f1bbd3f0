"""Types: whether a checker still knows the arguments and the result of a decorated function."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks.probes.probe import OURS, Probe

RESULT = "list[str]"
CACHE = Path(__file__).resolve().parents[3] / ".mypy_cache" / "probes"


@dataclass(frozen=True)
class Decorated:
    """A program with one decoration in it.

    Attributes:
        imports: What it imports and sets up.
        decorator: What stands behind the `@`.
        asynchronous: Whether the function is `async def`.
    """

    imports: str
    decorator: str
    asynchronous: bool = True

    @property
    def name(self) -> str:
        """Name the program, so that checks at the same time don't keep their notes in one place."""
        return re.sub(r"\W+", "_", self.decorator)

    def program(self) -> str:
        """Write it out: one right call, whose type is to be told, and two wrong ones."""
        colour, wait = ("async ", "await ") if self.asynchronous else ("", "")
        return f"""{self.imports}

@{self.decorator}
{colour}def work(prompt: str, *, size: int = 1) -> list[str]:
    return [prompt] * size

{colour}def use() -> None:
    reveal_type({wait}work("x", size=2))
    {wait}work(1)  # wrong type
    {wait}work("x", sise=2)  # wrong name
"""


async def exact_types(decorated: Decorated) -> None:
    """The result is known, and wrong calls are found."""
    judge(decorated.program(), await check([decorated]))


async def prepare() -> None:
    """Check all programs at once, so that each is checked quickly: the checker remembers."""
    CACHE.mkdir(parents=True, exist_ok=True)
    await check(list(PROGRAMS.values()))


async def check(programs: list[Decorated]) -> str:
    """Return what the checker says of some programs."""
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        files = [Path(folder) / f"{program.name}.py" for program in programs]
        for file, program in zip(files, programs, strict=True):
            file.write_text(program.program(), encoding="utf-8")
        words = ["--strict", "--no-error-summary", "--no-pretty", "--no-sqlite-cache"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mypy", *words, "--cache-dir", str(CACHE), *map(str, files)),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
        )
        return (await process.communicate())[0].decode()


def judge(program: str, said: str) -> None:
    """Compare what the checker says of each line with what it should."""
    revealed = re.search(r'Revealed type is "([^"]*)"', said)
    assert revealed is not None, f"the checker says: {said}"
    result = revealed[1].replace("builtins.", "")
    assert result == RESULT, f"the result is {result}"
    lines = program.splitlines()
    found = {lines[int(number) - 1].strip() for number in re.findall(r"\.py:(\d+): error", said)}
    missed = [line for line in lines if "# wrong" in line and line.strip() not in found]
    assert not missed, f"{missed[0].rpartition('# ')[2]} is not found"


# -- the libraries --------------------------------------------------------------------------------

POLICIES = """agentperf.timed
@agentperf.cached(ttl="1h")
@agentperf.retry
@agentperf.rate_limited("5/s")
@agentperf.circuit_breaker"""

PROGRAMS = {
    "agentperf": Decorated("import agentperf", POLICIES),
    "aiobreaker": Decorated("import aiobreaker", "aiobreaker.CircuitBreaker()"),
    "aiocache": Decorated("import aiocache", "aiocache.cached(ttl=60)"),
    "async-lru": Decorated("from async_lru import alru_cache", "alru_cache(ttl=60)"),
    "cachebox": Decorated("import cachebox", "cachebox.cached(cachebox.LRUCache(9))"),
    "cachetools": Decorated(
        "import cachetools\nstore: cachetools.LRUCache[object, list[str]] = cachetools.LRUCache(9)",
        "cachetools.cached(store)",
        asynchronous=False,
    ),
    "cashews": Decorated("from cashews import cache", "cache(ttl=60)"),
    "circuitbreaker": Decorated("from circuitbreaker import circuit", "circuit"),
    "diskcache": Decorated(
        "import diskcache\nstore = diskcache.Cache()", "store.memoize()", asynchronous=False
    ),
    "dogpile.cache": Decorated(
        "from dogpile.cache import make_region\nregion = make_region()",
        "region.cache_on_arguments()",
        asynchronous=False,
    ),
    "hyx": Decorated("from hyx.retry import retry", "retry()"),
    "interlock-cb": Decorated(
        "from interlock import CircuitBreaker", 'CircuitBreaker(name="upstream")'
    ),
    "purgatory": Decorated(
        "from purgatory import AsyncCircuitBreakerFactory\nmake = AsyncCircuitBreakerFactory()",
        'make("upstream")',
    ),
    "pybreaker": Decorated("import pybreaker", "pybreaker.CircuitBreaker()", asynchronous=False),
    "pyrate-limiter": Decorated(
        "from pyrate_limiter import Limiter, Rate", 'Limiter(Rate(5, 1000)).as_decorator(name="k")'
    ),
    "stamina": Decorated("import stamina", "stamina.retry(on=ValueError)"),
    "tenacity": Decorated("import tenacity", "tenacity.retry"),
    "throttled-py": Decorated(
        "from throttled.asyncio import Throttled", 'Throttled(key="k", quota="5/s")'
    ),
}
CONTESTANTS = {name: partial(PROGRAMS.__getitem__, name) for name in PROGRAMS}

PROBES = (
    Probe(
        "a decorated function: the checker knows its arguments and result",
        exact_types,
        tuple(name for name in PROGRAMS if name != OURS),
    ),
)
