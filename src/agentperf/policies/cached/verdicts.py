"""Whether an answer deserves to be kept: replies of models that are no answers do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentperf._base.log import fault
from agentperf.policies.cached.flights.recording import items_of
from agentperf.policies.cached.options import StoreIf

CUT_OFF = "the reply was cut off"
FILTERED = "the reply was filtered"
REFUSED = "the model refused"
EMPTY = "the reply is empty"
FAILED = "the reply is an error"
NOT_WANTED = "store_if said no"
NO_VERDICT = "store_if failed"

Verdict = Callable[[Any], str | None]
"""Gives the reason why an answer is not kept; None for one that may be."""

_PLAIN = frozenset({type(None), bool, int, float, str, bytes, tuple, list, set, frozenset})


def verdict_by(store_if: StoreIf | None, operation: str) -> Verdict:
    """Return what judges the answers of a cache.

    Args:
        store_if: What the user asked for.
        operation: Whose answers they are, for the log.
    """
    if store_if is None:
        return _quietly(unfit, operation, on_failure=None)
    if store_if == "always":
        return _always

    def by_callable(answer: Any) -> str | None:
        return None if store_if(items_of(answer)) else NOT_WANTED

    return _quietly(by_callable, operation, on_failure=NO_VERDICT)


def _always(_: Any) -> None:
    return None


def _quietly(judge: Verdict, operation: str, on_failure: str | None) -> Verdict:
    """Judge, but let no error of the judgement reach the call; it is told once."""
    told = False

    def verdict(answer: Any) -> str | None:
        nonlocal told
        try:
            return judge(answer)
        except Exception as error:  # noqa: BLE001 - the caller has an answer
            if not told:
                told = True
                fault("cache.no_verdict", error, operation=operation)
            return on_failure

    return verdict


def unfit(answer: Any) -> str | None:
    """Return why an answer is no good reply of a model; None for any other answer.

    Replies are known by their shape, as objects and as plain dicts: chat completions and responses
    as openai makes them, messages as anthropic makes them, errors as either writes them, and
    streams of their chunks. Whatever looks like none of these is good.
    """
    items = items_of(answer)
    if items is not answer:
        return _unfit_stream(items)
    if type(answer) in _PLAIN:
        return None
    if _is_error(answer):
        return FAILED
    if _is_completion(answer):
        return _unfit_choices(_get(answer, "choices"))
    if _get(answer, "object") == "response":
        return _unfit_response(answer)
    is_message = _get(answer, "type") == "message" and _is_list(_get(answer, "content"))
    return _unfit_message(answer) if is_message else None


def _is_error(answer: Any) -> bool:
    error = _get(answer, "error")
    if isinstance(answer, Mapping) and isinstance(error, str) and error and len(answer) == 1:
        return True
    return bool(isinstance(_get(error, "message"), str) and _get(answer, "output") is None)


def _is_completion(answer: Any) -> bool:
    choices = _get(answer, "choices")
    if not _is_list(choices):
        return False
    if _get(answer, "object") in ("chat.completion", "text_completion"):
        return True
    return bool(choices) and all(_has(choice, "finish_reason") for choice in choices)


def _unfit_choices(choices: Sequence[Any]) -> str | None:
    if not choices:
        return EMPTY
    for choice in choices:
        if (reason := _by_ending(_get(choice, "finish_reason"), ended=True)) is not None:
            return reason
        message = _get(choice, "message")
        if message is None:
            if _get(choice, "text") == "":
                return EMPTY
            continue
        if _is_text(_get(message, "refusal")):
            return REFUSED
        said = (_get(message, name) for name in ("content", "tool_calls", "function_call", "audio"))
        if not any(said):
            return EMPTY
    return None


def _unfit_response(response: Any) -> str | None:
    status = _get(response, "status")
    if _get(response, "error") is not None or status == "failed":
        return FAILED
    if status == "incomplete":
        reason = _get(_get(response, "incomplete_details"), "reason")
        return FILTERED if reason == "content_filter" else CUT_OFF
    if status in ("cancelled", "in_progress", "queued"):
        return CUT_OFF
    output = _get(response, "output")
    if _is_list(output):
        if not output:
            return EMPTY
        parts = [_get(item, "content") for item in output]
        kinds = [_get(part, "type") for content in parts if _is_list(content) for part in content]
        if "refusal" in kinds:
            return REFUSED
    return None


def _unfit_message(message: Any) -> str | None:
    if (reason := _by_ending(_get(message, "stop_reason"), ended=True)) is not None:
        return reason
    content = _get(message, "content")
    texts = [_get(block, "text") for block in content if _get(block, "type") == "text"]
    if len(texts) == len(content) and not any(texts):
        return EMPTY
    return None


_ENDINGS = {
    "length": CUT_OFF,
    "max_tokens": CUT_OFF,
    "model_context_window_exceeded": CUT_OFF,
    "pause_turn": CUT_OFF,
    "content_filter": FILTERED,
    "refusal": REFUSED,
}


def _by_ending(ending: Any, *, ended: bool) -> str | None:
    """Judge by why a reply ended; one that has ended must say why."""
    if ending is None:
        return CUT_OFF if ended else None
    return _ENDINGS.get(ending) if isinstance(ending, str) else None


def _unfit_stream(items: Sequence[Any]) -> str | None:
    is_chat = is_message = False
    endings = []
    for item in items:
        if type(item) in _PLAIN:
            continue
        kind = _get(item, "type")
        if _is_error(item) or kind in ("error", "response.failed"):
            return FAILED
        if kind == "response.incomplete":
            return _unfit_response(_get(item, "response")) or CUT_OFF
        is_message = is_message or kind == "message_start"
        if kind == "message_delta":
            endings.append(_get(_get(item, "delta"), "stop_reason"))
        elif _is_list(choices := _get(item, "choices")):
            is_chat = is_chat or any(_has(choice, "finish_reason") for choice in choices)
            endings.extend(_get(choice, "finish_reason") for choice in choices)
            if any(_is_text(_get(_get(choice, "delta"), "refusal")) for choice in choices):
                return REFUSED
    said = [ending for ending in endings if ending is not None]
    if (is_chat or is_message) and not said:
        return CUT_OFF
    return next((reason for ending in said if (reason := _by_ending(ending, ended=True))), None)


def _get(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return None if type(holder) in _PLAIN else getattr(holder, name, None)


def _has(holder: Any, name: str) -> bool:
    return name in holder if isinstance(holder, Mapping) else hasattr(holder, name)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
