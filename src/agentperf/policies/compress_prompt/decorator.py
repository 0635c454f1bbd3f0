"""The decorator `compress_prompt`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, overload

from agentperf._base.callables import is_decorated_bare
from agentperf._base.log import fault
from agentperf._base.options import Share, refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf.context import Compressed, compress
from agentperf.context.keeping import Keep
from agentperf.context.options import OnFail, checked
from agentperf.errors import ConfigurationError, ContextWindowExceeded
from agentperf.events import PromptCompressed
from agentperf.policies.compress_prompt.arguments import Argument, Prompt

F = TypeVar("F", bound=Callable[..., Any])
Query = str | Callable[..., str]


@dataclass(frozen=True, eq=False)
class CompressPrompt(Policy):
    """Makes prompts shorter; made by `compress_prompt`."""

    kind = "compress_prompt"

    arg: str | None = None
    max_tokens: int | None = None
    ratio: Share | None = None
    model: str | None = None
    query: Query | None = None
    keep: Keep | Iterable[Keep] | None = None
    on_fail: OnFail = "error"

    def check(self, target: Target) -> None:
        """Refuse a function whose prompt can't be found."""
        Prompt(target.signature, self.arg, target.operation)

    def bind(self, site: Site, inner: Step) -> Step:
        """Shorten the prompt, then go on."""
        prompt = Prompt(site.target.signature, self.arg, site.target.operation)
        model = Argument(site.target.signature, "model")
        tell = site.host.bus.emitter(PromptCompressed)
        operation = site.operation

        def step(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if (found := prompt.of(args, kwargs)) is None:
                self._mind_the_limit(prompt, args, kwargs)
                return inner(args, kwargs)
            place, given = found
            query = self.query(*args, **kwargs) if callable(self.query) else self.query
            made = self._compressed(given, query, model.of(args, kwargs), operation)
            if made is None or made.value is given:
                return inner(args, kwargs)
            if tell is not None:
                tell(_event(operation, made))
            return inner(*place.replaced(args, kwargs, made.value))

        return step

    def _mind_the_limit(
        self, prompt: Prompt, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Refuse to send what may be over the limit and can't be made shorter."""
        if self.max_tokens is None or self.on_fail == "keep":
            return
        if (error := prompt.unfit(args, kwargs)) is not None:
            raise error

    def _compressed(
        self, given: Any, query: str | None, model: Any, operation: str
    ) -> Compressed[Any] | None:
        try:
            return compress(
                given,
                max_tokens=self.max_tokens,
                ratio=self.ratio,
                query=query,
                keep=_passing_errors_on(self.keep),
                on_fail=self.on_fail,
                count=_quick(self.model or (model if isinstance(model, str) else None)),
            )
        except (ContextWindowExceeded, ConfigurationError):
            raise
        except _PredicateFailed as failed:
            raise failed.error from None
        except Exception as error:  # noqa: BLE001 - a prompt is better sent whole than not at all
            fault("compress_prompt.failed", error, operation=operation)
            return None


class _PredicateFailed(Exception):
    """A predicate of `keep=` raised, which is the caller's business and not our fault."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _passing_errors_on(keep: Any) -> Any:
    if isinstance(keep, tuple):
        return tuple(map(_passing_errors_on, keep))
    if not callable(keep):
        return keep

    def asked(part: str) -> bool:
        try:
            return bool(keep(part))
        except Exception as error:
            raise _PredicateFailed(error) from error

    return asked


def _quick(model: str | None) -> Callable[[str], int]:
    """Count without ever waiting for a vocabulary."""
    from agentperf.tokens import count_tokens

    return partial(count_tokens, model=model, wait=False)


def _event(operation: str, made: Compressed[Any]) -> PromptCompressed:
    report = made.report
    return PromptCompressed(
        operation=operation,
        tokens_before=report.tokens_before,
        tokens_after=report.tokens_after,
        cuts=len(report.cuts),
        exact=report.exact,
        seconds=report.seconds,
    )


@overload
def compress_prompt(function: F, /) -> F: ...
@overload
def compress_prompt(
    arg: str | None = None,
    *,
    max_tokens: int | None = None,
    ratio: Share | None = None,
    model: str | None = None,
    query: Query | None = None,
    keep: Keep | Iterable[Keep] | None = None,
    on_fail: OnFail = "error",
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
) -> CompressPrompt: ...
def compress_prompt(
    arg: Any = None,
    *,
    max_tokens: int | None = None,
    ratio: Share | None = None,
    model: str | None = None,
    query: Query | None = None,
    keep: Keep | Iterable[Keep] | None = None,
    on_fail: OnFail = "error",
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Any:
    """Make the prompt of a call shorter, without losing what the question needs.

    What `agentperf.compress` does to a text or to messages is done to the argument that holds them.
    Without a limit or an aim only what loses nothing is done.

    Args:
        arg: The parameter that holds the prompt; by default the first of `messages`, `prompt`,
            `input`, `context`, `text`, `question` and the like that holds one, or the only one.
        max_tokens: A limit: the prompt never has more.
        ratio: An aim: the share of the tokens to keep, above 0 and up to 1.
        model: The model whose tokens are counted; the call's own argument `model` by default.
        query: What the parts are ranked by: a text, or a callable over the call's arguments. What
            the user's last message says by default.
        keep: Texts, compiled patterns or predicates: a part in which one is found stays.
        on_fail: What to do when what must stay is over `max_tokens`: `"error"` raises, `"keep"`
            sends the least that can be reached.
        name: A name for reports.
        enabled: False, or a callable that says False at a call, sends prompts as they are.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.compress_prompt(max_tokens=4_000)
        async def complete(messages: list[dict[str, str]], model: str = "gpt-4o") -> str: ...

    Raises:
        ConfigurationError: An option is malformed, or the prompt can't be found.
        ContextWindowExceeded: At a call, what must stay doesn't fit into `max_tokens`.
    """
    refuse_unknown(compress_prompt, unknown)
    if is_decorated_bare(arg):
        return compress_prompt()(arg)
    if arg is not None and not isinstance(arg, str):
        raise ConfigurationError(f'arg={arg!r}: the name of a parameter, such as "messages"')
    checked(
        max_tokens=max_tokens,
        ratio=ratio,
        query=None if callable(query) else query,
        keep=keep,
        on_fail=on_fail,
        strip_comments=False,
        count=None,
    )
    return CompressPrompt(
        arg=arg,
        max_tokens=max_tokens,
        ratio=ratio,
        model=model,
        query=query,
        keep=keep if keep is None or isinstance(keep, str) or callable(keep) else _whole(keep),
        on_fail=on_fail,
        name=name,
        enabled=enabled,
    )


def _whole(keep: Any) -> Any:
    """An iterator would be empty at the second call."""
    return tuple(keep) if isinstance(keep, Iterable) else keep
