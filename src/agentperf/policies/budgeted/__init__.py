"""`budgeted` and `budget`: keep what a call or a region spends within limits."""

from __future__ import annotations

from agentperf.policies.budgeted.decorator import Budgeted, budgeted
from agentperf.policies.budgeted.handle import BudgetHandle
from agentperf.policies.budgeted.region import Budget, budget

__all__ = ["Budget", "BudgetHandle", "Budgeted", "budget", "budgeted"]
