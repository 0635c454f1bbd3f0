"""Tags: names under which answers are invalidated together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from agentperf._base.callables import refuse_async, takes
from agentperf._base.keys import Field, parse_fields
from agentperf._base.keys.compiling import Part, compiled
from agentperf.errors import ConfigurationError, UncacheableArgumentError

if TYPE_CHECKING:
    import inspect

Tags = str | Sequence[str] | Callable[..., str | Iterable[str] | None]
"""What was written for `tags=`: tags, templates of tags, or a callable over the arguments."""

TagsOf = Callable[[tuple[Any, ...], dict[str, Any]], tuple[str, ...]]
"""Gives the tags of a call from its positional and its keyword arguments."""

MOST = 64
"""How many tags one answer may have: each is looked up at each hit."""

_EXAMPLE = (
    'write tags="profiles", tags="profile:{user_id}", tags=("profiles", "team:{user.team}") '
    'or tags=lambda user_id: f"profile:{user_id}"'
)


def checked_tags(tags: Tags) -> tuple[str, ...] | Callable[..., Any]:
    """Bring `tags=` into its final form.

    Raises:
        ConfigurationError: It is nothing that could give tags.
    """
    if callable(tags):
        refuse_async("tags", tags, _EXAMPLE)
        return tags
    names = (tags,) if isinstance(tags, str) else tags  # none: the function names them itself
    if not isinstance(names, list | tuple) or not all(
        isinstance(name, str) and name for name in names
    ):
        raise ConfigurationError(f"tags={tags!r} gives no tags; {_EXAMPLE}")
    return tuple(names)


def plain_tags(tags: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return tags that are what they are, no templates: each once, in order.

    Raises:
        ConfigurationError: They are no texts, or too many.
    """
    names: Any = () if tags is None else tags
    if not isinstance(names, Iterable) or isinstance(names, str | bytes):
        names = (names,)
    found: list[str] = list(names)
    if not all(isinstance(name, str) and name for name in found):
        kinds = ", ".join(sorted({type(name).__name__ if name else repr(name) for name in found}))
        raise ConfigurationError(
            f'tags: texts that are not empty are needed, such as tags="profile:42"; got {kinds}'
        )
    found = sorted(set(found))
    if len(found) > MOST:
        raise ConfigurationError(
            f"tags: {len(found)} tags are too many for one call; {MOST} at most"
        )
    return tuple(found)


def tags_of(
    function: str,
    signature: inspect.Signature,
    tags: tuple[str, ...] | Callable[..., Any],
    example: str = _EXAMPLE,
) -> TagsOf:
    """Compile what gives the tags of a function's calls.

    Args:
        function: The function's `__qualname__`, for errors.
        signature: Its signature.
        tags: What `checked_tags` made.
        example: What to write, for errors.

    Raises:
        ConfigurationError: A template is malformed, or names no parameter.
    """
    if callable(tags):
        return _by_function(function, signature, tags)
    if not tags:
        return NO_TAGS
    templates = [_template(function, signature, text, example) for text in tags]
    if not any(template.fields for template in templates):
        return _always(plain_tags(["".join(template.literals) for template in templates]))
    parts = [
        Part(field.parameter, _as_text(function, field))
        for template in templates
        for field in template.fields
    ]
    # With something in front, what comes out is a tuple also where there is a single field.
    values_of: Any = compiled(function, signature, parts, template="")

    def of_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        values = iter(values_of(args, kwargs)[1:])
        return plain_tags([template.filled(values) for template in templates])

    return of_call


def _always(tags: tuple[str, ...]) -> TagsOf:
    return lambda _args, _kwargs: tags


NO_TAGS = _always(())
"""Gives none to any call."""


class _Template(NamedTuple):
    literals: tuple[str, ...]
    fields: tuple[Field, ...]

    def filled(self, values: Iterable[str]) -> str:
        """Fill in as many values as there are fields."""
        taken = iter(values)
        rest = self.literals[len(self.fields) :]
        filled = [literal + next(taken) for literal in self.literals[: len(self.fields)]]
        return "".join((*filled, *rest))


def _template(function: str, signature: inspect.Signature, text: str, example: str) -> _Template:
    fields = parse_fields(text, "tags")
    for field in fields:
        if field.parameter not in signature.parameters:
            from difflib import get_close_matches

            close = get_close_matches(field.parameter, signature.parameters, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigurationError(
                f"tags={text!r}: {function}() has no parameter {field.parameter!r}{hint}; {example}"
            )
    import string  # whoever has no tags needs none of this

    # One literal in front of each field, and what stands after the last one.
    literals, held = [], ""
    for literal, name, _, _ in string.Formatter().parse(text):
        held += literal
        if name is not None:
            literals.append(held)
            held = ""
    return _Template((*literals, held), fields)


def _as_text(function: str, field: Field) -> Callable[[Any], str]:
    def text(value: object) -> str:
        try:
            found = field.read(value)
        except (AttributeError, LookupError, TypeError) as error:
            raise _untaggable(function, field, f"isn't there ({type(error).__name__})") from error
        if isinstance(found, str):
            return str.__str__(found)
        kind: Any = type(found)
        if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
            raise _untaggable(
                function, field, f"is a {kind.__name__}, which has no text of its own"
            )
        return str(found)

    return text


def _untaggable(function: str, field: Field, why: str) -> UncacheableArgumentError:
    return UncacheableArgumentError(
        f"{function}(): {{{field.parameter}{field.path}}} of its tags {why}; name an attribute "
        'that is text or a number, such as tags="profile:{user.id}"',
        function=function,
        parameter=field.parameter,
    )


def _by_function(function: str, signature: inspect.Signature, tags: Callable[..., Any]) -> TagsOf:
    check = compiled(function, signature, ())
    shown = ", ".join(map(str, signature.parameters))

    def of_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        check(args, kwargs)  # `tags` may take what the function wouldn't
        try:
            given = tags(*args, **kwargs)
        except TypeError as error:
            if takes(tags, args, kwargs):
                raise  # by what it does
            raise ConfigurationError(
                f"tags= of {function}() can't be called as the function itself is ({error}): give "
                f"it the same parameters, as in tags=lambda {shown}: ..."
            ) from error
        return plain_tags(given)

    return of_call
