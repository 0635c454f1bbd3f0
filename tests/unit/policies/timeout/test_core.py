"""How much time each step has."""

from __future__ import annotations

import pytest

from agentperf.policies.timeout.core import Limits, Progress


@pytest.mark.parametrize(
    ("limits", "spent", "given", "streams", "bound"),
    [
        (Limits(total=10), 0, False, True, (10, "total")),
        (Limits(total=10), 4, True, True, (6, "total")),
        (Limits(total=10), 12, True, True, (0, "total")),
        (Limits(total=10, first_item=3), 1, False, True, (2, "first_item")),
        (Limits(total=10, first_item=3), 1, False, False, (9, "total")),
        (Limits(total=10, first_item=3), 1, True, True, (9, "total")),
        (Limits(total=10, gap=3), 1, True, True, (3, "gap")),
        (Limits(total=10, gap=3), 8, True, True, (2, "total")),
        (Limits(gap=3), 8, False, True, (None, "")),
        (Limits(first_item=3), 8, True, True, (None, "")),
    ],
)
def test_the_nearest_limit_holds(limits, spent, given, streams, bound):
    """Of those that speak of the next step."""
    progress = Progress(limits)
    progress.spent, progress.given = spent, given
    assert progress.bound(streams=streams) == bound
