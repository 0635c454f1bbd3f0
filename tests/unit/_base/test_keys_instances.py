"""Tokens of instances: by identity, weak, never given twice."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from agentperf._base.keys import InstanceTokens, Unkeyable, freeze
from agentperf.errors import UncacheableArgumentError


class Agent:
    """Equal to everything and unhashable: identity alone can tell its instances apart."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_a_token_stands_for_one_instance() -> None:
    """The same instance keeps its token; equality and hash play no part."""
    tokens = InstanceTokens()
    first, second = Agent(), Agent()
    assert tokens(first) == tokens(first) == ("self", 1)
    assert tokens(second) == ("self", 2)
    assert InstanceTokens()(second) == ("self", 1), "every owner counts for itself"


def test_tokens_die_with_their_instances() -> None:
    """Nothing keeps an instance alive, and nothing of it remains."""
    tokens = InstanceTokens()
    agent = Agent()
    alive = weakref.ref(agent)
    tokens(agent)
    assert len(tokens) == 1
    del agent
    gc.collect()
    assert alive() is None
    assert len(tokens) == 0


def test_an_instance_in_a_cycle_is_forgotten_when_collected() -> None:
    """The garbage collector's way out counts as well."""
    tokens = InstanceTokens()
    agent = Agent()
    agent.itself = agent  # type: ignore[attr-defined]
    tokens(agent)
    del agent
    gc.collect()
    assert len(tokens) == 0


def test_a_reused_address_gets_a_new_token() -> None:
    """An object that comes to lie where another one lay can't inherit its token."""
    tokens = InstanceTokens()
    addresses, given = [], []
    for _ in range(1000):
        agent = Agent()
        addresses.append(id(agent))
        given.append(tokens(agent))
        del agent
    assert len(set(addresses)) < 1000, "no address was used again: the test shows nothing"
    assert len(set(given)) == 1000


def test_threads_agree_on_a_token() -> None:
    """Many threads that meet an instance for the first time get one token."""
    for _ in range(50):
        tokens, agent = InstanceTokens(), Agent()
        start = threading.Barrier(8)
        seen: list[object] = []

        def ask() -> None:
            start.wait(10)  # noqa: B023
            seen.append(tokens(agent))  # noqa: B023

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(seen) == 8
        assert len(set(seen)) == 1
        assert tokens(agent) == seen[0]


def test_a_race_for_the_first_token_has_one_winner() -> None:
    """Two threads that both find no token yet still agree."""
    tokens, agent = InstanceTokens(), Agent()
    assert tokens._new(agent) == tokens._new(agent) == tokens(agent)


def test_an_entry_of_a_dead_instance_is_never_believed() -> None:
    """Even if word of an end came late, the newcomer gets and keeps a token of its own."""
    tokens = InstanceTokens()
    old, new = Agent(), Agent()
    tokens(old)
    late = tokens._references.pop(id(old))
    late.address = id(new)
    tokens._references[id(new)] = late
    del old
    tokens._references[id(new)] = late
    assert tokens(new) == tokens(new) == ("self", 2)
    tokens._forget(late)
    assert tokens(new) == ("self", 2)


def test_a_finalizer_may_ask_for_a_token_at_any_moment() -> None:
    """Tokens take no lock, so a collection in the middle of one can't block on another."""
    tokens = InstanceTokens()
    asked = []

    class Farewell(Agent):
        def __del__(self) -> None:
            asked.append(tokens(Agent()))

    for _ in range(10):
        last = Farewell()
        last.itself = last  # type: ignore[attr-defined]
        tokens(last)
        del last
    gc.collect()
    assert len(set(asked)) == len(asked) == 10


@pytest.mark.parametrize("instance", [5, "text", (), object()])
def test_what_cant_be_referenced_weakly_is_refused(instance: object) -> None:
    """The error says what to add to the class."""
    with pytest.raises(UncacheableArgumentError, match=r"__weakref__.*__agentperf_key__") as caught:
        InstanceTokens()(instance)
    assert type(caught.value) is Unkeyable


def test_the_owner_is_collected_with_its_tokens() -> None:
    """An owner that goes leaves nothing behind on the instances."""
    agent, tokens = Agent(), InstanceTokens()
    tokens(agent)
    gone = weakref.ref(tokens)
    del tokens
    gc.collect()
    assert gone() is None
    del agent


def test_tokens_are_no_frozen_form_of_any_value() -> None:
    """A token can't be mistaken for an argument's value."""
    token = InstanceTokens()(Agent())
    for value in (("self", 1), ["self", 1], "self", 1):
        assert freeze(value) != token
