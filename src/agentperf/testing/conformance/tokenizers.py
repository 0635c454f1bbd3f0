"""The suite for tokenizers."""

from __future__ import annotations

from agentperf.abc import Tokenizer
from agentperf.testing.conformance.expecting import at_once, expect

TEXTS = (
    "Hello, world!",
    "def f(x):\n\treturn x ** 2\n",
    "Grüße, 東京, Привет, مرحبا, 👩‍👩‍👧",
    "<|endoftext|> [INST] </s>",
    "\0\x1b[0m\r\n",
    "lone surrogate: \ud800 ",
    " " * 1000,
    "a" * 10_000,
    '{"k": [1, 2.5, null]}' * 500,
)
"""Texts that a tokenizer has to get along with."""


class TokenizerConformance:
    """Holds a `Tokenizer` to its contract."""

    def make(self) -> Tokenizer:
        """Return the tokenizer to check."""
        raise NotImplementedError

    def test_it_extends_the_contract(self) -> None:
        """It is a tokenizer with a name that a source can be made of."""
        tokenizer = self.make()
        expect(isinstance(tokenizer, Tokenizer), f"{type(tokenizer).__name__} extends Tokenizer?")
        name = getattr(tokenizer, "name", None)
        fits = isinstance(name, str) and bool(name) and not set(name) & set("+ \n")
        expect(fits, f"name={name!r} must be one word without a plus sign")
        expect(isinstance(tokenizer.exact, bool), "exact must be True or False")

    def test_nothing_has_no_tokens(self) -> None:
        """The empty text counts 0."""
        expect(self.make().count("") == 0, 'count("") must give 0')

    def test_every_text_has_a_count(self) -> None:
        """Any text can be counted, what looks like a special token too."""
        tokenizer = self.make()
        for text in TEXTS:
            count = tokenizer.count(text)
            expect(type(count) is int, f"count({text[:20]!r}) must give an int, not {count!r}")
            expect(count >= 0, f"count({text[:20]!r}) gave {count}")
            expect(count > 0 or not text.strip(), f"count({text[:20]!r}) gave 0 for a text")

    def test_a_token_is_no_shorter_than_a_byte(self) -> None:
        """No text has more tokens than bytes."""
        tokenizer = self.make()
        for text in TEXTS:
            size = len(text.encode("utf-8", "surrogatepass"))
            expect(tokenizer.count(text) <= size, f"more tokens than bytes in {text[:20]!r}")

    def test_longer_texts_count_more(self) -> None:
        """Ten times the text counts several times as much."""
        tokenizer = self.make()
        text = "The quick brown fox jumps over the lazy dog. "
        once, often = tokenizer.count(text), tokenizer.count(text * 10)
        expect(5 * once <= often <= 11 * once, f"{once} tokens once, {often} in ten times the text")

    def test_the_same_text_counts_the_same(self) -> None:
        """Counting again, and in another order, changes nothing."""
        tokenizer = self.make()
        first = [tokenizer.count(text) for text in TEXTS]
        again = [tokenizer.count(text) for text in reversed(TEXTS)]
        expect(first == again[::-1], "the same text must have the same count every time")

    def test_threads(self) -> None:
        """Several threads may count at once."""
        tokenizer = self.make()
        wanted = [tokenizer.count(text) for text in TEXTS]

        def work(_: int) -> None:
            for _ in range(5):
                found = [tokenizer.count(text) for text in TEXTS]
                expect(found == wanted, "threads get other counts than one alone")

        at_once(4, work)
