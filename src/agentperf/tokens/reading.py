"""What a request to a chat model consists of: texts to count, and what is added to them.

The sums are those of OpenAI's chat format: 3 tokens for every message, 1 for a name, 3 for the
start of the answer. They match the prompt tokens that the API reported in every case known to us,
but the provider calls them an estimate, so they count as one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentperf.errors import ConfigurationError
from agentperf.tokens.count import TokenCount
from agentperf.tokens.models import Profile
from agentperf.tokens.tools import declarations

Piece = str | TokenCount
"""A text whose tokens are to be counted, or tokens that are there without one."""

_EXAMPLE = (
    'a text, messages such as [{"role": "user", "content": "Hello"}], '
    'or a request such as {"model": "gpt-4o", "messages": [...], "tools": [...]}'
)


def _format(tokens: int) -> TokenCount:
    return TokenCount(tokens, source="chat", error=1.0)


_MESSAGE, _NAMED, _ANSWER, _CALL = _format(3), _format(4), _format(3), _format(3)
_RESULT = _format(2)  # The old role "function" with its name: two fewer than any other message.
_UNKNOWN = TokenCount(0, source="media", error=None)
_TOOLS = 9
_TOOLS_BESIDE_SYSTEM = 5


def pieces(x: object, profile: Profile) -> Iterator[Piece]:
    """Yield what `x` consists of: a text, a list of messages or a request.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(x, str):
        yield str.__str__(x)
    elif isinstance(x, Mapping):
        yield from _request(x, profile)
    elif _is_list(x):
        yield from _messages(x, profile, with_tools=False)
    else:
        raise ConfigurationError(f"x={_shown(x)} can't be counted: give {_EXAMPLE}")


def _request(request: Mapping[str, Any], profile: Profile) -> Iterator[Piece]:
    messages = request.get("messages")
    if not _is_list(messages):
        raise ConfigurationError(f"x has no list of messages in x['messages']: give {_EXAMPLE}")
    functions = [_function(tool, index) for index, tool in enumerate(_tools(request))]
    yield from _messages(messages, profile, with_tools=bool(functions))
    if functions:
        system = any(_fields(message, 0).get("role") == "system" for message in messages)
        added = _TOOLS_BESIDE_SYSTEM if system else _TOOLS
        yield declarations(functions)
        yield TokenCount(added, source="tools", error=1.0)
        yield from _choice(request.get("tool_choice", request.get("function_call")))
    yield from _answer_schema(request.get("response_format"))


def _tools(request: Mapping[str, Any]) -> Sequence[Any]:
    tools = request.get("tools") or request.get("functions") or ()
    if not _is_list(tools):
        raise ConfigurationError(f"x['tools']={_shown(tools)}: a list of tool schemas is needed")
    return tools


def _function(tool: object, index: int) -> Mapping[str, Any]:
    schema = _plain(tool)
    function = schema.get("function", schema) if schema is not None else None
    if not (isinstance(function, Mapping) and isinstance(function.get("name"), str)):
        raise ConfigurationError(
            f"x['tools'][{index}]={_shown(tool)}: a tool schema is needed, such as "
            '{"type": "function", "function": {"name": "search", "parameters": {...}}}'
        )
    if "input_schema" in function:  # Anthropic's name for the parameters.
        return {**function, "parameters": function["input_schema"]}
    return function


def _choice(choice: object) -> Iterator[Piece]:
    if choice == "none":
        yield TokenCount(1, source="tools", error=1.0)
    elif isinstance(choice, Mapping):
        chosen = choice.get("function", choice)
        if isinstance(chosen, Mapping) and isinstance(name := chosen.get("name"), str):
            yield name
            yield TokenCount(4, source="tools", error=1.0)


def _answer_schema(form: object) -> Iterator[Piece]:
    if isinstance(form, Mapping) and isinstance(form.get("json_schema"), Mapping):
        yield _json(form["json_schema"])
        yield TokenCount(0, source="schema", error=None)


def _messages(
    messages: Sequence[Any], profile: Profile, *, with_tools: bool
) -> Iterator[Piece]:
    padded = not with_tools
    for index, message in enumerate(messages):
        fields = _fields(message, index)
        if not padded and fields.get("role") == "system":
            # Declarations of tools follow the first system message, on a line of their own.
            padded = True
            if isinstance(content := fields.get("content"), str):
                fields = {**fields, "content": f"{content}\n"}
        yield from _message(fields, profile, index)
    yield _ANSWER


def _fields(message: object, index: int) -> Mapping[str, Any]:
    fields = _plain(message)
    if fields is None or not isinstance(fields.get("role"), str):
        raise ConfigurationError(
            f"message {index} is {_shown(message)}: a message is needed, "
            'such as {"role": "user", "content": "Hello"}'
        )
    return fields


def _message(fields: Mapping[str, Any], profile: Profile, index: int) -> Iterator[Piece]:
    role, name = fields["role"], fields.get("name")
    yield role
    if isinstance(name, str) and name:
        yield name
        yield _RESULT if role == "function" else _NAMED
    else:
        yield _MESSAGE
    yield from _content(fields.get("content"), profile, index)
    calls = fields.get("tool_calls") or ()
    for call in [*calls, fields.get("function_call")] if _is_list(calls) else ():
        yield from _call(call)


def _call(call: object) -> Iterator[Piece]:
    fields = _plain(call) or {}
    function = _plain(fields.get("function")) or fields
    if isinstance(function.get("name"), str):
        yield function["name"]
        yield _CALL
        arguments = function.get("arguments", function.get("input"))
        if arguments:
            yield arguments if isinstance(arguments, str) else _json(arguments)


def _content(content: object, profile: Profile, index: int) -> Iterator[Piece]:
    if isinstance(content, str):
        yield str.__str__(content)
    elif _is_list(content):
        for part in content:
            yield from _part(part, profile, index)
    elif content is not None:
        raise ConfigurationError(
            f"the content of message {index} is {_shown(content)}: a text or a list of parts is "
            'needed, such as [{"type": "text", "text": "Hello"}]'
        )


def _part(part: object, profile: Profile, index: int) -> Iterator[Piece]:
    if isinstance(part, str):
        yield str.__str__(part)
        return
    fields = _plain(part)
    if fields is None:
        raise ConfigurationError(
            f"message {index} has the part {_shown(part)}: "
            'a part is needed, such as {"type": "text", "text": "Hello"}'
        )
    text = fields.get("text", fields.get("refusal"))
    kind = fields.get("type")
    if isinstance(text, str):
        yield text
    elif kind in ("image_url", "input_image", "image"):
        yield _image(fields, profile)
    elif kind == "tool_use":
        yield from _call(fields)
    elif kind == "tool_result":
        yield from _content(fields.get("content"), profile, index)
    else:
        yield _UNKNOWN


def _image(fields: Mapping[str, Any], profile: Profile) -> TokenCount:
    """Count an image of ordinary size; its true size is not known before it is read."""
    image = fields.get("image_url")
    detail = (image if isinstance(image, Mapping) else fields).get("detail")
    low, high = profile.images
    return TokenCount(low if detail == "low" else high, source="media", error=None)


def _plain(value: object) -> Mapping[str, Any] | None:
    """Return a mapping as it is, and what an SDK returned (a pydantic model) as one."""
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    return dump(exclude_none=True) if callable(dump) else None


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
