"""agentperf makes Python agents fast, cheap and dependable, and proves it.

import agentperf

@agentperf.timed                        # count and measure
@agentperf.cached(ttl="10m")            # answer the same question once
async def answer(question: str) -> str: ...

await answer("What is new?")
print(agentperf.handle(answer).stats())
print(agentperf.handle(answer).cache.stats())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentperf._base.offered import register_offered
from agentperf._engine.current import register_default

if TYPE_CHECKING:
    from agentperf import codec as codec
    from agentperf import config as config
    from agentperf import errors as errors
    from agentperf import events as events
    from agentperf import testing as testing
    from agentperf import tokens as tokens
    from agentperf._base.endings import Ending as Ending
    from agentperf._base.verdicts import Fault as Fault
    from agentperf._base.verdicts import Remedy as Remedy
    from agentperf._base.verdicts import Verdict as Verdict
    from agentperf._engine.classify import classify as classify
    from agentperf._engine.classify import judge as judge
    from agentperf._engine.current import use as use
    from agentperf._engine.scope import scope as scope
    from agentperf._handle import Handle as Handle
    from agentperf._handle import handle as handle
    from agentperf._host import Host as Host
    from agentperf._host import configure as configure
    from agentperf._host import stats as stats
    from agentperf.context import Compressed as Compressed
    from agentperf.context import CompressionReport as CompressionReport
    from agentperf.context import compress as compress
    from agentperf.errors import AgentPerfError as AgentPerfError
    from agentperf.errors import BackendError as BackendError
    from agentperf.errors import BudgetExceeded as BudgetExceeded
    from agentperf.errors import BulkheadFull as BulkheadFull
    from agentperf.errors import CacheMissError as CacheMissError
    from agentperf.errors import CallRejected as CallRejected
    from agentperf.errors import CallTimeout as CallTimeout
    from agentperf.errors import CircuitOpen as CircuitOpen
    from agentperf.errors import ConfigurationError as ConfigurationError
    from agentperf.errors import ContextWindowExceeded as ContextWindowExceeded
    from agentperf.errors import MissingExtraError as MissingExtraError
    from agentperf.errors import OrderWarning as OrderWarning
    from agentperf.errors import PluginError as PluginError
    from agentperf.errors import RateLimitExceeded as RateLimitExceeded
    from agentperf.errors import RequestTooLarge as RequestTooLarge
    from agentperf.errors import SharedStreamError as SharedStreamError
    from agentperf.errors import StoreUnavailable as StoreUnavailable
    from agentperf.errors import UncacheableArgumentError as UncacheableArgumentError
    from agentperf.errors import UncacheableValueError as UncacheableValueError
    from agentperf.hookspecs import hookimpl as hookimpl
    from agentperf.instrumentation import instrument as instrument
    from agentperf.instrumentation import uninstrument as uninstrument
    from agentperf.policies.budgeted import Budget as Budget
    from agentperf.policies.budgeted import BudgetHandle as BudgetHandle
    from agentperf.policies.budgeted import budget as budget
    from agentperf.policies.budgeted import budgeted as budgeted
    from agentperf.policies.budgeted.shared.handle import SharedBudget as SharedBudget
    from agentperf.policies.budgeted.shared.handle import SharedSpending as SharedSpending
    from agentperf.policies.bulkhead import BulkheadHandle as BulkheadHandle
    from agentperf.policies.bulkhead import BulkheadStats as BulkheadStats
    from agentperf.policies.bulkhead import bulkhead as bulkhead
    from agentperf.policies.cached import cached as cached
    from agentperf.policies.cached.control import cache_control as cache_control
    from agentperf.policies.cached.explaining import CacheExplanation as CacheExplanation
    from agentperf.policies.cached.flights.flight import CacheControl as CacheControl
    from agentperf.policies.cached.handle import CacheHandle as CacheHandle
    from agentperf.policies.cached.mode import cache_mode as cache_mode
    from agentperf.policies.cached.objects import Cache as Cache
    from agentperf.policies.cached.overview import cache_stats as cache_stats
    from agentperf.policies.cached.stats import CacheStats as CacheStats
    from agentperf.policies.cached.tags.invalidates import invalidates as invalidates
    from agentperf.policies.cached.tags.invalidation import ainvalidate as ainvalidate
    from agentperf.policies.cached.tags.invalidation import invalidate as invalidate
    from agentperf.policies.cached.tiered import NearStats as NearStats
    from agentperf.policies.cached.tiered import Tiered as Tiered
    from agentperf.policies.circuit_breaker import BreakerHandle as BreakerHandle
    from agentperf.policies.circuit_breaker import circuit_breaker as circuit_breaker
    from agentperf.policies.compose import resilient as resilient
    from agentperf.policies.compose import stack as stack
    from agentperf.policies.compress_prompt import compress_prompt as compress_prompt
    from agentperf.policies.fallback import Link as Link
    from agentperf.policies.fallback import fallback as fallback
    from agentperf.policies.hedged import HedgesHandle as HedgesHandle
    from agentperf.policies.hedged import HedgeStats as HedgeStats
    from agentperf.policies.hedged import hedged as hedged
    from agentperf.policies.rate_limited import LimiterHandle as LimiterHandle
    from agentperf.policies.rate_limited import Outlook as Outlook
    from agentperf.policies.rate_limited import rate_limited as rate_limited
    from agentperf.policies.retry import retry as retry
    from agentperf.policies.retry.layer import Restarted as Restarted
    from agentperf.policies.timed import measure as measure
    from agentperf.policies.timed import record as record
    from agentperf.policies.timed import timed as timed
    from agentperf.policies.timeout import timeout as timeout
    from agentperf.telemetry import Decision as Decision
    from agentperf.telemetry import OperationStats as OperationStats
    from agentperf.tokens import TokenCount as TokenCount
    from agentperf.tokens import count_tokens as count_tokens
    from agentperf.usage import Usage as Usage

_ERRORS = (
    "AgentPerfError BackendError BudgetExceeded BulkheadFull CacheMissError CallRejected "
    "CallTimeout CircuitOpen ConfigurationError ContextWindowExceeded MissingExtraError "
    "OrderWarning PluginError RateLimitExceeded RequestTooLarge SharedStreamError StoreUnavailable "
    "UncacheableArgumentError UncacheableValueError"
)
_EXPORTS = {
    "BreakerHandle": "agentperf.policies.circuit_breaker",
    "Budget": "agentperf.policies.budgeted",
    "BudgetHandle": "agentperf.policies.budgeted",
    "BulkheadHandle": "agentperf.policies.bulkhead",
    "BulkheadStats": "agentperf.policies.bulkhead",
    "CacheControl": "agentperf.policies.cached.flights.flight",
    "CacheExplanation": "agentperf.policies.cached.explaining",
    "Cache": "agentperf.policies.cached.objects",
    "CacheHandle": "agentperf.policies.cached.handle",
    "CacheStats": "agentperf.policies.cached.stats",
    "Compressed": "agentperf.context",
    "CompressionReport": "agentperf.context",
    "Decision": "agentperf.telemetry",
    "Ending": "agentperf._base.endings",
    "Fault": "agentperf._base.verdicts",
    "Handle": "agentperf._handle",
    "HedgeStats": "agentperf.policies.hedged",
    "HedgesHandle": "agentperf.policies.hedged",
    "Host": "agentperf._host",
    "LimiterHandle": "agentperf.policies.rate_limited",
    "Link": "agentperf.policies.fallback",
    "Outlook": "agentperf.policies.rate_limited",
    "NearStats": "agentperf.policies.cached.tiered",
    "OperationStats": "agentperf.telemetry",
    "Restarted": "agentperf.policies.retry.layer",
    "SharedBudget": "agentperf.policies.budgeted.shared.handle",
    "SharedSpending": "agentperf.policies.budgeted.shared.handle",
    "Tiered": "agentperf.policies.cached.tiered",
    "TokenCount": "agentperf.tokens",
    "Usage": "agentperf.usage",
    "Remedy": "agentperf._base.verdicts",
    "Verdict": "agentperf._base.verdicts",
    "cache_control": "agentperf.policies.cached.control",
    "cache_mode": "agentperf.policies.cached.mode",
    "ainvalidate": "agentperf.policies.cached.tags.invalidation",
    "budget": "agentperf.policies.budgeted",
    "budgeted": "agentperf.policies.budgeted",
    "bulkhead": "agentperf.policies.bulkhead",
    "cache_stats": "agentperf.policies.cached.overview",
    "cached": "agentperf.policies.cached",
    "circuit_breaker": "agentperf.policies.circuit_breaker",
    "classify": "agentperf._engine.classify",
    "judge": "agentperf._engine.classify",
    "codec": "agentperf.codec",
    "compress": "agentperf.context",
    "compress_prompt": "agentperf.policies.compress_prompt",
    "config": "agentperf.config",
    "configure": "agentperf._host",
    "count_tokens": "agentperf.tokens",
    "errors": "agentperf.errors",
    "events": "agentperf.events",
    "fallback": "agentperf.policies.fallback",
    "handle": "agentperf._handle",
    "hedged": "agentperf.policies.hedged",
    "hookimpl": "agentperf.hookspecs",
    "instrument": "agentperf.instrumentation",
    "invalidate": "agentperf.policies.cached.tags.invalidation",
    "invalidates": "agentperf.policies.cached.tags.invalidates",
    "measure": "agentperf.policies.timed",
    "rate_limited": "agentperf.policies.rate_limited",
    "record": "agentperf.policies.timed",
    "resilient": "agentperf.policies.compose",
    "retry": "agentperf.policies.retry",
    "scope": "agentperf._engine.scope",
    "stack": "agentperf.policies.compose",
    "stats": "agentperf._host",
    "testing": "agentperf.testing",
    "timed": "agentperf.policies.timed",
    "timeout": "agentperf.policies.timeout",
    "tokens": "agentperf.tokens",
    "uninstrument": "agentperf.instrumentation",
    "use": "agentperf._engine.current",
} | dict.fromkeys(_ERRORS.split(), "agentperf.errors")

# One table serves everything: a second list of the names could differ from it.
__all__ = [*_EXPORTS]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


if not TYPE_CHECKING:  # to a checker any name would seem to be there

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used."""
        if (module := _EXPORTS.get(name)) is None:
            raise AttributeError(f"module 'agentperf' has no attribute {name!r}")
        home = import_module(module)
        value = home if module == f"agentperf.{name}" else getattr(home, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_default(lambda: import_module("agentperf._host").make_default_host())
register_offered(lambda: import_module("agentperf._host").current_offered())
