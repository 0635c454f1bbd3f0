"""Values to bytes and back, beside what keeps no types and what isn't safe."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agentperf.codec import Codec
from tests.benchmarks.harness import Make, Peer, Race
from tests.benchmarks.rows import SHOWN, Row, within

Both = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]
"""How to encode, how to decode."""

GOAL = within(goal=1.5)


@dataclass
class Hit:
    """A result of a search."""

    id: int
    title: str
    text: str
    score: float
    tags: list[str]


def completion() -> Any:
    """Make an answer of a model, 2.4 KB as JSON."""
    from openai.types.chat import ChatCompletion

    details = {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0}
    tokens = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    return ChatCompletion.model_validate(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "service_tier": "default",
            "system_fingerprint": "fp-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "logprobs": None,
                    "message": {
                        "role": "assistant",
                        "content": "The tomatoes were watered. " * 70,
                        "refusal": None,
                        "annotations": [],
                    },
                }
            ],
            "usage": {**tokens, "completion_tokens_details": details},
        }
    )


def hits() -> list[Hit]:
    """Make 50 dataclasses."""
    text = "some text " * 10
    return [Hit(n, f"title {n}", text, n / 7, ["a", "b", "c"]) for n in range(50)]


def embedding() -> list[float]:
    """Make 1,536 floats."""
    return [random.random() for _ in range(1536)]


def rows_of_json() -> dict[str, Any]:
    """Make what a tool answers: 30 rows of plain values."""
    return {"ok": True, "rows": [{"id": n, "name": f"row {n}", "ok": True} for n in range(30)]}


def _ours(_: object) -> Both:
    codec = Codec()
    return codec.encode, codec.decode


def _pickle(_: object) -> Both:
    return lambda value: pickle.dumps(value, 5), pickle.loads


def _json(_: object) -> Both:
    return lambda value: json.dumps(value).encode(), json.loads


def _msgspec(value: object) -> Both:
    """Read into the types it is told, and believe them."""
    import msgspec

    encoder = msgspec.msgpack.Encoder()
    if isinstance(value, list) and isinstance(value[0], Hit):
        return encoder.encode, msgspec.msgpack.Decoder(list[Hit]).decode
    if not hasattr(value, "model_dump"):
        return encoder.encode, msgspec.msgpack.Decoder().decode
    read, validate = msgspec.msgpack.Decoder().decode, type(value).model_validate
    return (
        lambda model: encoder.encode(model.model_dump(exclude_unset=True)),
        lambda data: validate(read(data)),
    )


def _encoding(value: Any, make: Callable[[object], Both]) -> Make:
    def made() -> Callable[[str], Any]:
        encode, _ = make(value)
        return lambda _: encode(value)

    return made


def _decoding(value: Any, make: Callable[[object], Both]) -> Make:
    def made() -> Callable[[str], Any]:
        encode, decode = make(value)
        data = encode(value)
        return lambda _: decode(data)

    return made


def _races(name: str, value: Any) -> Iterator[Race]:
    others: list[tuple[str, Callable[[object], Both], Any]] = [
        ("msgspec, types told", _msgspec, GOAL),
        ("pickle, unsafe", _pickle, SHOWN),
    ]
    if isinstance(value, dict) or isinstance(value[0] if isinstance(value, list) else 0, float):
        others.append(("json", _json, SHOWN))
    for path, task in (("encode", _encoding), ("decode", _decoding)):
        peers = tuple(Peer(peer, task(value, make), terms) for peer, make, terms in others)
        yield Race(f"{path} {name}", task(value, _ours), peers)


def rows(rounds: int) -> Iterator[Row]:
    """Measure both ways, for four values."""
    values = {
        "a ChatCompletion": completion(),
        "50 dataclasses": hits(),
        "1,536 floats": embedding(),
        "30 rows of JSON": rows_of_json(),
    }
    for name, value in values.items():
        for race in _races(name, value):
            yield from race.rows(rounds)
