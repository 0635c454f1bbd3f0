"""Budgets that several processes share: kept in a store, spent by whoever asks there first."""

from __future__ import annotations
