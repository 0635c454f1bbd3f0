"""Compression of a prompt: stage after stage, only as far as is needed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from agentperf._base.options import Share, refuse_unknown
from agentperf.context.counting import CountTokens, Tokens
from agentperf.context.document import Document, Draft
from agentperf.context.fit import fit
from agentperf.context.keeping import Keep
from agentperf.context.marks import find_marks, marked_tokens, read_mark
from agentperf.context.messages import texts
from agentperf.context.options import CompressOptions, OnFail, checked
from agentperf.context.report import Compressed, CompressionReport, Cut, StageReport
from agentperf.context.stages import COMMENTS, LOSSLESS, LOSSY, Setting, Stage
from agentperf.errors import ContextWindowExceeded

ContentT = TypeVar("ContentT")
"""A text, or a list or tuple of messages."""


def compress(
    content: ContentT,
    *,
    max_tokens: int | None = None,
    ratio: Share | None = None,
    model: str | None = None,
    query: str | None = None,
    keep: Keep | Iterable[Keep] | None = None,
    on_fail: OnFail = "error",
    strip_comments: bool = False,
    count: CountTokens | None = None,
    **unknown: object,
) -> Compressed[ContentT]:
    """Make a prompt shorter, and say what was done.

    Stages run in this order, and none after the one that reaches the target: white space of JSON,
    equal lines, repeated blocks, comments in fenced Python (if asked for), log lines of one shape,
    and at last a selection of the units nearest to the query. Without a target only what loses
    nothing, or was asked for, is done. A mark such as `[... 12 lines (340 tokens) left out ...]`
    stands at the place of every cut and is counted.

    System and developer messages, the user's last message and fenced code survive whole; a call of
    a tool and its results stay or go together; the last message stays. In a list of messages,
    messages with fenced code go last. The content itself is never changed; a result that has
    nothing left out of it is the same object.

    Args:
        content: A text, or a list or tuple of messages as the OpenAI and Anthropic clients take
            them.
        max_tokens: A limit: the result never has more, as the counter in use counts.
        ratio: An aim: the share of the tokens to keep, above 0 and up to 1. What earlier marks say
            was left out counts as part of the content. With `max_tokens` the smaller one holds.
        model: The model whose tokens are counted.
        query: What the units are ranked by. Default: what the user's last message says; for a
            text nothing, and then its beginning and end are preferred.
        keep: Texts, compiled patterns or predicates: a unit in which one is found stays.
        on_fail: What to do when what must stay is over `max_tokens`: `"error"` raises, `"keep"`
            returns the least that can be reached, with `report.fits` False.
        strip_comments: Take comments out of fenced Python too; the code itself stays what it is.
        count: Counts the tokens of a text. Default: `agentperf.count_tokens` for `model`.
        **unknown: Refused, with what was probably meant.

    Raises:
        ConfigurationError: An option is malformed.
        ContextWindowExceeded: What must stay doesn't fit into `max_tokens`.
    """
    refuse_unknown(compress, unknown)
    began = time.perf_counter()
    options = checked(
        max_tokens=max_tokens,
        ratio=ratio,
        query=query,
        keep=keep,
        on_fail=on_fail,
        strip_comments=strip_comments,
        count=count,
    )
    work = _Compression(content, options, Tokens(count or _counter(model)))
    value = work.run()
    report = work.report(value, time.perf_counter() - began)
    if max_tokens is not None and report.tokens_after > max_tokens and on_fail == "error":
        raise ContextWindowExceeded(
            f"the prompt has {report.tokens_before} tokens; what must stay of it (system messages, "
            f"the user's last message, the last message, fenced code, what keep= names) has "
            f"{report.tokens_after} with the marks for what went, over max_tokens={max_tokens}. "
            "Put documents into a message of their own, in front of the question, or compress them "
            "as a text before the message is made; shorten the rest, allow more, or take what can "
            'be had: on_fail="keep"'
        )
    return Compressed(value, report)


def _counter(model: str | None) -> CountTokens:
    from agentperf.tokens import count_tokens

    return partial(count_tokens, model=model)


class _Compression:
    """One compression under way.

    Args:
        content: What is to be made shorter.
        options: How.
        tokens: The counter.
    """

    def __init__(self, content: Any, options: CompressOptions, tokens: Tokens) -> None:
        self._content = content
        self._options = options
        self._tokens = tokens
        self._document = Document(content, tokens)
        self._stages: list[StageReport] = []
        self._draft = self._document.as_it_is()
        self._before = self._size = self._document.size(self._draft)
        self._target = self._aim()

    def run(self) -> Any:
        """Run the stages that are needed; return the result."""
        options, document = self._options, self._document
        query = document.query if options.query is None else options.query
        setting = Setting(self._tokens, options.keep, query)
        for name, stage in self._planned():
            if self._is_done():
                break
            if stage(document, setting):
                self._take(name, document.as_it_is())
        if self._target is not None and not self._is_done():
            self._take("selection", fit(document, self._target, setting))
        return document.content(self._draft) if self._stages else self._content

    def report(self, value: Any, seconds: float) -> CompressionReport:
        """Say what was done."""
        return CompressionReport(
            tokens_before=self._before,
            tokens_after=self._size,
            target=self._target,
            exact=self._tokens.exact,
            stages=tuple(self._stages),
            cuts=tuple(_cuts(value)),
            seconds=seconds,
        )

    def _aim(self) -> int | None:
        """Turn limit and aim into one number of tokens."""
        options = self._options
        aims = [] if options.max_tokens is None else [options.max_tokens]
        if options.ratio is not None:
            earlier = sum(marked_tokens(passage.text) for passage in self._document.passages)
            aims.append(int(options.ratio * (self._before + earlier)))
        return min(aims, default=None)

    def _planned(self) -> list[tuple[str, Stage]]:
        comments = COMMENTS if self._options.strip_comments else ()
        lossy = () if self._target is None else LOSSY
        return [*LOSSLESS, *comments, *lossy]

    def _is_done(self) -> bool:
        return self._target is not None and self._size <= self._target

    def _take(self, name: str, draft: Draft) -> None:
        """Take the result of a stage, unless it gained nothing."""
        size = self._document.size(draft)
        if size >= self._size:
            return
        again = self._stages and self._stages[-1].name == name
        began = self._stages.pop().tokens_before if again else self._size
        self._stages.append(StageReport(name, began, size))
        self._draft, self._size = draft, size


def _cuts(content: Any) -> Iterator[Cut]:
    if isinstance(content, str):
        told: list[tuple[int | None, str]] = [(None, content)]
    else:
        told = [(at, text) for at, message in enumerate(content) for _, text in texts(message)]
    for message, text in told:
        for found in find_marks(text):
            if mark := read_mark(found[0]):
                yield Cut(message, mark.count, mark.noun, mark.tokens)
