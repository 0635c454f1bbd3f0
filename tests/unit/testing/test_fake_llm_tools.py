"""Calls of tools by the fake model, through the real openai client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from agentperf.testing.fake_llm import FakeLLM, ToolCall

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"enum": ["C", "F"]},
        "days": {"type": "integer", "minimum": 3},
        "note": {"type": "string"},
        "places": {"type": "array", "items": {"$ref": "#/$defs/place"}},
        "limit": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "maybe": {"type": ["boolean", "null"]},
        "code": {"type": "string", "minLength": 6},
        "kind": {"const": "forecast"},
    },
    "required": ["city", "unit", "days", "places", "limit", "maybe", "code", "kind"],
    "$defs": {
        "place": {
            "type": "object",
            "properties": {"name": {"type": "string", "default": "Ghent"}},
            "required": ["name"],
        }
    },
}
ARGUMENTS = {
    "city": "text",
    "unit": "C",
    "days": 3,
    "places": [{"name": "Ghent"}],
    "limit": 1.0,
    "maybe": True,
    "code": "textxx",
    "kind": "forecast",
}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},
    {"type": "function", "function": {"name": "now"}},
]
FLAT: list[Any] = [{"type": "function", **tool["function"]} for tool in TOOLS]
ASK: list[Any] = [{"role": "user", "content": "What is the weather like?"}]


@pytest.fixture
def llm() -> Iterator[FakeLLM]:
    """A server."""
    with FakeLLM() as llm:
        yield llm


@pytest.fixture
def client(llm: FakeLLM) -> Iterator[openai.OpenAI]:
    """A client of it."""
    with openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client:
        yield client


def test_a_tool_that_is_demanded(llm: FakeLLM, client: openai.OpenAI) -> None:
    """The first one is called, with what its schema requires and allows, the same each time."""
    ask: Any = {"model": "m", "messages": ASK, "tools": TOOLS, "tool_choice": "required"}
    made = client.chat.completions.create(**ask)
    [choice] = made.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [call] = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == ARGUMENTS
    assert made.usage is not None
    assert made.usage.completion_tokens == llm.stats().output_tokens > 0
    assert client.chat.completions.create(**ask) == made


def test_a_tool_that_is_named(client: openai.OpenAI) -> None:
    """A function without parameters gets none."""
    named: Any = {"type": "function", "function": {"name": "now"}}
    made = client.chat.completions.create(model="m", messages=ASK, tools=TOOLS, tool_choice=named)
    [call] = made.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("now", "{}")


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_a_tool_that_is_only_offered(client: openai.OpenAI, choice: Any) -> None:
    """The model says something, as it always does."""
    chosen = {} if choice is None else {"tool_choice": choice}
    made = client.chat.completions.create(model="m", messages=ASK, tools=TOOLS, **chosen)
    assert made.choices[0].message.tool_calls is None
    assert made.choices[0].message.content


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_tool_that_is_not_there(client: openai.OpenAI, choice: Any) -> None:
    """Is the caller's mistake."""
    with pytest.raises(openai.BadRequestError, match="tool_choice"):
        client.chat.completions.create(
            model="m",
            messages=ASK,
            tools=TOOLS[1:] if choice != "required" else [],
            tool_choice=choice,
        )


def test_a_streamed_call(client: openai.OpenAI) -> None:
    """The client's own helper puts the pieces together to the same call."""
    ask: Any = {"model": "m", "messages": ASK, "tools": TOOLS, "tool_choice": "required"}
    whole = client.chat.completions.create(**ask)
    with client.chat.completions.stream(**ask) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    [streamed] = final.choices[0].message.tool_calls or []
    [call] = whole.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert streamed.function.name == "weather"
    assert streamed.function.arguments == call.function.arguments


def test_responses(llm: FakeLLM, client: openai.OpenAI) -> None:
    """They call tools too, in one piece and streamed."""
    choice: Any = {"type": "function", "name": "weather"}
    ask: Any = {"model": "m", "input": ASK, "tools": FLAT, "tool_choice": choice}
    made = client.responses.create(**ask)
    [item] = made.output
    assert item.type == "function_call"
    assert item.name == "weather"
    assert json.loads(item.arguments) == ARGUMENTS
    with client.responses.stream(**ask) as stream:
        pieces = [e.delta for e in stream if e.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    assert "".join(pieces) == item.arguments
    [streamed] = final.output
    assert streamed.type == "function_call"
    assert (streamed.name, streamed.arguments) == ("weather", item.arguments)


@pytest.mark.parametrize("flat", [False, True])
def test_an_answer_that_calls(flat: bool) -> None:
    """A test decides itself when a tool is called, and sees its result as a message."""

    def answer(messages: Any) -> str | ToolCall:
        if messages[-1].role == "tool":
            return f"It is {messages[-1].text}."
        return ToolCall("weather", {"city": "Ghent"})

    with (
        FakeLLM(answer=answer) as llm,
        openai.OpenAI(base_url=llm.base_url, api_key="none") as client,
    ):
        if flat:
            [item] = client.responses.create(model="m", input=ASK, tools=FLAT).output
            assert item.type == "function_call"
            result = {"type": "function_call_output", "call_id": item.call_id, "output": "raining"}
            given: Any = [*ASK, item.model_dump(), result]
            said = client.responses.create(model="m", input=given).output_text
        else:
            made = client.chat.completions.create(model="m", messages=ASK, tools=TOOLS)
            message = made.choices[0].message
            [call] = message.tool_calls or []
            more: Any = [message, {"role": "tool", "tool_call_id": call.id, "content": "raining"}]
            again = client.chat.completions.create(model="m", messages=[*ASK, *more])
            said = again.choices[0].message.content or ""
    assert said == "It is raining."


def test_a_schema_that_refers_to_itself(client: openai.OpenAI) -> None:
    """Has an end all the same."""
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/node"}},
        "required": ["next"],
    }
    tool: Any = {
        "type": "function",
        "function": {"name": "walk", "parameters": {**node, "$defs": {"node": node}}},
    }
    made = client.chat.completions.create(
        model="m", messages=ASK, tools=[tool], tool_choice="required"
    )
    [call] = made.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert "next" in json.loads(call.function.arguments)
