"""Where limiters and breakers keep state that processes share: decided where it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Record = tuple[float, ...]
"""What is remembered under a key: a few numbers."""

Apply = Callable[[Record | None, Sequence[float], float], tuple[Record | None, Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Decision:
    """A step that a store takes as one, so that nobody can come between looking and changing.

    Attributes:
        name: What it is called, such as `"gcra"`.
        apply: The decision itself, without side effects: from the record (None where there is
            none), the arguments and the store's time, to the new record (None removes it) and the
            answer. Clocks are set: the record may come from what is the future now.
        scripts: The same decision in the languages of servers, by the name of the language, for
            stores that can't call Python where the record is. `"lua"` is the body of a function
            of `record` (a list of numbers, or nil), `arguments` (a list) and `now`, that returns
            the new record (or nil) and the answer, in Lua 5.1. Keys, expiry and the time are
            the store's business in every language.
    """

    name: str
    apply: Apply
    scripts: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


class Store(ABC):
    """Keeps records under keys, and decides on them one after another; for calls that block.

    Keys are as for `CacheBackend`. All methods may be called by several threads at once.
    """

    shared: bool = False
    """Whether other processes decide on the same records."""

    blocking: bool = True
    """Whether it does I/O: on an event loop it is then called in a worker thread. It has to give
    up by itself after a moment, such as 0.2 s: nobody can end what blocks."""

    @abstractmethod
    def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> tuple[float, ...]:
        """Take a decision on the record of `key`, and keep what it makes of it.

        Args:
            decision: What to do; an error that it raises leaves the record as it was.
            key: Which record.
            arguments: What the decision takes.
            ttl: Seconds until a record that is not decided on again is forgotten.

        Returns:
            The decision's answer.
        """

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Forget the record of `key`; tell whether there was one."""

    @abstractmethod
    def now(self) -> float:
        """Return the seconds of the clock that decisions are taken by, the same for everybody."""

    def close(self) -> None:  # noqa: B027 - not every store holds something
        """Let go of files and connections; calling it again does nothing."""


class AsyncStore(ABC):
    """The same as `Store`, for calls that are awaited."""

    shared: bool = False
    """As for `Store`."""

    asyncio_only: bool = False
    """Whether it can't be awaited under trio: a blocking one beside it is used there instead."""

    @abstractmethod
    async def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> tuple[float, ...]:
        """As for `Store`."""

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """As for `Store`."""

    @abstractmethod
    async def now(self) -> float:
        """As for `Store`."""

    async def close(self) -> None:  # noqa: B027 - not every store holds something
        """As for `Store`."""


@dataclass(frozen=True, eq=False)
class Stores:
    """One place for records, reached in one colour or in both; both must see the same records.

    Attributes:
        sync: For calls that block; asynchronous calls use it too where there is nothing else.
        asynchronous: For calls that are awaited.
    """

    sync: Store | None = None
    asynchronous: AsyncStore | None = None

    def __post_init__(self) -> None:
        if self.sync is None and self.asynchronous is None:
            raise ValueError("Stores(): give sync=, asynchronous=, or both")


AnyStore = Store | AsyncStore | Stores

StoreFactory = Callable[[str], AnyStore]
"""Makes a store from what the user wrote, such as `"example"` or `"example://host"`."""


def stores(store: AnyStore) -> Stores:
    """Return a store, of whatever colour, as a pair."""
    if isinstance(store, Stores):
        return store
    if isinstance(store, Store):
        return Stores(sync=store)
    return Stores(asynchronous=store)
