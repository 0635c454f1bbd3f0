"""Bad options are refused before any call, by name and with a good example."""

from __future__ import annotations

import math

import pytest

from agentperf import ConfigurationError, timed

BAD = {
    "name": ["", 5, b"x"],
    "slow": [0, -1, math.nan, True, "soon", "", b"1s"],
    "memory": [1, None, "yes"],
    "attributes": [1, "x", ["a"]],
    "enabled": ["", 5, None],
}
EXAMPLES = {
    "name": 'name="search"',
    "slow": '"250ms"',
    "memory": "memory=True",
    "attributes": '{"model": "small"}',
    "enabled": "lambda",
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option, values in BAD.items() for value in values]
)
def test_a_malformed_option_is_refused(option, value):
    """The error names the parameter and shows how to write it."""
    with pytest.raises(ConfigurationError) as raised:
        timed(**{option: value})
    assert str(raised.value).startswith(f"{option}=")
    assert EXAMPLES[option] in str(raised.value)


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (type("Something", (), {}), "Something is a class; decorate its methods"),
        (property(lambda self: 1), "put the decorator below @property"),
    ],
    ids=["class", "property"],
)
def test_what_cannot_be_decorated_is_refused(thing, message, bare):
    """With options or without."""
    with pytest.raises(ConfigurationError, match=message):
        timed(thing) if bare else timed(slow=1)(thing)
