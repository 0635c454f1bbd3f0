"""A tokenizer: every word and every other mark is a token."""

from __future__ import annotations

import re

from agentperf.abc import Tokenizer


class WordTokenizer(Tokenizer):
    """Counts words and marks."""

    name = "example-words"
    exact = True  # for the models that it is offered for, this is the definition

    def count(self, text: str) -> int:
        """Return how many words and marks there are."""
        return len(re.findall(r"\w+|[^\w\s]", text))
