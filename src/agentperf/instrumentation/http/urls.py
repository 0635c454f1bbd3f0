"""Addresses without what is secret in them."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"^([^:/?#]*://)[^/?#]*@")
_SECRETS = re.compile(
    r"(?<=[?&])("
    # What the conventions name: signatures of stores in the cloud.
    r"X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|AWSAccessKeyId|Signature|sig"
    r"|X-Goog-Signature"
    # What services take keys by.
    r"|key|api[-_]?key|(?:access[-_]?|auth[-_]?)?token|(?:client[-_]?)?secret|password"
    r")=[^&#]*",
    re.IGNORECASE,
)


def redacted(url: str) -> str:
    """Return an address with its credentials, keys and signatures blotted out."""
    if "@" in url:
        url = _CREDENTIALS.sub(r"\1REDACTED:REDACTED@", url)
    if "?" in url:
        url = _SECRETS.sub(r"\1=REDACTED", url)
    return url
