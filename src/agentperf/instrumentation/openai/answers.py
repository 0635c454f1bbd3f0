"""Takes an answer of the SDK: reads what is there, observes what is still to come."""

from __future__ import annotations

import json
from typing import Any

from agentperf.instrumentation.faults import swallowed
from agentperf.instrumentation.lifecycle import ModelCall
from agentperf.instrumentation.model import Answer
from agentperf.instrumentation.openai.bodies import observe_body

KEY = "agentperf.call"
"""Under this name a call stands in its response's extensions until its stream is read."""

_LARGEST = 1 << 20
"""How many bytes of a raw answer that has arrived are read for its usage."""

_OPENS = "response.created"
_CLOSES = frozenset({"response.completed", "response.incomplete", "response.failed"})


def take(call: ModelCall, result: Any, *, streaming: bool) -> None:
    """End the call with an answer that is all there, else observe the rest; never raises."""
    try:
        response = _response(result, streaming=streaming)
        if response is None:
            call.answered(result)
        elif response.is_closed and not streaming:
            call.answered(_body(response))
        else:
            response.extensions[KEY] = call
            observe_body(response, call)
    except Exception as error:  # noqa: BLE001 - the program gets its answer all the same
        swallowed("openai.answer", error)
        call.answered(None)


def claim(response: Any, reader: Any) -> ModelCall | None:
    """Return the call that a stream belongs to, for the one who is going to read it."""
    try:
        call = response.extensions.pop(KEY, None)
    except Exception as error:  # noqa: BLE001
        swallowed("openai.claim", error)
        return None
    if isinstance(call, ModelCall):
        call.claim(reader)
        return call
    return None


def _response(result: Any, *, streaming: bool) -> Any:
    """Find the HTTP response of a result that was not parsed yet."""
    held = getattr(result, "__dict__", {})
    return held.get("http_response") or (held.get("response") if streaming else None)


class _Said(dict[str, Any]):
    """An object of a JSON text; what it doesn't have is None, as in the SDK's own."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


def _body(response: Any) -> Any:
    """Read an answer that has arrived as a whole; it is at hand, nothing is fetched."""
    content = response.content
    is_json = "json" in response.headers.get("content-type", "")
    if len(content) > _LARGEST or not is_json:
        return None
    return json.loads(content, object_hook=_Said)


def read_completion(answer: Answer, thing: Any) -> None:
    """Note what a completion, or a chunk of one, says of itself."""
    if thing is None:
        return
    if answer.head is None:
        answer.head = thing
        answer.id = getattr(thing, "id", None)
        answer.model = getattr(thing, "model", None)
    for choice in getattr(thing, "choices", None) or ():
        if choice.finish_reason:
            answer.finish_reasons.append(choice.finish_reason)
    if (usage := getattr(thing, "usage", None)) is not None:
        answer.reported = usage


def read_embeddings(answer: Answer, thing: Any) -> None:
    """Note what embeddings say of themselves."""
    if thing is not None:
        answer.model = getattr(thing, "model", None)
        answer.reported = getattr(thing, "usage", None)


def read_response(answer: Answer, thing: Any) -> None:
    """Note what a response says of itself."""
    if thing is None:
        return
    answer.head = thing
    answer.reported = getattr(thing, "usage", None)
    answer.id = getattr(thing, "id", None)
    answer.model = getattr(thing, "model", None)
    status = getattr(thing, "status", None)
    if status == "completed":
        calls = any(
            getattr(item, "type", None) == "function_call"
            for item in getattr(thing, "output", None) or ()
        )
        answer.finish_reasons = ["tool_calls" if calls else "stop"]
    elif status == "incomplete":
        reason = getattr(getattr(thing, "incomplete_details", None), "reason", None)
        answer.finish_reasons = ["length" if reason == "max_output_tokens" else str(reason)]
    elif status == "failed":
        answer.finish_reasons = ["error"]
        answer.failure = str(getattr(getattr(thing, "error", None), "code", None) or "failed")


def read_response_event(answer: Answer, event: Any) -> None:
    """Note what an event of a streamed response says of the whole."""
    kind = event.type
    if kind in _CLOSES or kind == _OPENS:
        read_response(answer, event.response)
