"""Texts are counted exactly when that is possible, and never fail to be counted."""

from __future__ import annotations

import logging
import os
import random
import threading
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentperf.tokens import engines
from agentperf.tokens.count import TokenCount
from agentperf.tokens.engines import Engine, Loader, encoding, estimating, load, look_again
from agentperf.tokens.vocabularies import KNOWN

ANY = st.text(st.characters(), max_size=60)


@pytest.fixture(scope="session")
def peer(name):
    """Another implementation of the same vocabulary."""
    bindings = pytest.importorskip("bpe_openai._bindings")
    return bindings.tokenizer_for_encoding(name)


@given(text=st.text(max_size=80))
@example(text="<|endoftext|> is <|im_start|> text")
@example(text="don't WE'LL 1234567 \n\n  x\t")
def test_counts_are_those_of_another_implementation(loaded, name, peer, text):
    """Texts have the tokens that an independent tokenizer gives them."""
    count = loaded[name].count(text)
    assert (count, count.exact, count.source) == (peer.count(text), True, f"tiktoken:{name}")


def test_special_tokens_are_text(loaded, name):
    """Text that looks like a special token is counted as the characters it is."""
    count = loaded[name].count("<|endoftext|>")
    assert count > 5
    assert count.exact


@pytest.mark.parametrize("text", ["bad \ud83d surrogate", "\udc00", "\ud800" * 50])
def test_lone_surrogates_are_counted(loaded, name, text):
    """Text that has no UTF-8 form still has a count."""
    assert loaded[name].count(text) > 0


@given(one=ANY, other=ANY)
def test_joining_texts(loaded, name, one, other):
    """Two texts in one have no more tokens than bytes, and at least one if there is any text."""
    count = loaded[name].count(one + other)
    assert count <= len((one + other).encode("utf-8", "surrogatepass"))
    assert (count > 0) is bool(one + other)


@given(texts=st.lists(st.sampled_from("ab") | ANY, max_size=12))
def test_the_memory_changes_nothing(texts):
    """However often and in whatever order texts are counted, each has its own count."""
    engine = Engine(lambda text: TokenCount(len(text)), entries=4)
    assert [engine.count(text) for text in texts] == [len(text) for text in texts]


def test_texts_are_counted_once():
    """A text that was counted before is not counted again, be it short or long."""
    seen = []

    def measure(text):
        seen.append(text)
        return TokenCount(len(text))

    engine = Engine(measure, entries=8)
    for text in ("short", "long " * 2_000, "short", "long " * 2_000):
        engine.count(text)
    assert len(seen) == 2


def test_long_texts_are_not_kept():
    """The memory of long texts keeps digests: the texts themselves can go."""
    engine = Engine(lambda text: TokenCount(1), entries=8)
    key = engines._Long("x" * 10_000)
    engine._long(key)
    assert key.text == ""
    assert key != "x"


def test_the_memory_is_bounded():
    """Only so many texts are remembered."""
    engine = Engine(lambda text: TokenCount(1), entries=8)
    for number in range(100):
        engine.count(str(number))
        engine.count(f"{number} " * 3_000)
    assert engine._short.cache_info().currsize == 8
    assert engine._long.cache_info().currsize == 2


@given(text=st.text(max_size=60), limit=st.integers(0, 80))
def test_within_agrees_with_the_count(loaded, name, text, limit):
    """A text is within a limit exactly when its count is."""
    engine, count = loaded[name], loaded[name].count(text)
    assert engine.within(text, limit) == (count if count <= limit else None)


def test_within_stops_early():
    """Once the limit is passed, nothing more is read."""
    seen = []

    def measure(text):
        seen.append(text)
        return TokenCount(len(text))

    text = "many words " * 100_000
    assert Engine(measure, entries=8).within(text, 100) is None
    assert len(seen) == 1


def test_long_text_is_counted_in_parts(loaded, name, peer):
    """A long text has the same tokens as in one piece."""
    rng = random.Random(1)
    words = ("the", "answer", "is", "42,", "not", "41.", "\n", "你好，世界", "don't")  # noqa: RUF001
    text = " ".join(rng.choices(words, k=30_000))
    count = loaded[name].count(text)
    assert (count, count.exact) == (peer.count(text), True)


@pytest.mark.parametrize("run", [" ", "\n", "a", "中", "^"])
def test_a_million_of_anything(loaded, name, run):
    """Endless runs, on which tokenizers fail or take minutes, are counted, if not exactly."""
    began = time.process_time()
    count = loaded[name].count(run * 1_000_000)
    assert time.process_time() - began < 5
    assert count == pytest.approx(loaded[name].count(run * 50_000) * 20, rel=0.02)
    assert count.error == 0.01


def test_what_can_not_be_encoded_is_estimated(caplog):
    """When the tokenizer fails, the count is an estimate and the failure one line in the log."""

    def fails(text):
        raise ValueError("stack overflow")

    with caplog.at_level(logging.WARNING, "agentperf"):
        count = encoding("o200k_base", fails).count("some text")
    assert (count.source, count.exact) == ("estimate:o200k_base", False)
    assert [record.message.split()[0] for record in caplog.records] == ["tokens.not_encoded"]


def test_nothing_to_load(elsewhere):
    """Without a file there is no engine."""
    assert load(KNOWN["o200k_base"]) is None


def test_a_tokenizer_that_does_not_start(monkeypatch, caplog):
    """A missing or broken tiktoken means estimates, not errors."""
    monkeypatch.setitem(__import__("sys").modules, "tiktoken", None)
    with caplog.at_level(logging.WARNING, "agentperf"):
        assert load(KNOWN["cl100k_base"]) is None
    assert [record.message.split()[0] for record in caplog.records] == ["vocabulary.not_loaded"]


class Work:
    """Loading that goes on until it is told to end."""

    def __init__(self, result: Engine | None) -> None:
        self.result = result
        self.times = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.ended = threading.Event()

    def __call__(self) -> Engine | None:
        """Give the result, when that is allowed."""
        self.times += 1
        assert self.may_end.wait(10)
        self.ended.set()
        return self.result


def test_many_ask_and_one_loads():
    """A vocabulary is loaded once, however many threads ask for it at the same time."""
    work = Work(estimating("o200k_base"))
    loader = Loader(work)
    found = []
    threads = [threading.Thread(target=lambda: found.append(loader.now())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [work.result] * 8
    assert work.times == 1


def test_who_does_not_wait_begins_the_loading():
    """The first one who does not wait gets nothing, and later ones the engine."""
    work = Work(estimating("o200k_base"))
    work.may_end.clear()
    loader = Loader(work)
    assert loader.at_hand() is None
    assert loader.at_hand() is None
    work.may_end.set()
    assert loader.now() is work.result
    assert loader.at_hand() is work.result
    assert work.times == 1


def test_no_thread_can_be_started(monkeypatch):
    """Where no thread can be started, there is no engine yet, and no error."""
    loader = Loader(Work(estimating("o200k_base")))

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert loader.at_hand() is None
    assert loader.now() is not None


def test_what_is_missing_is_looked_for_once():
    """A vocabulary that is not there is not looked for at every count, only when told to."""
    work = Work(None)
    loader = Loader(work)
    assert (loader.now(), loader.now(), loader.at_hand()) == (None, None, None)
    assert work.times == 1
    look_again()
    work.result = estimating("o200k_base")
    assert loader.now() is work.result
    look_again()
    assert loader.now() is work.result
    assert work.times == 2


def test_counting_while_loading_in_the_same_thread():
    """A log handler that counts tokens, while loading writes to the log, gets no engine yet."""
    inner = []

    def work():
        inner.append(loader.now())
        return estimating("o200k_base")

    loader = Loader(work)
    assert loader.now() is not None
    assert inner == [None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_while_loading():
    """A child that was forked while a thread was loading loads for itself and does not hang."""
    work = Work(estimating("o200k_base"))
    work.may_end.clear()
    loader = Loader(work)
    loader.at_hand()
    while not work.times:
        time.sleep(0.001)
    child = os.fork()
    if not child:
        work.may_end = threading.Event()
        work.may_end.set()
        os._exit(0 if loader.now() is work.result else 1)
    work.may_end.set()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert loader.now() is work.result
