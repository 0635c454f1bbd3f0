"""What the fake model answers: only what its prompt holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentperf.testing.fake_llm.answers import answer
from agentperf.testing.fake_llm.wire import Message

FACTS = "Fact: My sister Clara lives in Ghent.\n- Fact: The van comes on Thursday.\nNo fact at all."


def ask(text: str, system: str = FACTS) -> str:
    """Ask the model something."""
    return answer([Message("system", system), Message("user", text)])


def task(name: str, text: str) -> dict[str, Any]:
    """Give the model a task and return its JSON."""
    said: dict[str, Any] = json.loads(ask(text, f"Task: {name}\nAnswer with a JSON object."))
    return said


def test_a_question_is_answered_with_the_fact_that_fits() -> None:
    """The fact that shares words with the question is in the answer, the others are not."""
    said = ask("Where does my sister live?")
    assert "Ghent" in said
    assert "Thursday" not in said


def test_without_a_fitting_fact_the_model_does_not_know() -> None:
    """Nothing is made up."""
    said = ask("What is the capital of France?")
    assert "don't know" in said
    assert "Paris" not in said
    assert "Ghent" not in said


def test_of_equally_fitting_facts_the_last_one_wins() -> None:
    """A newer fact replaces an older one."""
    said = ask("In which city do I work?", "Fact: I work in Lisbon.\nFact: I work in Porto.")
    assert "Porto" in said
    assert "Lisbon" not in said


def test_a_better_fitting_fact_wins_over_a_later_one() -> None:
    """Order only decides between facts that fit equally well."""
    said = ask("Where does Clara live?", "Fact: Clara lives in Ghent.\nFact: Clara likes tea.")
    assert "Ghent" in said


def test_a_statement_is_acknowledged_in_its_own_words() -> None:
    """What is no question gets the user's own words back."""
    assert "The cat is called Miso." in ask("The cat is called Miso.")


def test_facts_may_stand_in_any_message() -> None:
    """Not only the system message may hold them."""
    said = answer([Message("user", "Fact: Miso is a cat."), Message("user", "Who is Miso?")])
    assert "a cat" in said


def test_an_empty_prompt_gets_an_answer() -> None:
    """A prompt without any user message is no error."""
    assert answer([Message("system", "Be kind.")])


@pytest.mark.parametrize(
    ("text", "private"),
    [("My PIN is 1234.", True), ("I was diagnosed today.", True), ("I like pins.", False)],
)
def test_privacy(text: str, private: bool) -> None:
    """The privacy check finds what must not be stored."""
    assert task("privacy", text)["private"] is private


def test_intent_of_a_question() -> None:
    """Understanding gives kind, search words, names and times."""
    said = task("intent", "When did Clara come lately, on Monday?")
    assert said["kind"] == "question"
    assert said["names"] == ["Clara"]
    assert said["times"] == ["monday"]
    assert said["lately"] is True
    assert "clara" in said["keywords"]


def test_extraction_keeps_statements_only() -> None:
    """Statements become memories, questions don't."""
    said = task("extraction", "The shed has a red door. Where is the key?")
    assert [memory["text"] for memory in said["memories"]] == ["The shed has a red door."]
    assert task("extraction", "Where is the key?")["memories"] == []


def test_analysis_counts_messages_and_questions_of_the_user() -> None:
    """The analysis is about the transcript it was given."""
    said = task("analysis", "User: Where is the key?\nAssistant: Where?\nUser: I found the key.")
    assert (said["messages"], said["questions"]) == (2, 1)
    assert "key" in said["topics"]


def test_an_unknown_task_is_an_ordinary_prompt() -> None:
    """Only the known tasks get JSON."""
    assert "Ghent" in ask("Where does my sister live?", f"Task: poetry\n{FACTS}")
