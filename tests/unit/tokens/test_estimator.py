"""The estimate is near, and says how near."""

from __future__ import annotations

import inspect
import json
import pydoc_data.topics
import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.tokens.estimator import COSTS, estimate

ENGLISH = "\n".join(pydoc_data.topics.topics.values())
PYTHON = "\n".join(map(inspect.getsource, (inspect, subprocess)))
_RANDOM = random.Random(0)
JSON = json.dumps(
    [
        {
            "id": _RANDOM.randrange(10**9),
            "name": "".join(_RANDOM.choices("abcdefghij", k=6)),
            "score": round(_RANDOM.random(), 4),
            "tags": ["new", "open"],
        }
        for _ in range(300)
    ]
)
RUSSIAN = "Сервер не ответил вовремя, поэтому запрос был повторён через две секунды. " * 30
CHINESE = "服务器没有及时响应，因此请求在两秒后重试。请检查网络连接，然后再试一次。" * 150  # noqa: RUF001


def chunks(text: str, size: int = 2000) -> list[str]:
    """Cut a text into pieces of one size, at most sixty of them."""
    return [text[i : i + size] for i in range(0, len(text) - size + 1, size)][:60]


@pytest.mark.parametrize("text", [ENGLISH, PYTHON, JSON])
def test_nine_of_ten_texts_are_within_the_error(loaded, name, text):
    """What an estimate says of its own error holds."""
    found = [(estimate(chunk, name), loaded[name].count(chunk)) for chunk in chunks(text)]
    within = [abs(tokens - true) <= error * true for (tokens, error), true in found]
    assert found
    assert sum(within) >= 0.9 * len(within)


@pytest.mark.parametrize("text", [RUSSIAN, CHINESE])
def test_other_scripts_are_not_far_off(loaded, name, text):
    """A single sentence may be further off, but not by a multiple, as by counting characters."""
    assert estimate(text, name)[0] == pytest.approx(loaded[name].count(text), rel=0.4)


@pytest.mark.parametrize(("text", "most"), [(ENGLISH, 0.06), (PYTHON, 0.1), (JSON, 0.15)])
def test_the_mean_error_is_small(loaded, text, most):
    """English, code and JSON are estimated to within a few percent."""
    errors = [
        abs(estimate(chunk, "o200k_base")[0] / loaded["o200k_base"].count(chunk) - 1)
        for chunk in chunks(text)
    ]
    assert sum(errors) / len(errors) < most


def test_no_text_has_no_tokens(name):
    """The empty text is the one that needs no estimate."""
    assert estimate("", name) == (0, 0.0)


@given(text=st.text(st.characters(), min_size=1))
def test_every_text_has_an_estimate(text):
    """Any text, surrogates and all, has between one token and one per byte."""
    for name in COSTS:
        tokens, error = estimate(text, name)
        assert 1 <= tokens <= len(text.encode("utf-8", "surrogatepass"))
        assert error > 0


@pytest.mark.parametrize("run", ["a", "A", " ", "\n", "-", "\x00", "中", "😀"])
def test_endless_runs_are_bounded(loaded, name, run):
    """A run that is no text costs no more time than text, and its estimate knows its limits."""
    tokens, error = estimate(run * 1_000_000, name)
    true = loaded[name].count(run * 4_000) * 250
    assert abs(tokens - true) <= max(error, 1) * max(tokens, true)


def test_a_run_of_letters_is_uncertain(name):
    """Letters without end may be anything; the error says so."""
    assert estimate("x" * 5_000, name)[1] > 1
    assert estimate("a plain sentence with words " * 20, name)[1] < 0.3
