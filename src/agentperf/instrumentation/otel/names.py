"""The names of OpenTelemetry's conventions, in the generations that are in use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

SCOPE = "agentperf"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
STREAM = "gen_ai.request.stream"
OUTPUT_TYPE = "gen_ai.output.type"
CHOICES = "gen_ai.request.choice.count"
STOP = "gen_ai.request.stop_sequences"
REASONING_LEVEL = "gen_ai.request.reasoning.level"
PREVIOUS_RESPONSE = "gen_ai.request.previous_response.id"
CONVERSATION = "gen_ai.conversation.id"
DIMENSIONS = "gen_ai.embeddings.dimension.count"
ENCODINGS = "gen_ai.request.encoding_formats"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"
MODALITY = "gen_ai.token.modality"
API_TYPE = "openai.api.type"
REQUEST_TIER = "openai.request.service_tier"
RESPONSE_TIER = "openai.response.service_tier"
FINGERPRINT = "openai.response.system_fingerprint"

ERROR = "error.type"
ADDRESS = "server.address"
PORT = "server.port"

METHOD = "http.request.method"
METHOD_ORIGINAL = "http.request.method_original"
RESEND = "http.request.resend_count"
STATUS = "http.response.status_code"
URL = "url.full"
PROTOCOL = "network.protocol.version"
HTTP_DURATION = "http.client.request.duration"

ENDING = "agentperf.ending"
"""Ours: `closed`, `abandoned` or `cancelled`, where a call didn't come to its own end."""
COST = "agentperf.cost_usd"
"""Ours: what the call cost, in US dollars, where the price is known."""

SETTINGS = (
    ("gen_ai.request.temperature", "temperature", float),
    ("gen_ai.request.top_p", "top_p", float),
    ("gen_ai.request.frequency_penalty", "frequency_penalty", float),
    ("gen_ai.request.presence_penalty", "presence_penalty", float),
    ("gen_ai.request.max_tokens", "max_tokens", int),
    ("gen_ai.request.max_tokens", "max_output_tokens", int),
    ("gen_ai.request.max_tokens", "max_completion_tokens", int),
    ("gen_ai.request.seed", "seed", int),
)
"""Numbers of a request: attribute, the name in the body, the type."""

SECONDS = tuple(0.01 * 2**power for power in range(14))
TOKENS = tuple(float(4**power) for power in range(14))
HTTP_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Generation:
    """What differs between two states of the GenAI conventions.

    Attributes:
        duration: Metric of the seconds of a chat or text completion.
        first_chunk: Metric of the seconds to a stream's first chunk.
        per_chunk: Metric of the seconds of each further chunk.
        cache_write: Attribute of the tokens written to the provider's cache.
        counts_tokens: Whether tokens are counters of their own rather than one histogram.
    """

    duration: str
    first_chunk: str
    per_chunk: str
    cache_write: str
    counts_tokens: bool


V1_41 = Generation(
    duration="gen_ai.client.operation.duration",
    first_chunk="gen_ai.client.operation.time_to_first_chunk",
    per_chunk="gen_ai.client.operation.time_per_output_chunk",
    cache_write="gen_ai.usage.cache_creation.input_tokens",
    counts_tokens=False,
)
"""As last published with the other conventions: what backends understand today."""

LATEST = Generation(
    duration="gen_ai.client.inference.duration",
    first_chunk="gen_ai.client.inference.time_to_first_chunk",
    per_chunk="gen_ai.client.inference.time_per_output_chunk",
    cache_write="gen_ai.usage.cache_write.input_tokens",
    counts_tokens=True,
)
"""As the GenAI conventions stood in autumn 2026."""

EMBEDDINGS_DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"
COUNTERS = (
    "input_tokens",
    "output_tokens",
    "cache_read.input_tokens",
    "cache_write.input_tokens",
    "reasoning.output_tokens",
)
COUNTER = "gen_ai.client.inference.usage."
PER_OPERATION = "gen_ai.client.inference.operation."


def generations(environment: Mapping[str, str] = os.environ) -> tuple[Generation, ...]:
    """Return the generations to emit, as `OTEL_SEMCONV_STABILITY_OPT_IN` asks for."""
    asked = environment.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
    wanted = {word.strip() for word in asked}
    if "gen_ai_latest_experimental/dup" in wanted:
        return V1_41, LATEST
    return (LATEST,) if "gen_ai_latest_experimental" in wanted else (V1_41,)
