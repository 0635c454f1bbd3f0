"""What the fake model says: only what its prompt already holds.

A line `Fact: ...` in any message is a fact. A question is answered with the fact that shares
most words with it, the last one where several do; without such a fact the model says that it
doesn't know.

A system message that begins with `Task: privacy`, `intent`, `extraction` or `analysis` gets a
small JSON object about the last user message, made by simple rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from agentperf.testing.fake_llm import words
from agentperf.testing.fake_llm.wire import Message

_FACT = re.compile(r"^[ \t]*(?:[-*][ \t]*)?Fact:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_TASK = re.compile(r"\s*Task:[ \t]*(\w+)")
_SENSITIVE = re.compile(r"\b(pin|password|passport|card number|diagnos\w*|salary)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"\?|^\s*(who|what|when|where|which|why|how|does|do|did|is|are|can)\b", re.IGNORECASE
)
_LATELY = re.compile(r"\b(lately|recently|last|latest|newest)\b", re.IGNORECASE)
_TOPICS = 3


def answer(messages: Sequence[Message]) -> str:
    """Return the fake model's answer to a conversation."""
    text = next((message.text for message in reversed(messages) if message.role == "user"), "")
    task = _task(messages)
    if task is not None:
        return json.dumps(task(text), ensure_ascii=False, separators=(",", ":"))
    if asks(text):
        return _from_facts(text, [fact for message in messages for fact in facts(message.text)])
    return (
        f'Thank you, I have taken that in: "{" ".join(text.split())}" I will use it whenever one '
        "of your questions has to do with it. If any part of it changes, tell me in a sentence of "
        "your own and I will go by the newer one."
    )


def facts(text: str) -> list[str]:
    """Return what the `Fact:` lines of a text say."""
    return _FACT.findall(text)


def asks(text: str) -> bool:
    """Whether a message is a question."""
    return _ASKS.search(text) is not None


def _from_facts(question: str, known: Sequence[str]) -> str:
    wanted = set(words.stems(question))
    best, best_score = "", 0
    for fact in known:
        score = len(wanted.intersection(words.stems(fact)))
        if score and score >= best_score:
            best, best_score = fact, score
    if not best:
        return (
            f"I don't know that yet. I went through the {len(known)} notes that I was given with "
            "your question and none of them has to do with it. Tell me about it in a sentence or "
            "two, and I will be able to answer the next time."
        )
    return (
        f"You told me: {best} Of the {len(known)} notes that I was given with your question this "
        "is the one that fits it best, so I rely on it alone. If it is no longer right, tell me in "
        "a sentence of your own and I will go by the newer one."
    )


def _task(messages: Sequence[Message]) -> Callable[[str], dict[str, object]] | None:
    for message in messages:
        found = _TASK.match(message.text) if message.role in {"system", "developer"} else None
        if found is not None:
            return _TASKS.get(found[1].lower())
    return None


def _privacy(text: str) -> dict[str, object]:
    found = _SENSITIVE.search(text)
    because = found[0].lower() if found else "nothing sensitive"
    return {"private": found is not None, "because": because}


def _intent(text: str) -> dict[str, object]:
    return {
        "kind": "question" if asks(text) else "statement",
        "keywords": words.stems(text),
        "names": words.names(text),
        "times": words.times(text),
        "lately": _LATELY.search(text) is not None,
    }


def _extraction(text: str) -> dict[str, object]:
    told = [s for s in words.sentences(text) if not asks(s) and len(words.stems(s)) > 1]
    return {
        "memories": [
            {"text": fact, "names": words.names(fact), "times": words.times(fact)} for fact in told
        ],
        "because": "The message says something lasting that is worth keeping for later questions."
        if told
        else "The message asks for something and says nothing new that is worth keeping.",
    }


def _analysis(text: str) -> dict[str, object]:
    lines = [line for line in text.splitlines() if line.strip()]
    said = [line.partition(":")[2] or line for line in lines if not line.startswith("Assistant:")]
    topics = words.telling(" ".join(said))[-_TOPICS:]
    return {
        "topics": topics,
        "messages": len(said),
        "questions": sum(asks(line) for line in said),
        "mood": "calm",
        "summary": f"A friendly exchange about {', '.join(topics)}; the user was answered and "
        "nothing is left open, and the tone stayed kind from the first word to the last.",
        "next": "Keep what was said, stay with this tone and wait for the next message.",
    }


_TASKS: dict[str, Callable[[str], dict[str, object]]] = {
    "privacy": _privacy,
    "intent": _intent,
    "extraction": _extraction,
    "analysis": _analysis,
}
