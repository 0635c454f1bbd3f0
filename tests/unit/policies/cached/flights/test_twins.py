"""An error of one's own: equal in everything, with a traceback apart."""

from __future__ import annotations

import dataclasses

import pytest

from agentperf.errors import MissingExtraError, RateLimitExceeded
from agentperf.policies.cached.flights.twins import twin


class Coded(Exception):
    """Its `args` are not what it was made of."""

    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code


class Keyworded(Exception):
    """Can't be made of its `args` at all, as errors of HTTP clients."""

    def __init__(self, message, *, response):
        super().__init__(message)
        self.response = response


class Slotted(Exception):
    """Keeps something outside of its dict."""

    __slots__ = ("status",)

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class System(OSError):
    """A system error with an `__init__` of its own."""

    def __init__(self, number):
        super().__init__(number, "no luck")
        self.number = number


def _raised(act):
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever it raises
        return error
    raise AssertionError


ERRORS = [
    ValueError("x", 2),
    KeyError("x"),
    Coded(5),
    Keyworded("gone", response={"status": 503}),
    Slotted(418),
    System(5),
    _raised(lambda: open("/there/is/no/such/file")),  # noqa: SIM115, PTH123 - it isn't opened
    _raised(lambda: __import__("no_such_module")),
    _raised(b"\xff".decode),
    ExceptionGroup("several", [ValueError(1), Coded(2)]),
    RateLimitExceeded("full", policy="rate_limited", name="search", retry_after=2.0),
    MissingExtraError("the demo", "demo", "openai"),
]


def _facts(error):
    names = [name for name in dir(error) if not name.startswith("__")]
    return {name: value for name in names if not callable(value := getattr(error, name, None))}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_twin_is_equal_in_everything(error):
    """Type, text, arguments and attributes are the original's; the object is another."""
    made = twin(error)
    assert made is not error
    assert type(made) is type(error)
    assert (str(made), repr(made), made.args) == (str(error), repr(error), error.args)
    assert _facts(made) == _facts(error)


def test_a_twin_keeps_what_led_to_it():
    """Cause and context are the original's."""
    error = ValueError("late")
    error.__cause__, error.__context__ = KeyError("early"), OSError()
    made = twin(error)
    assert made.__cause__ is error.__cause__
    assert made.__context__ is error.__context__
    assert made.__suppress_context__


def test_a_note_on_a_twin_is_its_own():
    """Who adds a note adds it to its own error."""
    error = ValueError()
    error.add_note("seen by all")
    made = twin(error)
    made.add_note("seen by one")
    assert error.__notes__ == ["seen by all"]
    assert made.__notes__ == ["seen by all", "seen by one"]


def test_raising_a_twin_leaves_the_original_alone():
    """The traceback grows on one of them only."""
    error = _raised(lambda: 1 / 0)
    before = error.__traceback__
    made = twin(error)
    with pytest.raises(ZeroDivisionError):
        raise made
    assert error.__traceback__ is before


def test_what_cannot_be_made_again_is_shared():
    """A class that refuses is no reason to raise something else."""

    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        x: int

    class Unwilling(Exception):
        def __reduce__(self):
            raise TypeError("never")

    class Other(Exception):
        def __reduce__(self):
            return ValueError, ("something else",)

    for error in (Frozen(1), Unwilling(), Other()):
        assert twin(error) is error
