"""Figures of runs for people and programs: one run, or two side by side."""

from __future__ import annotations
