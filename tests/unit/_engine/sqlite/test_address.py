"""How a file on disk is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentperf._engine.sqlite.address import DEFAULT_BYTES, Address
from agentperf.errors import ConfigurationError


@pytest.mark.parametrize(
    "text",
    [
        "sqlite",
        "sqlite:",
        "sqlite:  ",
        "sqlite:?max_bytes=1GB",
        "sqlite:///tmp/cache.db",
        "sqlite::memory:",
        "sqlite:a.db?max_byte=1GB",
        "sqlite:a.db?max_bytes=lots",
        "sqlite:a.db?max_bytes=",
        "sqlite:a.db?max_bytes=100",
        "sqlite:/",
        "sqlite:a\0b",
    ],
)
def test_a_bad_address_is_refused_with_an_example(text):
    """Every mistake is a configuration error that shows how it is written."""
    with pytest.raises(ConfigurationError, match=r"such as"):
        Address.read(text)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite",
        "sqlite:",
        "sqlite:///a.db",
        "sqlite:?timeout=5",
        "sqlite:a.db?timeout=5",
        "sqlite:/",
    ],
)
def test_a_bad_address_of_a_store_is_refused_as_one(text):
    """The error speaks of stores, not of caches, and a query is no part of a file's name."""
    with pytest.raises(ConfigurationError, match=r"such as") as caught:
        Address.of_store(text)
    assert "cache" not in str(caught.value)
    assert "backend" not in str(caught.value)


def test_a_store_on_disk_has_no_options():
    """Two processes that spell them differently would silently share nothing."""
    with pytest.raises(ConfigurationError, match=r'has no options.*store="sqlite:a.db"$'):
        Address.of_store("sqlite:a.db?timeout=5")
    assert Address.of_store("sqlite:a.db") == Address.of("a.db")


@pytest.mark.parametrize(
    ("text", "path", "size"),
    [
        ("sqlite:a.db", "a.db", DEFAULT_BYTES),
        ("sqlite:./b/a b.db?max_bytes=1GB", "b/a b.db", 1_000_000_000),
        ("sqlite:~/a.db?max_bytes=300000", "~/a.db", 300_000),
        ("sqlite:a:b.db?max_bytes=1.5MiB", "a:b.db", 1_572_864),
    ],
)
def test_addresses(text, path, size):
    """A path is made absolute at once, so that a later change of directory changes nothing."""
    assert Address.read(text) == Address(Path(path).expanduser().absolute(), size)
