"""Where the buckets of an exponential histogram begin and end.

The scheme is the positive range of OpenTelemetry's exponential histogram (Metrics Data Model,
section "ExponentialHistogram", https://opentelemetry.io/docs/specs/otel/metrics/data-model/):
with `base = 2 ** (2 ** -scale)`, bucket `i` covers `(base ** i, base ** (i + 1)]`. Between two
powers of two lie `2 ** scale` buckets, and two neighbours make one bucket of the next lower scale.

The specification allows an index to be off by one next to a boundary, where a logarithm rounds.
Here it is exact for every positive float, by its "lookup table" method: the exponent comes from the
float itself, the rest from a search among exact boundaries.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, bisect_right
from functools import cache

MAX_SCALE = 8
"""The finest scale: 256 buckets between two powers of two, quantiles right within 0.14 %."""


_THIN = 8
"""To step over an empty bucket costs about an eighth of looking up a value."""


def bucket_index(value: float, scale: int) -> int:
    """Return the index of the bucket that holds `value`, which is positive and finite."""
    mantissa, exponent = math.frexp(value)
    return ((exponent - 1) << scale) + bisect_left(_boundaries(scale), 2.0 * mantissa) - 1


def bucket_middle(index: int, scale: int) -> float:
    """Return the geometric middle of a bucket."""
    return math.exp2(math.ldexp(index + 0.5, -scale))


def relative_error(scale: int) -> float:
    """Return the largest distance of a value from its bucket's middle, as a share of the value."""
    return math.exp2(math.ldexp(0.5, -scale)) - 1.0


def count_into(counts: dict[int, int], ordered: list[float], scale: int) -> None:
    """Add the values of a batch to the counts of their buckets.

    Cutting the sorted batch at the boundaries costs a search per bucket instead of one per value.
    Where a batch is spread so thin that most of the work would go into empty buckets, each value is
    looked up; so are subnormal values, whose boundaries a float can't hold exactly.

    Args:
        counts: Number of values by bucket index, changed in place.
        ordered: Positive, finite values in ascending order; at least one.
        scale: The scale of the indexes.
    """
    first, last = bucket_index(ordered[0], scale), bucket_index(ordered[-1], scale)
    if last - first > _THIN * len(ordered) or ordered[0] < sys.float_info.min:
        for value in ordered:
            index = bucket_index(value, scale)
            counts[index] = counts.get(index, 0) + 1
        return
    start = 0
    for index, upper in enumerate(_upper_bounds(first, last, scale), first):
        if ordered[start] <= upper:
            stop = bisect_right(ordered, upper, start)
            counts[index] = counts.get(index, 0) + stop - start
            start = stop
    counts[last] = counts.get(last, 0) + len(ordered) - start


def _upper_bounds(first: int, last: int, scale: int) -> list[float]:
    """The upper bounds of the buckets from `first` up to, but not including, `last`."""
    lowest, highest = (first + 1) >> scale, last >> scale
    octaves = [math.ldexp(1.0, exponent) for exponent in range(lowest, highest + 1)]
    bounds = [octave * boundary for octave in octaves for boundary in _boundaries(scale)]
    skipped = lowest << scale
    return bounds[first + 1 - skipped : last + 1 - skipped]


@cache
def _boundaries(scale: int) -> tuple[float, ...]:
    """The bucket boundaries in [1, 2), each the largest float not above the true one.

    All but the first are irrational, so a float lies above a boundary exactly if it lies above the
    boundary rounded down. Integer roots round down: of `2 ** (k / n)` in units of `2 ** -52`.
    """
    buckets = 1 << scale
    return tuple(math.ldexp(_root(52 * buckets + k, scale), -52) for k in range(buckets))


def _root(exponent: int, times: int) -> int:
    """`2 ** exponent`, its square root taken so many times, rounded down."""
    value = 1 << exponent
    for _ in range(times):
        value = math.isqrt(value)
    return value
