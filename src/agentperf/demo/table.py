"""The comparison as a table for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click

from agentperf.demo.comparison import NOT_YET, Comparison
from agentperf.demo.conversations import repeated
from agentperf.demo.figures import Figures

WIDTH = 72
_COLUMNS = "{:<34}{:>12}{:>12}{:>14}"


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    value: Callable[[Figures], float]
    shown: Callable[[float], str]
    gain: Callable[[float, float], str]


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _times_less(old: float, new: float) -> str:
    return f"{old / new:.1f}x faster" if new else ""


def _less(old: float, new: float) -> str:
    return f"{1 - new / old:.0%} less" if old else ""


def _points(old: float, new: float) -> str:
    return f"{(new - old) * 100:+.0f} points"


def _fewer(old: float, new: float) -> str:
    return f"{old - new:.0f} fewer" if old != new else ""


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _dollars(value: float) -> str:
    return f"${value:.4f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


_ROWS = (
    _Row("response time, mean", lambda f: f.mean_s, _seconds, _times_less),
    _Row("response time, median", lambda f: f.p50_s, _seconds, _times_less),
    _Row("response time, p95", lambda f: f.p95_s, _seconds, _times_less),
    _Row("response time, longest", lambda f: f.max_s, _seconds, _times_less),
    _Row("time to first token", lambda f: f.ttft_s, _seconds, _times_less),
    _Row("model calls", lambda f: f.model_calls, _whole, _less),
    _Row("input tokens", lambda f: f.input_tokens, _whole, _less),
    _Row("output tokens", lambda f: f.output_tokens, _whole, _less),
    _Row("cost", lambda f: f.cost_usd, _dollars, _less),
    _Row("cache hits, repeated messages", lambda f: f.cache_hit_rate, _share, _points),
    _Row("failed answers", lambda f: f.failed, _whole, _fewer),
)


def render(comparison: Comparison, *, scale: float) -> str:
    """Return the comparison as text of at most 80 columns, coloured with terminal codes."""
    return "\n".join(
        [*_table(comparison), "", *_notes(comparison, scale), "", *_isolation(comparison)]
    )


def _table(comparison: Comparison) -> list[str]:
    old, new = comparison.before.figures, comparison.after.figures
    lines = [click.style(_COLUMNS.format("", "before", "after", "gain"), bold=True), "-" * WIDTH]
    for row in _ROWS:
        was, now = row.value(old), row.value(new)
        cells = _COLUMNS.format(row.label, row.shown(was), row.shown(now), row.gain(was, now))
        better = now > was if row.shown is _share else now < was
        lines.append(cells[:-14] + click.style(cells[-14:], fg="green" if better else None))
    lines.append(_COLUMNS.format("with a faulty model server", NOT_YET, NOT_YET, ""))
    return lines


def _notes(comparison: Comparison, scale: float) -> list[str]:
    messages = [reply.message for reply in comparison.before.replies]
    checked = sum(bool(message.expect) for message in messages)
    wrong = comparison.disagreements()
    repeats = sum(repeated(messages))
    lines = [
        f"{len(messages)} messages, {repeats} of them repeated; times at {scale:g} of full scale.",
        "Calls, tokens and cost are the server's own counts, times the caller's clock.",
    ]
    if wrong:
        lines.append(click.style("The answers don't agree on the facts:", fg="red", bold=True))
        return [*lines, *(f"  {line}" for line in wrong)]
    return [*lines, _mark(f"{checked} answers with known facts: before and after agree on all.")]


def _isolation(comparison: Comparison) -> list[str]:
    seen = comparison.isolation
    rows = (
        ("alone", seen.open_alone, seen.private_alone, ""),
        ("at the same time", seen.together, "", "the sum: no flight and no answer was shared"),
        ("again", seen.open_again, seen.private_again, "the private one had left no entry"),
    )
    lines = [
        click.style("Two profiles ask the same question, the second in private mode.", bold=True),
        "Calls that reach the server:",
        *("  {:<20}{:>4}{:>4}   {}".format(*row).rstrip() for row in rows),
    ]
    if seen.nothing_shared:
        return [*lines, _mark("Each got the answer from its own memory, and nothing was shared.")]
    return [*lines, click.style("Something was shared that should not be.", fg="red", bold=True)]


def _mark(text: str) -> str:
    return click.style("ok ", fg="green") + text
