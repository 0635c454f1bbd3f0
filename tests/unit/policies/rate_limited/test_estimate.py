"""What a call will probably use."""

from __future__ import annotations

import pytest

import agentperf
from agentperf._engine.sizing import quick_count
from agentperf.policies.rate_limited import rate_limited
from agentperf.policies.rate_limited.estimate import are_vectors
from agentperf.testing import FakeClock, fresh_host


@pytest.fixture(autouse=True)
def host():
    """A fresh host."""
    with fresh_host(FakeClock()) as host:
        yield host


class Omit:
    """What a client's signature has where nothing was given."""


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [
        ("four words of text", 3, 6),
        (["four words of text"] * 2, 6, 12),
        (("four words of text",), 3, 6),
        ([1, 2, 3], 3, 3),
        ([[1, 2, 3], [4]], 4, 4),
        ([{"role": "user", "content": "four words of text"}], 4, 20),
        ({"role": "user", "content": "four words of text"}, 4, 20),
        ([{"type": "function_call_output", "output": "four words of text"}], 4, 60),
        ([object()], 1, 60),
        ([], 0, 0),
        (Omit(), 0, 0),
        (None, 0, 0),
        (0, 0, 0),
        (iter("ab"), 0, 0),
    ],
)
def test_anything_can_be_estimated(given, least, most):
    """An argument that is no prompt counts nothing; no call fails for its estimate."""
    assert least <= quick_count(given) <= most


def reserved(limit, function, *args, **kwargs):
    """Return the tokens that a running call has taken of ten thousand."""
    taken = []

    def measured(*args, **kwargs):
        taken.append(10_000 - agentperf.handle(limited).limiter.remaining()["tokens"])
        return function(*args, **kwargs)

    measured.__signature__ = __import__("inspect").signature(function)
    limited = limit(measured)
    limited(*args, **kwargs)
    return taken[0]


def test_a_clients_method_with_values_left_out():
    """Only what was given counts, with the room for an answer."""
    omit = Omit()

    def create(*, input=omit, prompt=omit, model=omit, max_output_tokens=omit):  # noqa: A002
        return None

    limit = rate_limited(tokens="10_000/min")
    assert 512 < reserved(limit, create, input="four words of text") < 530


def test_a_prompt_under_any_name():
    """Where no parameter has a usual name, every text counts."""
    limit = rate_limited(tokens="10_000/min")
    briefing = "word " * 1000
    assert reserved(limit, lambda briefing, client: None, briefing, object()) > 1400


def test_an_embedding_gives_the_room_for_an_answer_back():
    """Vectors are no tokens."""
    work = rate_limited(tokens="10_000/min")(lambda texts: [[0.1, 0.2] for _ in texts])
    work(["one", "two"])
    assert agentperf.handle(work).limiter.remaining()["tokens"] > 9_990


@pytest.mark.parametrize("answer", ["text", [], ["a"], [1], {"a": 1.0}, None, 1.0])
def test_what_is_no_vector(answer):
    """Only floats, or lists of them."""
    assert not are_vectors(answer)


def test_a_cost_with_other_parameters():
    """The error says which it needs; what it raises itself is left as it is."""
    work = rate_limited("9/s", cost=lambda text: len(text) + 1)(lambda text, b=0: None)
    work("a")
    with pytest.raises(agentperf.ConfigurationError, match=r"cost= of .*same parameters.*text, b"):
        work("a", b=2)
    with pytest.raises(TypeError, match="missing"):
        work()
    with pytest.raises(TypeError, match="has no len"):
        work(3)
