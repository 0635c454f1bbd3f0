"""One canonical key for every policy: typed, by value, the same in every process."""

from __future__ import annotations

from agentperf._base.keys.compiling import KeyMaker
from agentperf._base.keys.encoding import digest, digester
from agentperf._base.keys.instances import InstanceTokens, method_self
from agentperf._base.keys.maker import key_maker
from agentperf._base.keys.names import qualified_name
from agentperf._base.keys.template import Field, parse_fields
from agentperf._base.keys.unkeyable import Unkeyable
from agentperf._base.keys.values import freeze

__all__ = [
    "Field",
    "InstanceTokens",
    "KeyMaker",
    "Unkeyable",
    "digest",
    "digester",
    "freeze",
    "key_maker",
    "method_self",
    "parse_fields",
    "qualified_name",
]
