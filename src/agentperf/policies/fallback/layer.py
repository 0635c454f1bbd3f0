"""A fallback at work: asks one link after the other until one answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.resuming import Resume, arguments_of, changed, mended, noted, resumed
from agentperf._engine.site import Site
from agentperf._engine.streams import LIVE, AnyLiveStream
from agentperf._engine.substitutes import Substitute, check_colour
from agentperf.events import FellBack
from agentperf.policies.fallback.core import Failures, falls_back
from agentperf.policies.fallback.link import Link

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Call = tuple[Args, Kwargs]


@dataclass(frozen=True, slots=True, eq=False)
class _Bound:
    """A link that is ready to be asked.

    Attributes:
        number: Which it is, counted from 1.
        on: The failures that it stands for.
        step: Asks it.
        changes: The arguments that it changes where the function itself is asked again, else None.
    """

    number: int
    on: Failures | None
    step: Step
    changes: Mapping[str, Any] | None


class _Course:
    """One call on its way along the chain.

    Attributes:
        call: Its arguments.
        left: The links that were not asked yet.
        given: The items that its reader has, where the stream is to be continued.
        asked: What was changed each time that the function itself was asked; nothing at first.
    """

    __slots__ = ("asked", "call", "given", "left")

    def __init__(self, call: Call, links: tuple[_Bound, ...]) -> None:
        self.call = call
        self.left = links
        self.given: list[Any] = []
        self.asked: list[Mapping[str, Any]] = [{}]


class FallbackLayer:
    """A fallback around one function, on one host."""

    def __init__(
        self,
        site: Site,
        links: Sequence[Link],
        on: Failures | None,
        resume: Resume | None,
        name: str,
    ) -> None:
        self._site = site
        self._links = links
        self._on = on
        self._resume = resume
        self._name = name
        self._tell = site.host.bus.emitter(FellBack)

    def bound(self, inner: Step) -> Step:
        """Put the fallback around `inner`."""
        driver = self._site.driver
        first = driver.primed(inner)
        self._bound = tuple(
            _Bound(
                number,
                link.on or self._on,
                self._step(link, first),
                link.arguments if link.is_itself else None,
            )
            for number, link in enumerate(self._links, 1)
        )
        functions = [link.target for link in self._links if link.is_function and not link.is_itself]
        checks = [check_colour(self._site, function, "a fallback") for function in functions]
        self._passed = next(filter(None, checks), lambda: None)
        if self._resume is None:
            rescue = driver.flow(self._fall_back, _ask)
            return driver.rescued(first, self._passed, rescue)
        self._mend = driver.flow(self._go_on, _ask)
        return driver.flow(partial(self._continued, first), _ask)

    def _step(self, link: Link, first: Step) -> Step:
        step, driver = first, self._site.driver
        if not link.is_itself:
            substitute = Substitute(self._site, link.function(), "a fallback")
            step = driver.primed(driver.flow(substitute.answer, substitute.ask))
        if not link.arguments:
            return step
        signature = link.signature(self._site.target)
        return lambda args, kwargs: step(*changed(signature, link.arguments, args, kwargs))

    async def _fall_back(
        self, proceed: Proceed, error: Exception, args: Args, kwargs: Kwargs
    ) -> Any:
        call = args, kwargs
        return await self._answer(proceed, _Course(call, self._bound), call, (error,))

    async def _answer(
        self, ask: Any, course: _Course, call: Call, errors: tuple[Exception, ...]
    ) -> Any:
        """Have the next link answer, after so many have failed."""
        error = errors[-1]
        link = self._next(course, call, error)
        try:
            value = await ask(*call, link.step)
        except Exception as next_error:  # noqa: BLE001 - judged by the next link
            # Within this handler, so that each error has the one before as its context.
            return await self._answer(ask, course, call, (*errors, next_error))
        if course.given and type(value) not in LIVE:
            raise error  # there is nothing to go on with
        self._say(errors[0], link, len(course.given))
        return value

    def _next(self, course: _Course, call: Call, error: Exception) -> _Bound:
        """Take the first link that stands for an error, or raise it where none does.

        One that would ask the same once more is passed over.
        """
        verdict = self._site.host.classify(error)
        for link in course.left:
            if falls_back(error, verdict, link.on, self._site.operation):
                course.left = tuple(other for other in course.left if other is not link)
                if link.changes is None:
                    return link
                if not self._was_asked(course, link.changes, call):
                    course.asked.append(link.changes)
                    return link
        raise error

    def _was_asked(self, course: _Course, changes: Mapping[str, Any], call: Call) -> bool:
        own = arguments_of(self._site.target.signature, *call)
        return any(
            all(
                _same(changes.get(name, own.get(name)), before.get(name, own.get(name)))
                for name in {*changes, *before}
            )
            for before in course.asked
        )

    async def _continued(self, first: Step, ask: Any, args: Args, kwargs: Kwargs) -> Any:
        """Make the call; its stream goes on with the next link when it breaks."""
        call = args, kwargs
        course = _Course(call, self._bound)
        try:
            value = await ask(args, kwargs, first)
        except Exception as error:  # noqa: BLE001 - judged by the next link
            value = await self._answer(ask, course, call, (error,))
        else:
            self._passed()
        if type(value) not in LIVE:
            return value
        mend = partial(self._mend, course)
        return mended(noted(value, course.given), mend, self._site.host.clock.now)

    async def _go_on(
        self, ask: Any, course: _Course, stream: AnyLiveStream, error: Exception
    ) -> tuple[AnyLiveStream, tuple[()]]:
        """Return the stream that goes on after the items given so far."""
        if self._resume is None or not stream.replayable:
            raise error  # its items were answers to what its reader sent
        call = resumed(self._resume, course.given, self._site, course.call, error)
        if call is None:
            raise error
        going_on = await self._answer(ask, course, call, (error,))
        return noted(going_on, course.given), ()

    def _say(self, error: Exception, link: _Bound, items: int) -> None:
        if self._tell is not None:
            self._tell(
                FellBack(
                    operation=self._site.operation,
                    name=self._name,
                    link=link.number,
                    error=type(error).__name__,
                    reason=self._site.host.classify(error).reason,
                    items=items,
                )
            )


def _same(one: Any, other: Any) -> bool:
    try:
        return one is other or (type(one) is type(other) and bool(one == other))
    except Exception:  # noqa: BLE001 - what can't be compared is not the same
        return False


def _ask(args: Args, kwargs: Kwargs, link: Step) -> Any:
    return link(args, kwargs)
