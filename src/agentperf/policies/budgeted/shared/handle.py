"""What can be asked of a budget that is kept in a store, and how it is reset."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from agentperf._engine.stores import HandleReach
from agentperf._engine.waiting import in_one_go
from agentperf.policies.budgeted.shared.decision import NANO, Figures

if TYPE_CHECKING:
    from agentperf._engine.stores import StoreReach
    from agentperf.policies.budgeted.shared.gate import SharedAccount
    from agentperf.usage import Usage


@dataclass(frozen=True, slots=True)
class SharedSpending:
    """What all processes together spent of a budget.

    Attributes:
        usd: US dollars.
        tokens: Input and output tokens together.
        calls: Calls.
        held_usd: US dollars that are kept free for calls under way.
        held_tokens: Tokens that are kept free for them.
        renews_in: Seconds until nothing is spent again; None where no period is running.
    """

    usd: float
    tokens: int
    calls: int
    held_usd: float
    held_tokens: int
    renews_in: float | None


class SharedBudget:
    """A budget in a store, over all processes that name it.

    Everything but `name` and `by_operation` asks the store; the methods that begin with `a` hold no
    event loop up while they do.
    """

    def __init__(self, account: SharedAccount) -> None:
        self._account = account

    @property
    def name(self) -> str:
        """What processes know it by."""
        return self._account.name

    def spent(self) -> SharedSpending:
        """Return what was spent.

        Raises:
            ConfigurationError: The store has to be awaited: use `aspent`.
            BackendError: The store fails.
        """
        return self._spending(self._blocking(self._account.figures))

    async def aspent(self) -> SharedSpending:
        """Return the same as `spent`, without holding an event loop up."""
        return self._spending(await self._awaited(self._account.figures))

    def left(self) -> dict[str, float]:
        """Return what is left, by limit: `usd`, `tokens`, `calls`, as far as they are limited.

        What is kept free for calls under way is not left any more; less than nothing is what was
        spent too much.

        Raises:
            ConfigurationError: The store has to be awaited: use `aleft`.
            BackendError: The store fails.
        """
        return self._account.left(self._blocking(self._account.figures))

    async def aleft(self) -> dict[str, float]:
        """Return the same as `left`, without holding an event loop up."""
        return self._account.left(await self._awaited(self._account.figures))

    def by_operation(self) -> dict[str, Usage]:
        """Return what this process spent, by the operation that spent it."""
        return self._account.usages()

    def reset(self) -> None:
        """Have nothing spent, for all processes; a period begins anew.

        Calls under way keep what is kept free for them, and what they spend counts when they end.

        Raises:
            ConfigurationError: The store has to be awaited: use `areset`.
            BackendError: The store fails.
        """
        self._blocking(self._account.reset)

    async def areset(self) -> None:
        """Do the same as `reset`, without holding an event loop up."""
        await self._awaited(self._account.reset)

    def _blocking(self, ask: Callable[[StoreReach], Any]) -> Figures:
        return cast(
            "Figures", in_one_go(ask(self._account.reach(is_async=False, kind=HandleReach)))
        )

    async def _awaited(self, ask: Callable[[StoreReach], Awaitable[Any]]) -> Figures:
        return cast("Figures", await ask(self._account.reach(is_async=True, kind=HandleReach)))

    def _spending(self, figures: Figures) -> SharedSpending:
        return SharedSpending(
            usd=figures.nano / NANO,
            tokens=figures.tokens,
            calls=figures.calls,
            held_usd=figures.held_nano / NANO,
            held_tokens=figures.held_tokens,
            renews_in=self._account.renews_in(figures),
        )

    def __repr__(self) -> str:
        left = self._account.remaining()
        told = ", ".join(f"{value:g} {limit}" for limit, value in left.items())
        return f"<shared budget {self.name!r}: {told} left>"
