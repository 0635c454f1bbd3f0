"""A distribution of durations in log-spaced buckets, which adds up without loss."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from agentperf.errors import ConfigurationError
from agentperf.telemetry.buckets import MAX_SCALE, bucket_middle, count_into, relative_error

DEFAULT_SCALE = 5
"""32 buckets between two powers of two: quantiles are right within 1.09 %."""


@dataclass(frozen=True, slots=True, repr=False)
class Histogram:
    """How often which durations occurred; a value that never changes.

    The buckets are those of OpenTelemetry's exponential histogram, which
    `agentperf.telemetry.buckets` describes, so it becomes an OTLP exponential data point without
    loss. Merging adds counts: any number of histograms merged in any order equal one that saw every
    value (`sum` up to rounding).

    Attributes:
        scale: The resolution, 0 to 8: `2 ** scale` buckets between two powers of two.
        buckets: Number of values by bucket index, without empty buckets, in no order.
        zero_count: Number of values of zero. A negative duration, which only a clock that was
            turned back can give, counts as zero.
        ignored: Number of values that are not finite; they are counted here and nowhere else.
        sum: All values added up, in seconds.
        min: The smallest value in seconds; infinite while there is none.
        max: The largest value in seconds; minus infinite while there is none.
    """

    scale: int = DEFAULT_SCALE
    buckets: Mapping[int, int] = field(default_factory=dict[int, int])
    zero_count: int = 0
    ignored: int = 0
    sum: float = 0.0
    min: float = math.inf
    max: float = -math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.scale <= MAX_SCALE:
            raise ConfigurationError(
                f"scale={self.scale!r}: a whole number from 0 to {MAX_SCALE} is needed, such as 5"
            )

    @property
    def count(self) -> int:
        """How many values were counted, those that were ignored aside."""
        return self.zero_count + sum(self.buckets.values())

    @property
    def mean(self) -> float:
        """The average in seconds; nan while there is no value."""
        count = self.count
        return self.sum / count if count else math.nan

    @property
    def relative_error(self) -> float:
        """How far a quantile may be from the true value, as a share of it: 1.09 % at scale 5."""
        return relative_error(self.scale)

    def quantile(self, q: float) -> float:
        """Return the value below or at which a share of all values lies.

        That is the value of rank `ceil(q * count)` in ascending order. The smallest and the largest
        are exact; any other is told by the geometric middle of its bucket, within `relative_error`
        (for subnormal values, below 1e-307, up to the spacing of floats there).

        Args:
            q: The share, 0 to 1: 0.95 for the 95th percentile.

        Returns:
            Seconds; nan while there is no value.

        Raises:
            ConfigurationError: `q` is not a share.
        """
        if not 0.0 <= q <= 1.0:
            raise ConfigurationError(f"q={q!r}: a share from 0 to 1 is needed, such as 0.95")
        count = self.count
        if not count:
            return math.nan
        rank = math.ceil(q * count)
        if rank <= 1:
            return self.min
        return self.max if rank >= count else self._estimate(rank)

    def _estimate(self, rank: int) -> float:
        if rank <= self.zero_count:
            return 0.0
        indexes = sorted(self.buckets)
        reached = list(accumulate(self.buckets[index] for index in indexes))
        index = indexes[bisect_left(reached, rank - self.zero_count)]
        return min(max(bucket_middle(index, self.scale), self.min), self.max)

    def with_values(self, values: list[float]) -> Histogram:
        """Return this histogram with a batch of durations counted in.

        Nothing in the batch makes it fail: see `zero_count` and `ignored`.

        Args:
            values: Durations in seconds.
        """
        if not values:
            return self
        ordered = sorted(values)
        total = sum(ordered)
        # A nan anywhere spoils the order, but it also spoils the sum.
        if not (math.isfinite(total) and ordered[0] >= 0.0):
            ordered = _cleaned(ordered)
            total = sum(ordered)
        zeros = bisect_right(ordered, 0.0)
        buckets = dict(self.buckets)
        if zeros < len(ordered):
            count_into(buckets, ordered[zeros:] if zeros else ordered, self.scale)
        return Histogram(
            self.scale,
            buckets,
            self.zero_count + zeros,
            self.ignored + len(values) - len(ordered),
            self.sum + total,
            min(self.min, ordered[0]) if ordered else self.min,
            max(self.max, ordered[-1]) if ordered else self.max,
        )

    def merge(self, other: Histogram) -> Histogram:
        """Return the histogram of both ones' values, at the lower of the two scales."""
        scale = min(self.scale, other.scale)
        buckets = dict(self.downscaled(scale).buckets)
        _add(buckets, other.downscaled(scale).buckets.items())
        return Histogram(
            scale,
            buckets,
            self.zero_count + other.zero_count,
            self.ignored + other.ignored,
            self.sum + other.sum,
            min(self.min, other.min),
            max(self.max, other.max),
        )

    def downscaled(self, scale: int) -> Histogram:
        """Return the same values at a lower scale, just as if they had been counted there.

        Raises:
            ConfigurationError: `scale` is negative or finer than this histogram's.
        """
        if scale == self.scale:
            return self
        if not 0 <= scale < self.scale:
            raise ConfigurationError(
                f"scale={scale!r}: a whole number from 0 to {self.scale} is needed, such as 0"
            )
        halvings = self.scale - scale
        buckets: dict[int, int] = {}
        _add(buckets, ((index >> halvings, n) for index, n in self.buckets.items()))
        return replace(self, scale=scale, buckets=buckets)

    def dense_buckets(self) -> tuple[int, list[int]]:
        """Return `offset` and `bucket_counts` as an OTLP exponential data point wants them.

        The other fields of that message are attributes here: `scale`, `count`, `sum`, `zero_count`,
        and, unless `count` is 0, `min` and `max`.
        """
        if not self.buckets:
            return 0, []
        offset, last = min(self.buckets), max(self.buckets)
        return offset, [self.buckets.get(index, 0) for index in range(offset, last + 1)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        indexes = sorted(self.buckets)
        return {
            "scale": self.scale,
            "indexes": indexes,
            "counts": [self.buckets[index] for index in indexes],
            "zero_count": self.zero_count,
            "ignored": self.ignored,
            "sum": self.sum,
            "min": self.min if self.count else None,
            "max": self.max if self.count else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Histogram:
        """Rebuild what `to_dict` returned.

        Raises:
            KeyError: A field is missing.
            ValueError: The fields don't fit together.
        """
        empty = data["min"] is None
        return cls(
            scale=data["scale"],
            buckets=dict(zip(data["indexes"], data["counts"], strict=True)),
            zero_count=data["zero_count"],
            ignored=data["ignored"],
            sum=data["sum"],
            min=math.inf if empty else data["min"],
            max=-math.inf if empty else data["max"],
        )

    def __repr__(self) -> str:
        figures = f"p50={self.quantile(0.5):.3g}, p95={self.quantile(0.95):.3g}"
        return f"<Histogram count={self.count}, {figures}, scale={self.scale}>"


def _cleaned(values: list[float]) -> list[float]:
    """The finite values in ascending order, negative ones as zero."""
    return sorted(max(value, 0.0) for value in values if math.isfinite(value))


def _add(buckets: dict[int, int], more: Iterable[tuple[int, int]]) -> None:
    for index, count in more:
        buckets[index] = buckets.get(index, 0) + count
