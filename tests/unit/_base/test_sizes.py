"""Sizes as people write them."""

from __future__ import annotations

import pytest

from agentperf import ConfigurationError
from agentperf._base.sizes import in_bytes


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1, 1),
        ("512", 512),
        ("64 b", 64),
        ("64kB", 64_000),
        ("256MB", 256_000_000),
        (" 1.5 gb ", 1_500_000_000),
        ("4KiB", 4096),
        ("1MiB", 1_048_576),
        ("2GiB", 2_147_483_648),
    ],
)
def test_sizes(written, size):
    """Units count by thousands, or by 1024 where they say so."""
    assert in_bytes(written, "max_bytes") == size


@pytest.mark.parametrize(
    "written", [0, -1, True, None, 1.5, "", "MB", "1TB?", "-1MB", "1e9", "1 M B"]
)
def test_what_is_no_size(written):
    """The error names the parameter and shows how it is written."""
    with pytest.raises(ConfigurationError, match=r'max_bytes=.*such as 64_000_000, "256MB"'):
        in_bytes(written, "max_bytes")


def test_a_size_that_is_too_small():
    """The error says from where on it makes sense."""
    with pytest.raises(ConfigurationError, match="from 256,000 bytes up"):
        in_bytes("255kB", "max_bytes", least=256_000)
