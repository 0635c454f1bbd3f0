"""Cutting long text where a cut can't change its tokens.

Both vocabularies first split text into pieces by a pattern, and no token reaches over the edge of
a piece. In either pattern a space can only begin a piece or follow another blank, and letters and
digits never share a piece with a line break, or with the punctuation of Chinese and Japanese, that
comes after them. So a piece ends wherever one of those follows, and the pattern never looks back:
counting the parts gives exactly the count of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

PART = 16_384
"""Characters after which the next safe place for a cut is looked for: about a millisecond."""

# Only letters that every version of Unicode knows as letters.
_SAFE = re.compile(
    r"(?<=\S)(?= )"
    r"|(?<=[0-9A-Za-z\u0400-\u0481\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3])"
    r"(?=[\n\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f])"
)


def parts(text: str, size: int = PART) -> Iterator[str]:
    """Cut `text` at the first safe places after every `size` characters.

    A stretch without a safe place stays whole, however long it is.
    """
    begin = 0
    while len(text) - begin > size and (cut := _SAFE.search(text, begin + size)):
        yield text[begin : cut.start()]
        begin = cut.start()
    yield text[begin:]
