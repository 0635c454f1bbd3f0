"""What a request to a chat model consists of: texts to count, and what is added to them.

The sums are those of OpenAI's chat format: 3 tokens for every message, 1 for a name, 3 for the
start of the answer. They match the prompt tokens that the API reported in every case known to us,
but the provider calls them an estimate, so they count as one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, cast

from agentperf.errors import ConfigurationError
from agentperf.tokens.count import Tally, TokenCount
from agentperf.tokens.models import Profile
from agentperf.tokens.tools import declarations

_EXAMPLE = (
    'a text, messages such as [{"role": "user", "content": "Hello"}], '
    'or a request such as {"model": "gpt-4o", "messages": [...], "tools": [...]}'
)

_TOOL = 'such as {"type": "function", "function": {"name": "search", "parameters": {...}}}'

# One token of three might be another in formats to come; those of tools are less certain.
_FORMAT_ERROR = 1 / 3
_TOOLS_ERROR = 1 / 2

_MESSAGE = 3
_NAME = 1
_FUNCTION = -2  # A message of the old role "function" has that many fewer.
_CALL = 3
_ANSWER = 3
_TOOLS = 9
_TOOLS_AFTER_SYSTEM = 5
_NO_TOOL = 1
_THIS_TOOL = 4


class Reading:
    """The parts of what is counted.

    Args:
        x: A text, a list of messages or a request.
        profile: The model that reads it.

    Attributes:
        texts: What has to be counted.
        added: Tokens that are there without a text.

    Raises:
        ConfigurationError: `x` is something else.
    """

    def __init__(self, x: object, profile: Profile) -> None:
        self.texts: list[str] = []
        self._profile = profile
        self._format = 0
        self._tools = 0
        self._media = 0
        self._guessed = False
        if isinstance(x, str):
            self.texts.append(str.__str__(x))
        elif isinstance(x, Mapping):
            self._request(x)
        elif _is_list(x):
            self._messages(x)
        else:
            raise ConfigurationError(f"x is {_shown(x)}, which can't be counted: give {_EXAMPLE}")

    @property
    def added(self) -> TokenCount:
        """Tokens that are there without a text."""
        tally = Tally()
        if self._format:
            tally.add(TokenCount(self._format, source="chat", error=_FORMAT_ERROR))
        if self._tools:
            tally.add(TokenCount(self._tools, source="tools", error=_TOOLS_ERROR))
        if self._guessed:
            tally.add(TokenCount(self._media, source="media", error=None))
        return tally.total()

    def _request(self, request: Mapping[str, Any]) -> None:
        messages = request.get("messages")
        if not _is_list(messages):
            raise ConfigurationError(f"x has no list of messages in x['messages']: give {_EXAMPLE}")
        functions = _functions(request)
        if not functions:
            self._messages(messages)
        else:
            system = self._messages(messages, after_system="\n")
            self._tools += _TOOLS_AFTER_SYSTEM if system else _TOOLS
            self.texts.append(declarations(functions))
            self._choice(request.get("tool_choice", request.get("function_call")))
        answer = request.get("response_format")
        if isinstance(answer, Mapping) and isinstance(answer.get("json_schema"), Mapping):
            self.texts.append(_json(answer["json_schema"]))
            self._guessed = True

    def _choice(self, choice: object) -> None:
        if choice == "none":
            self._tools += _NO_TOOL
        elif isinstance(choice, Mapping):
            chosen = choice.get("function", choice)
            if isinstance(chosen, Mapping) and isinstance(name := chosen.get("name"), str):
                self.texts.append(name)
                self._tools += _THIS_TOOL

    def _messages(self, messages: Sequence[Any], after_system: str = "") -> bool:
        """Read messages; tell whether one is the system's, whose first is given a new ending."""
        system = False
        for index, message in enumerate(messages):
            fields = message if type(message) is dict else _plain(message)
            role = fields.get("role") if fields is not None else None
            if fields is None or not isinstance(role, str):
                raise ConfigurationError(
                    f"message {index} is {_shown(message)}: a message is needed, "
                    'such as {"role": "user", "content": "Hello"}'
                )
            self.texts.append(role)
            content = fields.get("content")
            if role == "system" and not system:
                system = True
                content = content + after_system if isinstance(content, str) else content
            self._content(content, index)
            self._format += _MESSAGE
            if len(fields) > 2:
                self._extras(fields, role)
        self._format += _ANSWER
        return system

    def _extras(self, fields: Mapping[str, Any], role: str) -> None:
        name = fields.get("name")
        if isinstance(name, str) and name:
            self.texts.append(name)
            self._format += _NAME + (_FUNCTION if role == "function" else 0)
        calls = fields.get("tool_calls")
        for call in calls if _is_list(calls) else ():
            self._call(call)
        self._call(fields.get("function_call"))

    def _call(self, call: object) -> None:
        fields = _plain(call) or {}
        function = _plain(fields.get("function")) or fields
        if isinstance(name := function.get("name"), str):
            self.texts.append(name)
            self._format += _CALL
            arguments = function.get("arguments", function.get("input"))
            if arguments:
                self.texts.append(arguments if isinstance(arguments, str) else _json(arguments))

    def _content(self, content: object, index: int) -> None:
        if isinstance(content, str):
            self.texts.append(str.__str__(content))
        elif _is_list(content):
            for part in content:
                self._part(part, index)
        elif content is not None:
            raise ConfigurationError(
                f"the content of message {index} is {_shown(content)}: a text or a list of parts "
                'is needed, such as [{"type": "text", "text": "Hello"}]'
            )

    def _part(self, part: object, index: int) -> None:
        if isinstance(part, str):
            self.texts.append(str.__str__(part))
            return
        fields = _plain(part)
        if fields is None:
            raise ConfigurationError(
                f"message {index} has {_shown(part)} as a part: "
                'a part is needed, such as {"type": "text", "text": "Hello"}'
            )
        text = fields.get("text", fields.get("refusal"))
        kind = fields.get("type")
        if isinstance(text, str):
            self.texts.append(text)
        elif kind == "tool_use":
            self._call(fields)
        elif kind == "tool_result":
            self._content(fields.get("content"), index)
        else:
            self._guessed = True
            if kind in ("image_url", "input_image", "image"):
                self._media += self._image(fields)

    def _image(self, fields: Mapping[str, Any]) -> int:
        """Count an image of ordinary size; its true size is not known before it is read."""
        image = fields.get("image_url")
        detail = (image if isinstance(image, Mapping) else fields).get("detail")
        low, high = self._profile.images
        return low if detail == "low" else high


def _functions(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tools = request.get("tools") or request.get("functions") or ()
    if not _is_list(tools):
        raise ConfigurationError(f"x['tools'] is {_shown(tools)}: a list is needed, {_TOOL}")
    return [_function(tool, index) for index, tool in enumerate(tools)]


def _function(tool: object, index: int) -> Mapping[str, Any]:
    schema = _plain(tool) or {}
    function = schema.get("function", schema)
    if not (isinstance(function, Mapping) and isinstance(function.get("name"), str)):
        raise ConfigurationError(
            f"x['tools'][{index}] is {_shown(tool)}: a tool schema is needed, {_TOOL}"
        )
    if "input_schema" in function:  # Anthropic's name for the parameters.
        return {**function, "parameters": function["input_schema"]}
    return function


def _plain(value: object) -> Mapping[str, Any] | None:
    """Return a mapping as it is, and what an SDK returned (a pydantic model) as one."""
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    if not callable(dump):
        return None
    return cast("Mapping[str, Any]", dump(exclude_none=True))


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _shown(value: object) -> str:
    """Say of what kind something is: what it holds may be somebody's secret."""
    if value is None or isinstance(value, bool):
        return repr(value)
    kind = type(value).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    if isinstance(value, Mapping):
        names = ", ".join(repr(name)[:40] for name in list(value)[:5])
        return f"{article} {kind} with {f'the keys {names}' if names else 'no keys'}"
    return f"{article} {kind}"
