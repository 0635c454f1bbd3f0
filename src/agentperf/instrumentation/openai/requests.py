"""Reads what a request of the SDK asks for."""

from __future__ import annotations

import types
import weakref
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
    place = _places.get(client)
    if place is None or place.url is not url:
        place = _places[client] = _Place(client, url)
    return ModelRequest(
        endpoint,
        body if type(body) is dict or isinstance(body, Mapping) else {},
        place.provider,
        place.host,
        place.port,
        streaming=streaming,
    )


class _Place:
    """Where a client's requests go; taking an address apart costs more than a look into a table."""

    __slots__ = ("host", "port", "provider", "url")

    def __init__(self, client: Any, url: Any) -> None:
        self.url = url
        self.host: str = url.host
        self.port: int = url.port or _PORTS.get(url.scheme, 443)
        self.provider = _provider(type(client), self.host)


_places: weakref.WeakKeyDictionary[Any, _Place] = weakref.WeakKeyDictionary()


def _provider(client: type, host: str) -> str:
    """Tell who runs the model, by the kind of the client or the name of the host."""
    if any(base.__name__ == "BaseAzureClient" for base in client.__mro__):
        return "azure.ai.openai"
    for ending, provider in _PROVIDERS.items():
        if host == ending or host.endswith(f".{ending}"):
            return provider
    return "openai"
