"""How a policy reaches a store: in the colour of the call, and not while it is out of order."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import cast

from agentperf._base.log import note, warn, whisper
from agentperf._engine.guard import Guard
from agentperf._engine.guarded import Guarded
from agentperf._engine.hosting import Host
from agentperf._engine.reaching import way_to
from agentperf.abc.stores import AnyStore, AsyncStore, Decision, Store, Stores, stores
from agentperf.abc.waiting import Waiting
from agentperf.errors import BackendError, ConfigurationError, StoreUnavailable
from agentperf.events import StoreDown, StoreUp

_SAID = 300
"""Characters of an error's message that are told."""

_PATH = re.compile(r"[A-Za-z]:[\\/]|[^:@]*[\\/~][^@]*$|[^:]*\.(db|sqlite3?)$")
"""How the path of a file looks in place of an address; what has an `@` may hold a password."""

_ADDRESS = re.compile(r"[A-Za-z][\w.+-]*(:.*)?", re.DOTALL)
"""A name that a plugin offers, and what that makes of the rest."""


def check_store(store: object, name: str | None, what: str, example: str) -> None:
    """Refuse what is no store, and a shared state that has no name.

    Args:
        store: What the user wrote.
        name: What all processes are to know the state by.
        what: What is kept, such as `"limit"`.
        example: A good call.

    Raises:
        ConfigurationError: One of the two is missing, or the address begins with no name.
    """
    if isinstance(store, os.PathLike) or (isinstance(store, str) and _PATH.match(store)):
        raise ConfigurationError(
            f'store={store!r} is no address; did you mean store="sqlite:{os.fspath(store)}"?'
        )
    if not store or not isinstance(store, str | Store | AsyncStore | Stores):
        raise ConfigurationError(f"store={store!r}: an address or a store is needed, {example}")
    if isinstance(store, str) and not _ADDRESS.fullmatch(store):
        # Not shown: it may hold a password.
        raise ConfigurationError(
            "store= begins with the name of a store and a colon, such as redis: or sqlite:, and "
            f"this one does not; {example}"
        )
    if name is None:
        raise ConfigurationError(
            f"store= needs name=, which all processes know the {what} by: {example}"
        )


def store_on(host: Host, store: str | AnyStore) -> Stores:
    """Return the store that an address or an object stands for."""
    return host.store(store) if isinstance(store, str) else stores(store)


def unavailable(what: str, name: str, policy: str) -> StoreUnavailable:
    """Make the error of a call that is refused because a store fails.

    Args:
        what: What is kept there, such as `"limit"`.
        name: What all processes know it by.
        policy: The policy that refuses.
    """
    return StoreUnavailable(
        f"the store of the {what} {name!r} failed, and on_store_failure is 'closed'",
        policy=policy,
        name=name,
    )


class LeftAlone(BackendError):
    """The store failed a moment ago and was not asked."""


class StoreReach(Guarded):
    """A store, as one policy reaches it from calls of one colour.

    All policies of a host that share a store share what is known of it. Each change between working
    and failing is told once, in the log and as an event, by the policy that finds it out.

    Args:
        host: Where the change is told.
        operation: Whose state it is.
        stores: The store.
        waiting: How the calls wait; None for calls that block.

    Raises:
        ConfigurationError: Calls that block can't use the store.
    """

    spares = ConfigurationError

    def __init__(self, host: Host, operation: str, stores: Stores, waiting: Waiting | None) -> None:
        if stores.sync is None and waiting is None:
            raise ConfigurationError(
                f"{operation}: its store has to be awaited, and this call can't wait so: make the "
                "function async def, or give a store of both colours, "
                "store=Stores(sync=..., asynchronous=...)"
            )
        one = stores.asynchronous if stores.sync is None else stores.sync
        super().__init__(host.state(Guard, Guard, owners=(one, Guard)), host.clock.now)
        self._operation = operation
        self._tell_down = host.bus.emitter(StoreDown)
        self._tell_up = host.bus.emitter(StoreUp)
        self._ask = way_to(stores, waiting)

    async def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> tuple[float, ...]:
        """Have the store take a decision.

        Raises:
            LeftAlone: It failed a moment ago: it was not asked.
            ConfigurationError: It can't take this decision.
            Exception: What the store raises; nobody knows whether the decision was taken.
        """
        answer = await self._guarded(
            self._ask, lambda store: store.decide(decision, key, arguments, ttl)
        )
        return cast("tuple[float, ...]", answer)

    def _left_alone(self, trouble: str) -> LeftAlone:
        return LeftAlone(f"the store failed: {trouble}; it is left alone for a moment")

    def _failed(self, error: Exception) -> None:
        # One line: each process says this, and three chained tracebacks tell no more.
        warn("store.failed", operation=self._operation, error=_in_one_line(error))
        whisper("store.failed_with", operation=self._operation, exc_info=error)
        if self._tell_down is not None:
            self._tell_down(StoreDown(operation=self._operation, error=type(error).__name__))

    def _works_again(self) -> None:
        note("store.works_again", operation=self._operation)
        if self._tell_up is not None:
            self._tell_up(StoreUp(operation=self._operation))


class HandleReach(StoreReach):
    """A store, as handles reach it: whatever it raises, their users get one kind of error."""

    async def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> tuple[float, ...]:
        """Have the store take a decision.

        Raises:
            ConfigurationError: It can't take this decision.
            BackendError: It failed, now or a moment ago; what it raised is chained.
        """
        try:
            return await super().decide(decision, key, arguments, ttl)
        except (ConfigurationError, BackendError):
            raise
        except Exception as error:
            raise BackendError(f"the store failed: {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:_SAID]}" if said else type(error).__name__
