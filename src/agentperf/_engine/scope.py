"""Who a call is for: tenant, user and session, carried along with the context."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from agentperf._engine.current import current_bindings
from agentperf.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Scope:
    """Who a call is for; None where nobody said."""

    tenant: str | None = None
    user: str | None = None
    session: str | None = None


NOBODY = Scope()
active: ContextVar[Scope] = ContextVar("agentperf.scope", default=NOBODY)


@contextlib.contextmanager
def scope(
    *, tenant: str | None = None, user: str | None = None, session: str | None = None
) -> Iterator[Scope]:
    """Say who the calls in a region are for.

    Tasks started inside inherit it; so do threads that are given a copy of the context. Scopes
    nest: what an inner one leaves out comes from the outer one. While a tenant is named, `cached`
    keeps the entries of each tenant apart.

    Example:
        with agentperf.scope(tenant="acme", user="anna"):
            answer(question)

    Raises:
        ConfigurationError: Nothing was named, or something other than text.
    """
    given = {"tenant": tenant, "user": user, "session": session}
    for parameter, value in given.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise ConfigurationError(f'{parameter}={value!r}: text is needed, {parameter}="acme"')
    outer = active.get()
    inner = Scope(tenant or outer.tenant, user or outer.user, session or outer.session)
    if not any(given.values()):
        raise ConfigurationError('scope() needs someone to be for: scope(tenant="acme")')
    current_bindings().mind_scopes()
    token = active.set(inner)
    try:
        yield inner
    finally:
        active.reset(token)
