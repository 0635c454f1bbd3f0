"""What a compression did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

ContentT = TypeVar("ContentT")


@dataclass(frozen=True, slots=True)
class Cut:
    """One place in the result where something is left out.

    Attributes:
        message: Which message of the result the mark is in; None when the content is one text.
        count: How many units were left out.
        noun: What they are, in the singular: line, sentence, item, message, part.
        tokens: How many tokens they had.
    """

    message: int | None
    count: int
    noun: str
    tokens: int


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage did.

    Attributes:
        name: `"json"`, `"equal_lines"`, `"comments"`, `"repeats"`, `"log_lines"` or `"selection"`.
        tokens_before: Tokens of the whole content when it began.
        tokens_after: Tokens of the whole content when it was done.
    """

    name: str
    tokens_before: int
    tokens_after: int

    @property
    def tokens_removed(self) -> int:
        """By how many tokens the content became shorter."""
        return self.tokens_before - self.tokens_after


@dataclass(frozen=True, slots=True)
class CompressionReport:
    """What a compression did, in numbers.

    Attributes:
        tokens_before: Tokens of the content as it was given.
        tokens_after: Tokens of the result, its marks included.
        target: Tokens that the result was to have at most; None without a target.
        exact: Whether all counts are exact; False when some are estimates.
        stages: What each stage that ran did, in order.
        cuts: The places where something is left out, in order; earlier compressions included.
        seconds: How long it took.
    """

    tokens_before: int
    tokens_after: int
    target: int | None
    exact: bool
    stages: tuple[StageReport, ...] = ()
    cuts: tuple[Cut, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def ratio(self) -> float:
        """The share of the tokens that was kept, from 0 to 1."""
        return self.tokens_after / self.tokens_before if self.tokens_before else 1.0

    @property
    def context_compression_ratio(self) -> float:
        """The share of the tokens that was removed, from 0 to 1."""
        return 1.0 - self.ratio

    @property
    def fits(self) -> bool:
        """Whether the result is within the target; True without one."""
        return self.target is None or self.tokens_after <= self.target

    def __str__(self) -> str:
        about = "" if self.exact else "about "
        told = f"{about}{self.tokens_before} -> {self.tokens_after} tokens"
        told += f" ({self.context_compression_ratio:.0%} removed, {len(self.cuts)} cuts)"
        return told if self.fits else f"{told}, over the target of {self.target}"


@dataclass(frozen=True, slots=True)
class Compressed(Generic[ContentT]):
    """Compressed content and what was done to it.

    Attributes:
        value: The content, of the type that was given.
        report: What the compression did.
    """

    value: ContentT
    report: CompressionReport
