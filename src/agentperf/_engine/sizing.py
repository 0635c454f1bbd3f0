"""How many tokens the arguments of a call hold, told before it is made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from agentperf.errors import ConfigurationError

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def by_name(signature: inspect.Signature, args: Args, kwargs: Kwargs) -> Mapping[str, Any]:
    """Return a call's arguments by name, defaults among them."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    found = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(found.pop(parameter.name, {}))
    return found


def quick_count(given: Any) -> int:
    """Estimate the tokens of an argument without waiting for a vocabulary, whatever it is.

    Texts, several of them, lists of tokens, messages and other items of a request are counted;
    anything else, such as a client or the absence of a value, is nothing.
    """
    from agentperf.tokens import count_tokens

    if isinstance(given, str):
        return int(count_tokens(given, wait=False))
    if isinstance(given, Mapping):
        given = [given]
    if not isinstance(given, list | tuple):
        return 0
    if all(isinstance(item, int) for item in given):
        return len(given)
    if any(isinstance(item, str | list | tuple) for item in given):
        return sum(map(quick_count, given))
    try:
        return int(count_tokens(list(given), wait=False))
    except ConfigurationError:  # items of a kind that only the provider knows
        return int(count_tokens(str(given), wait=False))
