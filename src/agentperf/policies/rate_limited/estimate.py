"""What a call will probably use, told before it is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from agentperf._base.prompts import PROMPTS
from agentperf._engine.sizing import by_name
from agentperf.errors import ConfigurationError
from agentperf.policies.rate_limited.bucket import Limits, Need
from agentperf.usage import Usage

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Estimate = Callable[[Args, Kwargs], Need]

CAPS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
"""Parameters that bound what a model may answer."""
OUTPUT_WITHOUT_CAP = 512
"""Tokens of an answer that nothing bounds; the real figure puts it right afterwards."""


def estimator(
    limits: Limits,
    cost: Callable[..., Any] | str | None,
    signature: inspect.Signature,
    count: Callable[[Any], int],
) -> Callable[[Args, Kwargs], Need] | None:
    """Make what estimates a call; None where each call is simply one request.

    Args:
        limits: What is limited.
        cost: A callable over the call's arguments, or the parameter that holds the cost: a number
            (of tokens where tokens are limited, else of requests) or a `Usage`.
        signature: The function's parameters.
        count: Counts the tokens of a text or of messages, quickly.

    Raises:
        ConfigurationError: `cost` names no parameter.
    """
    if isinstance(cost, str) and cost not in signature.parameters:
        raise ConfigurationError(
            f"cost={cost!r} is no parameter; use one of {', '.join(signature.parameters)}, or a "
            "callable such as cost=lambda prompt, **_: len(prompt) // 4"
        )
    if cost is None and not limits.counts_tokens:
        return None
    if callable(cost):
        ask = cost
        return lambda args, kwargs: _need(ask(*args, **kwargs), limits)
    if isinstance(cost, str):
        name = cost
        return lambda args, kwargs: _need(by_name(signature, args, kwargs).get(name), limits)
    return lambda args, kwargs: _by_arguments(by_name(signature, args, kwargs), limits, count)


def _need(cost: Any, limits: Limits) -> Need:
    if isinstance(cost, Usage):
        return 1, cost.total_tokens, cost.input_tokens, cost.output_tokens
    if isinstance(cost, bool) or not isinstance(cost, int | float) or cost < 0:
        raise ConfigurationError(
            f"cost= gave {cost!r}; a number from 0 up, or a Usage(input_tokens=120)"
        )
    whole = -int(-cost // 1)
    if limits.counts_tokens:
        return 1, whole, whole, 0
    return whole, 0, 0, 0


def _by_arguments(found: Mapping[str, Any], limits: Limits, count: Callable[[Any], int]) -> Need:
    # Where no parameter has a usual name, all that could be text is taken for the prompt.
    names = [name for name in PROMPTS if name in found] or [n for n in found if n not in CAPS]
    given = sum(count(found[name]) for name in names)
    cap = next((found[name] for name in CAPS if isinstance(found.get(name), int)), None)
    output = cap if cap is not None else _modest(OUTPUT_WITHOUT_CAP, limits)
    return 1, given + output, given, output


def _modest(tokens: int, limits: Limits) -> int:
    """One call whose answer is not bounded must not take more than a tenth of a limit."""
    allowed = [rate.limit // 10 for rates in (limits.rates[1], limits.rates[3]) for rate in rates]
    return max(1, min([tokens, *allowed]))


def are_vectors(answer: Any) -> bool:
    """Tell whether an answer is one of an embedding model, which writes no tokens."""
    if not (isinstance(answer, list | tuple) and answer):
        return False
    first = answer[0]
    return are_vectors(first) if isinstance(first, list | tuple) else isinstance(first, float)
