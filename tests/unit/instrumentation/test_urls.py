"""Addresses lose what is secret in them, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.instrumentation.http.urls import redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/x?page=2#end", "https://a.example/x?page=2#end"),
        ("https://me:pass@a.example/x", "https://REDACTED:REDACTED@a.example/x"),
        ("https://me@a.example", "https://REDACTED:REDACTED@a.example"),
        ("https://a:b@c@a.example/", "https://REDACTED:REDACTED@a.example/"),
        ("https://a.example/@me?x=a@b", "https://a.example/@me?x=a@b"),
        ("https://a.example/?sig=abc&x=1", "https://a.example/?sig=REDACTED&x=1"),
        (
            "https://a.example/?x=1&X-Amz-Signature=abc",
            "https://a.example/?x=1&X-Amz-Signature=REDACTED",
        ),
        (
            "https://a.example/?X-Amz-Security-Token=a#f",
            "https://a.example/?X-Amz-Security-Token=REDACTED#f",
        ),
        ("https://a.example/?key=abc", "https://a.example/?key=REDACTED"),
        ("https://a.example/?api-key=abc&monkey=1", "https://a.example/?api-key=REDACTED&monkey=1"),
        ("https://a.example/?access_token=abc", "https://a.example/?access_token=REDACTED"),
    ],
)
def test_what_is_shown(url, shown):
    """Credentials, signatures and keys are blotted out; their names stay."""
    assert redacted(url) == shown


@given(
    st.sampled_from(["sig", "Signature", "X-Goog-Signature", "api_key", "token"]),
    st.text("abcXYZ019%-_.~", min_size=1),
    st.sampled_from(["?", "?a=1&", "?a=1&b=2&"]),
)
def test_no_secret_is_left(name, secret, before):
    """Wherever in the query a secret stands, it goes."""
    shown = redacted(f"https://a.example/{before}{name}=secret{secret}")
    assert shown == f"https://a.example/{before}{name}=REDACTED"
