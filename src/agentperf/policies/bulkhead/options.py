"""What can be said of a bulkhead, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf._base.options import OnFailure, goes_with_store, whole
from agentperf.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class BulkheadOptions:
    """The options of one `bulkhead`, in their final form; see `bulkhead` for their meaning.

    Attributes:
        concurrency: How many calls may run at once; adaptive ones begin with that.
        queue: How many may wait; None for any number.
        bounds: Between which numbers an adaptive one finds its own; None for a fixed one.
    """

    concurrency: int
    queue: int | None = None
    bounds: tuple[int, int] | None = None


def checked(concurrency: int, queue: int | None, adaptive: object) -> BulkheadOptions:
    """Turn what the user wrote into options.

    Raises:
        ConfigurationError: Something is malformed or contradicts something else.
    """
    whole("concurrency", concurrency, 8)
    if queue is not None and (isinstance(queue, bool) or not isinstance(queue, int) or queue < 0):
        raise ConfigurationError(f"queue={queue!r}: a whole number from 0 up, or None, queue=20")
    return BulkheadOptions(concurrency, queue, _bounds(concurrency, adaptive))


def check_shared(
    store: object, name: str | None, on_store_failure: OnFailure, options: BulkheadOptions
) -> None:
    """Refuse what doesn't go with a store, or wouldn't be one.

    Raises:
        ConfigurationError: Something is malformed or contradicts something else.
    """
    example = f'bulkhead({options.concurrency}, store="redis://localhost:6379", name="search")'
    goes_with_store(store, on_store_failure, example)
    if store is None:
        return
    from agentperf._engine.stores import check_store

    check_store(store, name, "places", example)
    if options.bounds is not None:
        raise ConfigurationError(
            "adaptive= doesn't go with store=: each process would find out another number; share a "
            f"fixed one, {example}, and put an adaptive one of each process below it"
        )


def _bounds(concurrency: int, adaptive: object) -> tuple[int, int] | None:
    if isinstance(adaptive, bool):
        return (1, concurrency) if adaptive else None
    if (
        isinstance(adaptive, tuple | list)
        and len(adaptive) == 2
        and all(isinstance(bound, int) and not isinstance(bound, bool) for bound in adaptive)
        and 1 <= adaptive[0] <= concurrency <= adaptive[1]
    ):
        return adaptive[0], adaptive[1]
    raise ConfigurationError(
        f"adaptive={adaptive!r}: True, False, or the least and the most, with concurrency between "
        f"them, such as bulkhead(8, adaptive=(2, 32))"
    )
