"""The decorator `invalidates`, for functions that change what others have cached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from agentperf._base.endings import Ending
from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf._engine.streams import LIVE, AnyLiveStream, AsyncLiveStream
from agentperf._engine.waiting import in_one_go
from agentperf.errors import ConfigurationError
from agentperf.policies.cached.tags.invalidation import Invalidation
from agentperf.policies.cached.tags.naming import Tags, TagsOf, checked_tags, tags_of

_EXAMPLE = (
    'write @invalidates("profile:{profile_id}"), @invalidates("profiles", "team:{team}") '
    "or @invalidates(tags=lambda profile: ...)"
)


@dataclass(frozen=True, eq=False)
class Invalidates(Policy):
    """Invalidates tags after calls that went well; made by `invalidates`."""

    kind = "invalidates"

    tags: tuple[str, ...] | Callable[..., Any]

    def check(self, target: Target) -> None:
        """Refuse templates that don't fit the function's parameters."""
        self._tags_of(target)

    def bind(self, site: Site, inner: Step) -> Step:
        """Have the tags invalidated after `inner`."""
        return site.driver.flow(partial(_call, site, self._tags_of(site.target)), inner)

    def _tags_of(self, target: Target) -> TagsOf:
        name = getattr(target.function, "__qualname__", target.operation)
        return tags_of(name, target.signature, self.tags, _EXAMPLE)


def invalidates(
    *names: str,
    tags: Tags | None = None,
    enabled: bool | Callable[[], bool] = True,
) -> Invalidates:
    """Invalidate tags after each call that went well; a stream, when it was read to its end.

    It happens after the call and before the caller goes on: who reads then, reads the new state.
    A call that raised, or was cancelled, invalidates nothing. A backend that fails doesn't make
    the call fail, whose work is done: it is logged, and made up for when the backend works again.

    Args:
        names: Tags such as `"profiles"`, or templates over the parameters such as
            `"profile:{profile_id}"`.
        tags: The same as one value; or a callable over the call's arguments that returns a tag,
            several, or None.
        enabled: False, or a callable that says False at a call, invalidates nothing.

    Example:
        @agentperf.invalidates("profile:{profile_id}")
        def rename(profile_id: str, name: str) -> None: ...

    Raises:
        ConfigurationError: These are no tags, or a template names no parameter. At a call that
            blocks, before the function runs: a backend has to be awaited.
        UncacheableArgumentError: At a call, before the function runs: an argument in a template has
            no text of its own.
    """
    given = names if tags is None else tags
    if not given or (names and tags is not None) or any(not isinstance(n, str) for n in names):
        raise ConfigurationError(f"invalidates: the tags are needed; {_EXAMPLE}")
    return Invalidates(checked_tags(given), enabled=enabled)


async def _call(
    site: Site,
    tags_of_call: TagsOf,
    proceed: Proceed,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    tags = tags_of_call(args, kwargs)  # what is wrong with them shows before anything is done
    invalidation = Invalidation(site.host, site.waiting if site.driver.is_async else None)
    value = await proceed(args, kwargs)
    if type(value) in LIVE:
        value.watch(end=partial(_after_stream, site, tags))
    else:
        await _finish(site, invalidation, tags)
    return value


def _after_stream(
    site: Site,
    tags: tuple[str, ...],
    stream: AnyLiveStream,
    ending: Ending,
    _: BaseException | None,
) -> Awaitable[None] | None:
    if ending is not Ending.COMPLETED:
        return None
    if type(stream) is AsyncLiveStream:
        return _finish(site, Invalidation(site.host, site.waiting), tags)
    # Who reads it can't await: what blocks is used also where the call was awaited.
    in_one_go(Invalidation(site.host, None).quietly_of(tags))
    return None


async def _finish(site: Site, invalidation: Invalidation, tags: tuple[str, ...]) -> None:
    """Invalidate to the end, also when the call is cancelled meanwhile: its work is done."""
    work = partial(invalidation.quietly_of, tags)
    if invalidation.in_memory:
        await work()
        return
    parker = site.waiting.parker()
    await site.waiting.detached(work, parker.unpark)
    await parker.park()
