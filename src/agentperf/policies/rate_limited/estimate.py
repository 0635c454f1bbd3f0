"""What a call will probably use, told before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from agentperf._base.callables import asked
from agentperf._base.prompts import PROMPTS
from agentperf._engine.sizing import by_name
from agentperf.errors import ConfigurationError
from agentperf.policies.rate_limited.bucket import Limits, Need
from agentperf.policies.rate_limited.outputs import Outputs
from agentperf.usage import Usage

if TYPE_CHECKING:
    from agentperf._engine.site import Target

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Estimate = Callable[[Args, Kwargs], Need]

CAPS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
"""Parameters that bound what a model may answer."""
OUTPUT_WITHOUT_CAP = 512
"""Tokens of an answer that nothing bounds, while nothing is known of the operation's answers."""


def estimator(
    limits: Limits,
    cost: Callable[..., Any] | str | None,
    target: Target,
    count: Callable[[Any], int],
    outputs: Outputs,
) -> Callable[[Args, Kwargs], Need] | None:
    """Make what estimates a call; None where each call is simply one request.

    Args:
        limits: What is limited.
        cost: A callable over the call's arguments, or the parameter that holds the cost: a number
            (of tokens where tokens are limited, else of requests) or a `Usage`.
        target: The function.
        count: Counts the tokens of a text or of messages, quickly.
        outputs: What is known of the length of the operation's answers.

    Raises:
        ConfigurationError: `cost` names no parameter.
    """
    signature = target.signature
    if isinstance(cost, str) and cost not in signature.parameters:
        raise ConfigurationError(
            f"cost={cost!r} is no parameter; use one of {', '.join(signature.parameters)}, or a "
            "callable such as cost=lambda prompt, **_: len(prompt) // 4"
        )
    if cost is None and not limits.counts_tokens:
        return None
    if callable(cost):
        ask = partial(asked, cost, option="cost", function=target.operation, signature=signature)
        return lambda args, kwargs: _need(ask(args, kwargs), limits)
    if isinstance(cost, str):
        name = cost
        return lambda args, kwargs: _need(by_name(signature, args, kwargs).get(name), limits)
    length = _lengths(limits)

    def estimate(args: Args, kwargs: Kwargs) -> Need:
        found = by_name(signature, args, kwargs)
        given = _given(found, count)
        cap = next((found[name] for name in CAPS if isinstance(found.get(name), int)), None)
        output = cap if cap is not None else length(outputs.expected, given)
        return 1, given + output, given, output

    return estimate


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


def _given(found: Mapping[str, Any], count: Callable[[Any], int]) -> int:
    # Where no parameter has a usual name, all that could be text is taken for the prompt.
    names = [name for name in PROMPTS if name in found] or [n for n in found if n not in CAPS]
    return sum(count(found[name]) for name in names)


def _lengths(limits: Limits) -> Callable[[int | None, int], int]:
    """Make what tells how long an answer is that nothing bounds, from what is expected and given.

    What is only a guess takes no more than a tenth of a limit, and what is expected no more than
    there is beside the prompt: neither makes a call too large.
    """
    both = min((rate.limit for rate in limits.rates[1]), default=None)
    answers = min((rate.limit for rate in limits.rates[3]), default=None)
    known = [limit for limit in (both, answers) if limit is not None]
    guess = max(1, min([OUTPUT_WITHOUT_CAP, *(limit // 10 for limit in known)]))

    def length(expected: int | None, given: int) -> int:
        tokens = guess if expected is None else expected
        if answers is not None and tokens > answers:
            tokens = answers
        if both is not None and tokens > both - given:
            tokens = max(0, both - given)
        return tokens

    return length


def are_vectors(answer: Any) -> bool:
    """Tell whether an answer is one of an embedding model, which writes no tokens."""
    if not (isinstance(answer, list | tuple) and answer):
        return False
    first = answer[0]
    return are_vectors(first) if isinstance(first, list | tuple) else isinstance(first, float)
