"""Templates such as `"{user.id}:{messages[0]}"`, read once."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Any, NamedTuple

from agentperf.errors import ConfigurationError

_FIELD = re.compile(r"(\w+)((?:\.\w+|\[[^\[\]]+\])*)")
_STEP = re.compile(r"\.(\w+)|\[([^\[\]]+)\]")


class Field(NamedTuple):
    """One field of a template.

    Attributes:
        parameter: The parameter it starts from.
        path: What is read of that parameter's argument, as written: `.id`, `[0]`, or nothing.
        read: Takes the argument, gives the field's value.
    """

    parameter: str
    path: str
    read: Callable[[Any], Any]


def parse_fields(template: str, parameter: str = "key") -> tuple[Field, ...]:
    """Read the fields of a template in the grammar of `str.format`.

    Args:
        template: Text with fields such as `{user_id}`, `{user.id}` or `{messages[0]}`. Fields
            have no conversion and no format: it is their values that count.
        parameter: The parameter it was written for, named in the error.

    Raises:
        ConfigurationError: It is malformed.
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise _malformed(template, parameter, str(error)) from None
    fields = []
    for _, name, form, conversion in parts:
        if name is None:
            continue
        match = _FIELD.fullmatch(name)
        if match is None or name[0].isdigit():
            raise _malformed(template, parameter, f"{{{name}}} begins with no parameter's name")
        if form or conversion:
            raise _malformed(template, parameter, f"{{{name}}} has a format or a conversion")
        fields.append(Field(match[1], match[2], _reader(match[2])))
    return tuple(fields)


def _malformed(template: str, parameter: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{parameter}={template!r}: {why}; write a template such as "
        '"{user_id}:{messages}", "{user.id}" or "{messages[0]}", and braces that are meant twice, '
        'as in "{{}}"'
    )


def _reader(path: str) -> Callable[[Any], Any]:
    steps = [(attribute, item) for attribute, item in _STEP.findall(path)]

    def read(value: Any) -> Any:
        for attribute, item in steps:
            if attribute:
                value = getattr(value, attribute)
            else:
                value = value[int(item) if item.isdecimal() else item]
        return value

    return read
