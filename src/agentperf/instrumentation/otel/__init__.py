"""Spans and metrics by OpenTelemetry's conventions; its API is imported only where it is used."""

from __future__ import annotations
