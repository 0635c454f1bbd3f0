"""The attributes of a model call's span, beyond those that samplers see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentperf._base.endings import Ending
from agentperf.instrumentation.model import ModelRequest, Told
from agentperf.instrumentation.otel import names

Facts = dict[str, Any]


def facts(request: ModelRequest, told: Told, generations: tuple[names.Generation, ...]) -> Facts:
    """Return them all, to be set at once; what is not known is left out."""
    found: Facts = {}
    _add_request(found, request)
    _add_options(found, request.body)
    if names.LATEST in generations:
        _add_latest(found, request.body)
    _add_answer(found, request, told)
    _add_usage(found, request, told, generations)
    return found


def _add_request(found: Facts, request: ModelRequest) -> None:
    body = request.body
    if request.endpoint.api is not None:
        found[names.API_TYPE] = request.endpoint.api
    if request.streaming:
        found[names.STREAM] = True
    for name, key, kind in names.SETTINGS:
        value = body.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = kind(value)


def _add_options(found: Facts, body: Mapping[str, Any]) -> None:
    count = body.get("n")
    if isinstance(count, int) and count != 1:
        found[names.CHOICES] = count
    if stop := body.get("stop"):
        found[names.STOP] = [stop] if isinstance(stop, str) else [str(word) for word in stop]
    tier = body.get("service_tier")
    if isinstance(tier, str) and tier != "auto":
        found[names.REQUEST_TIER] = tier
    form = body.get("response_format") or _inner(body, "text").get("format")
    if isinstance(form, Mapping):
        found[names.OUTPUT_TYPE] = "json" if "json" in str(form.get("type")) else "text"
    if isinstance(dimensions := body.get("dimensions"), int):
        found[names.DIMENSIONS] = dimensions
    if isinstance(encoding := body.get("encoding_format"), str):
        found[names.ENCODINGS] = [encoding]
    conversation = _inner(body, "conversation").get("id") or body.get("conversation")
    if isinstance(conversation, str):
        found[names.CONVERSATION] = conversation


def _add_latest(found: Facts, body: Mapping[str, Any]) -> None:
    effort = body.get("reasoning_effort") or _inner(body, "reasoning").get("effort")
    if isinstance(effort, str):
        found[names.REASONING_LEVEL] = effort
    if isinstance(previous := body.get("previous_response_id"), str):
        found[names.PREVIOUS_RESPONSE] = previous


def _add_answer(found: Facts, request: ModelRequest, told: Told) -> None:
    answer = told.answer
    if answer.id is not None:
        found[names.RESPONSE_ID] = answer.id
    if answer.finish_reasons:
        found[names.FINISH_REASONS] = answer.finish_reasons
    elif request.streaming and told.ending is not Ending.COMPLETED:
        found[names.FINISH_REASONS] = ["error"]
    if told.first_item is not None:
        found[names.FIRST_CHUNK] = told.first_item
    for name, key in (
        (names.RESPONSE_TIER, "service_tier"),
        (names.FINGERPRINT, "system_fingerprint"),
    ):
        if isinstance(value := answer.said(key), str):
            found[name] = value
    if told.ending not in (Ending.COMPLETED, Ending.FAILED):
        found[names.ENDING] = told.ending.value


def _add_usage(
    found: Facts, request: ModelRequest, told: Told, generations: tuple[names.Generation, ...]
) -> None:
    usage, answer = told.usage, told.answer
    if usage is None:
        return
    found[names.INPUT_TOKENS] = usage.input_tokens
    if request.endpoint.operation != "embeddings":
        found[names.OUTPUT_TOKENS] = usage.output_tokens
    if usage.cached_tokens:
        found[names.CACHE_READ] = usage.cached_tokens
    if usage.cost_usd is not None:
        found[names.COST] = usage.cost_usd
    if written := answer.cache_write_tokens():
        found.update((generation.cache_write, written) for generation in generations)
    if reasoning := answer.reasoning_tokens():
        found[names.REASONING_TOKENS] = reasoning


def _inner(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = body.get(key)
    return inner if isinstance(inner, Mapping) else {}
