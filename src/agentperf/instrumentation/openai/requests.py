"""Reads what a request of the SDK asks for."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from typing import Any

from agentperf.instrumentation.model import Endpoint, ModelRequest
from agentperf.instrumentation.openai.answers import (
    read_completion,
    read_embeddings,
    read_response,
    read_response_event,
)

_ENDPOINTS: Mapping[str, Endpoint] = types.MappingProxyType(
    {
        "/chat/completions": Endpoint("chat", "chat_completions", read_completion, read_completion),
        "/responses": Endpoint("chat", "responses", read_response, read_response_event),
        "/completions": Endpoint("text_completion", None, read_completion, read_completion),
        "/embeddings": Endpoint("embeddings", None, read_embeddings, read_embeddings),
    }
)

_PROVIDERS = types.MappingProxyType(
    {
        "openai.azure.com": "azure.ai.openai",
        "groq.com": "groq",
        "deepseek.com": "deepseek",
        "mistral.ai": "mistral_ai",
        "x.ai": "x_ai",
        "perplexity.ai": "perplexity",
        "moonshot.ai": "moonshot_ai",
        "moonshot.cn": "moonshot_ai",
        "generativelanguage.googleapis.com": "gcp.gemini",
    }
)
"""Who speaks this SDK's language, by the end of the host's name."""

_PORTS = types.MappingProxyType({"https": 443, "http": 80})


def read_request(client: Any, options: Any, *, streaming: bool) -> ModelRequest | None:
    """Return what a request asks of a model; None for any other request."""
    endpoint = _ENDPOINTS.get(options.url)
    if endpoint is None or options.method.lower() != "post":
        return None
    body = options.json_data
    url = client.base_url
    host = url.host
    return ModelRequest(
        endpoint,
        body if isinstance(body, Mapping) else {},
        _provider(tuple(base.__name__ for base in type(client).__mro__), host),
        host,
        url.port or _PORTS.get(url.scheme, 443),
        streaming=streaming,
    )


@functools.lru_cache(maxsize=256)
def _provider(kinds: tuple[str, ...], host: str) -> str:
    """Tell who runs the model, by the client's classes or the name of the host."""
    if "BaseAzureClient" in kinds:
        return "azure.ai.openai"
    for ending, provider in _PROVIDERS.items():
        if host == ending or host.endswith(f".{ending}"):
            return provider
    return "openai"
