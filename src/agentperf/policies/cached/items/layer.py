"""Answers for the items of a batch: what is there is given, and one call computes the rest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple

from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf.errors import CacheMissError
from agentperf.policies.cached.core import Args, CacheLayer, Kwargs
from agentperf.policies.cached.flights.flight import (
    Boarding,
    Flight,
    computing_alone,
    computing_for,
)
from agentperf.policies.cached.items.calls import Batch, PerItem

ComputeAll = Callable[[list[Any]], Awaitable[Sequence[Any]]]


class Want:
    """One item that is asked for.

    Attributes:
        key: Its key.
        item: The item.
        call: The arguments of a call for it alone.
        places: Where in the batch it stands; an item may stand there several times.
        stamp: The versions that its tags have, once somebody looked.
    """

    __slots__ = ("call", "item", "key", "places", "stamp")

    def __init__(self, key: Hashable, item: Any, call: tuple[Args, Kwargs]) -> None:
        self.key = key
        self.item = item
        self.call = call
        self.places: list[int] = []
        self.stamp: Any = ()


class Answer(NamedTuple):
    """The result for one item.

    Attributes:
        value: What the first who asks for it gets.
        kept: What others get it from; None where they can only have the very value.
    """

    value: Any
    kept: Any


Answers = dict[Hashable, Answer]


class ItemsLayer(CacheLayer):
    """A cache of items; goes in front of one that knows where the entries are."""

    per_item: PerItem

    @abstractmethod
    async def _find(self, wants: Sequence[Want]) -> Answers:
        """Return the answers that are there, and note the stamps of those that are not.

        Raises:
            StoreUnavailable: The backend fails, and that is not to be passed over.
        """

    async def _keep_all(self, landed: Sequence[tuple[Flight, Any]]) -> list[Any]:
        """Store results as far as they can be; return what others than the leader get them from."""
        return [await self._kept(flight, value) for flight, value in landed]

    def bound(self, inner: Step) -> Step:
        """Put the cache in front of `inner`."""
        return self._site.driver.flow(self._answer_all, inner)

    def by_mode(self, step: Step, inner: Step) -> Step:
        """Let the cache mode decide whether a call goes through `step`."""
        from agentperf.policies.cached.mode import mode

        flow = self._site.driver.flow
        others: dict[Any, Step] = {
            None: step,
            "bypass": inner,
            "refresh": flow(self._refresh_all, inner),
            "only_if_cached": flow(self._all_if_cached, inner),
        }

        def by_mode(args: Args, kwargs: Kwargs) -> Any:
            return others[mode.get()](args, kwargs)

        return by_mode

    async def _answer_all(self, proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
        batch = self.per_item.split(args, kwargs)
        if batch is None:
            return await proceed(args, kwargs)
        wants = self._wants(batch)
        looked = self._flights.ended
        answers = await self._found_all(wants)
        if missing := [want for want in wants if want.key not in answers]:
            answers |= await self._made(partial(self._computed, proceed, batch), missing, looked)
        return self._whole(batch, wants, answers)

    async def _refresh_all(self, proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
        batch = self.per_item.split(args, kwargs)
        if batch is None:
            return await proceed(args, kwargs)
        wants = self._wants(batch)
        for want in wants:
            self._state.invalidate(want.key)
            want.stamp = await self._stamp(self._tags_of(*want.call))
        answers: Answers = {}
        if wants:
            answers = await self._made_alone(partial(self._computed, proceed, batch), wants)
        return self._whole(batch, wants, answers)

    async def _all_if_cached(self, proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
        batch = self.per_item.split(args, kwargs)
        if batch is None:
            return await proceed(args, kwargs)
        wants = self._wants(batch)
        answers = await self._found_all(wants)
        if lacking := len(wants) - len(answers):
            raise CacheMissError(
                f"{self._site.operation}: {lacking} of {len(wants)} items are not in its cache"
            )
        return self._whole(batch, wants, answers)

    def _wants(self, batch: Batch) -> list[Want]:
        wants: dict[Hashable, Want] = {}
        for place, item in enumerate(batch.items):
            call = batch.put(item)
            key = self._key(*call)
            want = wants.get(key) or wants.setdefault(key, Want(key, item, call))
            want.places.append(place)
        return list(wants.values())

    def _whole(self, batch: Batch, wants: list[Want], answers: Answers) -> Any:
        results: list[Any] = [None] * len(batch.items)
        for want in wants:
            value, kept = answers[want.key]
            for place in want.places:
                results[place] = value
                # Whoever changes one of two equal items' results doesn't mean the other's.
                if place is not want.places[-1]:
                    value = value if kept is None else self._given(kept)
        return self.per_item.whole(results)

    async def _found_all(self, wants: list[Want]) -> Answers:
        answers = await self._find(wants) if wants else {}
        for want in wants:
            if want.key in answers:
                _count(self._hits, want.places)
        return answers

    async def _computed(self, proceed: Proceed, batch: Batch, items: list[Any]) -> Sequence[Any]:
        return self.per_item.results(await proceed(*batch.only(items)), len(items))

    async def _made(self, compute: ComputeAll, wants: list[Want], looked: int) -> Answers:
        """Compute what nobody is at, wait for what others are at, and see to what is left."""
        aboard: list[tuple[Want, Boarding]] = []
        try:
            self._board_all(wants, aboard)
            if led := [(want, boarding) for want, boarding in aboard if boarding.leads]:
                await self._take_off_with(led, compute, looked)
            for _, boarding in aboard:
                if not boarding.leads:
                    await boarding.parker.park()
            answers = self._landed(aboard)
        finally:
            for _, boarding in aboard:
                self._flights.leave(boarding)
        # Another call's failure may be due to another item of it, and is not shared.
        if left := [want for want in wants if want.key not in answers]:
            answers |= await self._made_alone(compute, left)
        return answers

    def _board_all(self, wants: list[Want], aboard: list[tuple[Want, Boarding]]) -> None:
        waiting = self._site.waiting
        may_wait = not waiting.holds_a_loop()
        try:
            for want in wants:
                boarding = self._flights.board(
                    want.key, waiting.parker(), may_wait=may_wait, stamp=want.stamp
                )
                if boarding is not None:
                    aboard.append((want, boarding))
        except BaseException:  # interrupted: nobody will compute what was begun
            self._flights.end(*(boarding.flight for _, boarding in aboard if boarding.leads))
            raise

    async def _take_off_with(
        self, led: list[tuple[Want, Boarding]], compute: ComputeAll, looked: int
    ) -> None:
        """Have one computation bring several flights to their results, and wait for it."""
        waiting = self._site.waiting
        crew = self._flights.crew([boarding for _, boarding in led], waiting.parker())
        flights = [(want, boarding.flight) for want, boarding in led]
        try:
            end = partial(self._flights.end, *(flight for _, flight in flights), crew.flight)
            fly = partial(self._fly_all, crew.flight, flights, compute, looked, end)
            await waiting.detached(fly, end)
            await crew.parker.park()
            if crew.flight.error is not None:
                raise crew.flight.error
        finally:
            self._flights.leave(crew)

    def _landed(self, aboard: list[tuple[Want, Boarding]]) -> Answers:
        answers: Answers = {}
        for want, boarding in aboard:
            flight = boarding.flight
            if boarding.leads and flight.landed:
                _count(self._joins, want.places[1:])
                answers[want.key] = Answer(flight.value, flight.kept)
            elif flight.kept is not None:
                _count(self._joins, want.places)
                answers[want.key] = Answer(self._given(flight.kept), flight.kept)
        return answers

    async def _fly_all(
        self,
        crew: Flight,
        led: list[tuple[Want, Flight]],
        compute: ComputeAll,
        looked: int,
        end: Callable[[], object],
    ) -> None:
        """Compute for everybody on board of these flights; raises nothing."""
        try:
            came: Answers = {}
            if looked != self._flights.ended:  # else nobody here can have stored anything
                came = await self._find([want for want, _ in led])
            rest: list[tuple[Want, Flight]] = []
            for want, flight in led:
                if want.key in came:
                    next(self._hits)
                    flight.land(*came[want.key])
                else:
                    rest.append((want, flight))
            if rest:
                with computing_for(crew):
                    await self._compute_for(crew, rest, compute)
            crew.land(None, None)
        except BaseException as error:  # noqa: BLE001 - the leader raises it
            crew.crash(error)
            self._failed(crew, error)
        finally:
            end()

    async def _made_alone(self, compute: ComputeAll, wants: list[Want]) -> Answers:
        """Compute for nobody else."""
        crew = self._flights.alone(object())
        mine = [(want, self._flights.alone(want.key, want.stamp)) for want in wants]
        try:
            with computing_alone(crew):
                await self._compute_for(crew, mine, compute)
        finally:
            self._flights.end(crew, *(flight for _, flight in mine))
        for want in wants:
            _count(self._joins, want.places[1:])
        return {want.key: Answer(flight.value, flight.kept) for want, flight in mine}

    async def _compute_for(
        self, crew: Flight, flights: list[tuple[Want, Flight]], compute: ComputeAll
    ) -> None:
        _count(self._misses, flights)
        self._flights.begin(crew, self._now())
        for _, flight in flights:
            flight.began, flight.since, flight.control = crew.began, crew.since, crew.control
        values = await compute([want.item for want, _ in flights])
        landed = [(flight, value) for (_, flight), value in zip(flights, values, strict=True)]
        kept = await self._keep_all(landed)
        for (flight, value), for_others in zip(landed, kept, strict=True):
            flight.land(value, for_others)


def _count(ticks: Any, times: Sequence[object]) -> None:
    for _ in times:
        next(ticks)
