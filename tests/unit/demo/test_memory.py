"""The agent's memory."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agentperf.demo.conversations import Message
from agentperf.demo.memory import Memory, NewFact
from agentperf.testing.fake_llm.embedding import embed

pytestmark = pytest.mark.anyio

CLARA = NewFact("My sister Clara lives in Ghent.", names=("Clara", "Ghent"))
VAN = NewFact("The van comes on Thursday.", times=("thursday",))


@pytest.fixture
def anyio_backend() -> str:
    """The openai client, and with it the demo, runs on asyncio."""
    return "asyncio"


@pytest.fixture
async def memory(tmp_path: Path) -> Memory:
    """A memory of two facts that one profile told and one that another told."""
    memory = Memory(tmp_path / "memory.db")
    for profile, fact in (("anna", CLARA), ("anna", VAN), ("bram", NewFact("I like tea."))):
        await memory.add(profile, fact, embed(fact.text))
    return memory


async def test_semantic_search_finds_the_nearest(memory: Memory) -> None:
    """A question finds the fact that shares its words, and nothing that is far off."""
    found = await memory.semantic("anna", embed("Where does my sister live?"))
    assert [fact.text for fact in found] == [CLARA.text]
    assert await memory.semantic("anna", embed("Something else entirely")) == []


async def test_keyword_search_finds_words(memory: Memory) -> None:
    """Any of the words suffices; without words nothing is found."""
    assert [f.text for f in await memory.keyword("anna", ["van", "zebra"])] == [VAN.text]
    assert await memory.keyword("anna", []) == []


async def test_temporal_search_finds_days_and_the_latest(memory: Memory) -> None:
    """A day finds what is told of it; asked for the latest, the newest come."""
    assert [f.text for f in await memory.temporal("anna", ["thursday"], lately=False)] == [VAN.text]
    latest = await memory.temporal("anna", [], lately=True)
    assert [fact.text for fact in latest] == [VAN.text, CLARA.text]


async def test_entity_search_finds_names(memory: Memory) -> None:
    """A name finds the facts about it, each once."""
    assert [f.text for f in await memory.entity("anna", ["Clara", "Ghent"])] == [CLARA.text]
    assert await memory.entity("anna", []) == []


async def test_profiles_have_memories_of_their_own(memory: Memory) -> None:
    """No search finds what another profile told."""
    assert await memory.semantic("bram", embed(CLARA.text)) == []
    assert await memory.keyword("bram", ["sister"]) == []
    assert await memory.temporal("bram", ["thursday"], lately=False) == []
    assert await memory.entity("bram", ["Clara"]) == []
    assert await memory.everything("bram") == ["I like tea."]


async def test_a_fact_told_again_is_kept_once_and_is_the_newest(memory: Memory) -> None:
    """Repeating a fact makes no second one; searches still find it once."""
    await memory.add("anna", CLARA, embed(CLARA.text))
    assert await memory.everything("anna") == [VAN.text, CLARA.text]
    assert [f.text for f in await memory.entity("anna", ["Clara"])] == [CLARA.text]


async def test_many_may_read_and_write_at_the_same_time(memory: Memory) -> None:
    """Threads don't get in each other's way, and nothing is lost."""

    async def tell(number: int) -> None:
        await memory.add("dora", NewFact(f"Fact number {number}."), embed(str(number)))
        await memory.keyword("dora", ["number"])

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(tell, number)
    assert len(await memory.everything("dora")) == 20


async def test_a_conversation_is_a_transcript_of_its_session(memory: Memory) -> None:
    """Turns come back in order; other sessions and profiles stay out."""
    message = Message("anna", "s", "One?")
    await memory.add_turn(message, "1.")
    await memory.add_turn(Message("anna", "s", "Two?"), "2.")
    await memory.add_turn(Message("anna", "t", "Three?"), "3.")
    transcript = await memory.conversation(message)
    assert transcript == "User: One?\nAssistant: 1.\nUser: Two?\nAssistant: 2."


async def test_an_analysis_takes_the_place_of_the_one_before(memory: Memory) -> None:
    """A session has one analysis, the newest."""
    message = Message("anna", "s", "One?")
    await memory.add_analysis(message, {"mood": "calm"})
    await memory.add_analysis(message, {"mood": "merry"})
    kept = await memory._run(lambda database: database.execute("SELECT * FROM analyses").fetchall())
    assert kept == [("anna", "s", '{"mood": "merry"}')]
