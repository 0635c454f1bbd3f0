"""Decorated things on module level, as other processes and pickles find them."""

from __future__ import annotations

import functools
import os

import agentperf


@agentperf.timed
def square(x):
    """Multiply by itself."""
    return x * x


def power(base, exponent):
    """Raise to a power."""
    return base**exponent


cube = agentperf.timed("cube")(functools.partial(power, exponent=3))


class Multiplier:
    """A callable object with state."""

    def __init__(self, factor):
        self.factor = factor
        self.seen = []

    def __call__(self, x):
        """Multiply."""
        self.seen.append(x)
        return self.factor * x


double = agentperf.timed(name="double")(Multiplier(2))


class Agent:
    """With a decorated method."""

    @agentperf.timed
    def run(self, x):
        """Answer."""
        return x + 1


def squared_and_counted(x):
    """Call in this process and tell what was counted here."""
    return square(x), agentperf.handle(square).stats().calls, os.getpid()
