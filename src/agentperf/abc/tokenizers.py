"""What counts the tokens of a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable


class Tokenizer(ABC):
    """Counts for one model, or for one family of models.

    What `count` raises is logged once, and the count is estimated instead. It is called by several
    threads at once, and on the path of calls for texts of up to 64 KB: it must not do I/O.
    """

    name: str
    """What the counts say they come from, such as `"words"`: one word, without `+`."""

    exact: bool = False
    """Whether a count is the very number that the model would count."""

    @abstractmethod
    def count(self, text: str) -> int:
        """Return the number of tokens; any text has one, also with lone surrogates in it."""


TokenizerFactory = Callable[[], Tokenizer]
"""Makes a tokenizer; may take its time, and runs in a background thread where a call can't wait."""
