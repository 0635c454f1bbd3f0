"""The demo, as a whole."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from openai import AsyncOpenAI

from agentperf import Host, use
from agentperf.demo import after, before
from agentperf.demo.clock import ScaledClock
from agentperf.demo.comparison import Comparison, compare
from agentperf.demo.conversations import Message, load, repeated
from agentperf.demo.deferred import Deferred
from agentperf.demo.isolation import Isolation, examine
from agentperf.demo.memory import Memory
from agentperf.demo.program import Program, Respond, Show
from agentperf.demo.runner import Run, play
from agentperf.testing.fake_llm import FakeLLM, Fault, Faults

# The pauses that the openai client makes before it tries again are real time: half a minute in all.
pytestmark = pytest.mark.timeout(240)

QUICK = 0.002


@pytest.fixture(scope="module")
def sample() -> Comparison:
    """Both versions on the shipped sample, as quick as it goes."""

    async def run() -> Comparison:
        return await compare(load(), scale=QUICK)

    return anyio.run(run)


def talk(program: Program, messages: Sequence[Message], llm: FakeLLM) -> Run:
    """Play messages to an agent as quickly as it goes."""

    async def run() -> Run:
        return await play(program, messages, llm, scale=QUICK)

    return anyio.run(run)


def transcripts(llm: FakeLLM) -> list[str]:
    """Return the conversations that the model was asked to judge."""
    prompts = [body["messages"] for _, body in llm.received if "messages" in body]
    return [user["content"] for system, user in prompts if "Task: analysis" in system["content"]]


def said(transcript: str) -> list[str]:
    """Return the user's lines."""
    return re.findall("^User:.*", transcript, re.MULTILINE)


def test_answers_agree_on_the_facts(sample: Comparison) -> None:
    """Every planted fact is in both answers, and every message is answered."""
    assert sample.problems() == []
    assert sample.before.figures.failed == sample.after.figures.failed == 0


def test_faults_cost_the_second_version_no_answer(sample: Comparison) -> None:
    """Where one request in five goes wrong, the first version fails some messages, it none."""
    assert sample.faulty_before.figures.failed > 0
    assert sample.faulty_after.figures.failed == 0
    assert all(not reply.missing for reply in sample.faulty_after.replies)


def test_an_answer_that_was_cut_begins_anew() -> None:
    """What was shown of it is void: it is announced with an empty piece, and then comes whole."""
    shown: list[str] = []

    async def run(llm: FakeLLM, folder: Path) -> str:
        with use(Host(clock=ScaledClock(QUICK))):
            async with after.agent(llm.base_url, Memory(folder / "memory.db")) as respond:
                return await respond(Message("a", "s", "The cat is called Miso."), shown.append)

    cuts = Faults(rate=0.5, kinds=(Fault.CUT,))
    with FakeLLM(faults=cuts) as llm, tempfile.TemporaryDirectory() as folder:
        reply = anyio.run(run, llm, Path(folder))
    last_begun = len(shown) - shown[::-1].index("")
    assert shown.count("") > 1
    assert "".join(shown[last_begun:]) == reply


def test_the_first_version_calls_the_model_five_times_or_more(sample: Comparison) -> None:
    """Each message costs five model calls at least, besides embeddings; a sensitive one fewer."""
    assert sample.before.figures.model_calls / len(sample.before.replies) > 6


def test_repeated_messages_are_answered_from_the_cache(sample: Comparison) -> None:
    """More than 60 of 100 look-ups for repeated messages are hits; the first version has none."""
    assert sample.after.figures.cache_hit_rate > 0.6
    assert sample.before.figures.cache_hit_rate == 0


def test_calls_tokens_and_cost_go_down(sample: Comparison) -> None:
    """By the server's own counts at least 30 of 100 tokens are saved, and a fifth of the rest."""
    old, new = sample.before.figures, sample.after.figures
    assert new.model_calls < 0.8 * old.model_calls
    assert new.input_tokens < 0.7 * old.input_tokens
    assert new.output_tokens < 0.8 * old.output_tokens
    assert new.input_tokens + new.output_tokens < 0.7 * (old.input_tokens + old.output_tokens)
    assert new.cost_usd < 0.8 * old.cost_usd


def test_what_the_user_said_is_in_the_shorter_prompts() -> None:
    """Compression leaves out none of the user's lines, and so no planted fact."""
    with FakeLLM() as llm:
        talk(before.agent, load(), llm)
        old = transcripts(llm)

    @after.shorter
    def shorten(conversation: str) -> str:
        return conversation

    new = [shorten(conversation) for conversation in old]
    assert [said(conversation) for conversation in new] == [said(each) for each in old]
    assert sum(map(len, new)) < 0.7 * sum(map(len, old))


def test_a_private_profile_shares_nothing(sample: Comparison) -> None:
    """The second version keeps the profiles apart, and its own user still gains."""
    seen = sample.isolation
    assert seen.nothing_shared
    assert seen.open_again < seen.open_alone


def test_two_open_profiles_share_nothing_either() -> None:
    """What one profile asked saves another one no call, at the same time or later."""
    question = "Where does my sister live?"
    messages = [Message("anna", "s", question), Message("bram", "s", question)]
    with FakeLLM() as llm:
        talk(after.agent, messages[:1], llm)
        alone = llm.stats().calls
        talk(after.agent, messages, llm)
        assert llm.stats().calls == 2 * alone


def test_a_changed_fact_changes_the_answer() -> None:
    """The same question is answered from the cache only while the memory says the same."""
    where = "In which city do I work?"
    told = [
        Message("a", "s", t) for t in ("I work in Lisbon.", where, where, "I work in Porto.", where)
    ]
    with FakeLLM() as llm:
        run = talk(after.agent, told, llm)
    answers = [reply.text or "" for reply in run.replies]
    assert answers[1] == answers[2]
    assert "Lisbon" in answers[1]
    assert "Porto" in answers[4]


@pytest.mark.parametrize("program", [before.agent, after.agent])
def test_private_mode_leaves_nothing_in_the_memory(program: Program) -> None:
    """What is told in private mode, or is sensitive, is not remembered."""
    told = [
        Message("a", "s", "The cat is called Miso.", private=True),
        Message("a", "s", "The PIN of the garage is 4417."),
        Message("a", "s", "What is the cat called?"),
        Message("a", "s", "What is the PIN of the garage?"),
    ]
    with FakeLLM() as llm:
        run = talk(program, told, llm)
    assert all("don't know" in (reply.text or "") for reply in run.replies[2:])


def test_a_failed_answer_is_counted_and_the_next_message_goes_on() -> None:
    """Whatever goes wrong with a message is a figure, not the end of the demo."""
    with FakeLLM(answer=lambda _: "no JSON at all") as llm:
        run = talk(before.agent, [Message("a", "s", "Hello there, Miso.")] * 2, llm)
    assert run.figures.failed == 2
    assert run.figures.ttft_s == 0
    assert all(reply.error for reply in run.replies)


def test_isolation_sees_sharing() -> None:
    """The examination is no formality: an agent that minds neither scope nor privacy is caught."""

    @contextlib.asynccontextmanager
    async def careless(base_url: str, memory: Memory) -> AsyncIterator[Respond]:
        async with (
            AsyncOpenAI(base_url=base_url, api_key="none") as client,
            anyio.create_task_group() as background,
        ):
            later = Deferred(background)

            async def respond(message: Message, show: Show) -> str:
                open_message = replace(message, private=False)
                return await after.respond(client, memory, later, open_message, show)

            yield respond

    async def run() -> Isolation:
        with FakeLLM() as llm:
            return await examine(careless, llm)

    seen = anyio.run(run)
    assert not seen.nothing_shared
    assert seen.together < seen.open_alone + seen.private_alone
    assert seen.private_again < seen.private_alone


@pytest.mark.load
def test_the_second_version_is_three_times_faster() -> None:
    """At the scale of the command the mean response time is a third at most."""
    ran = subprocess.run(
        [sys.executable, "-m", "agentperf", "demo", "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(ran.stdout)
    assert list(result["faults"]) == ["before", "after"]
    assert result["faults"]["before"]["failed"] > result["faults"]["after"]["failed"] == 0
    assert result["before"]["mean_s"] / result["after"]["mean_s"] >= 3
    assert sum(repeated(load())) > 10
