"""The comparison as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from agentperf.demo.comparison import FAULTY, Comparison
from agentperf.demo.conversations import repeated
from agentperf.demo.figures import Figures
from agentperf.demo.runner import Run

WIDTH = 72
_GAIN = 14
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
    if not (old and new) or old == new:
        return ""
    return f"{old / new:.1f}x faster" if new < old else f"{new / old:.1f}x slower"


def _less(old: float, new: float) -> str:
    if not old or old == new:
        return ""
    return f"{1 - new / old:.0%} less" if new < old else f"{new / old - 1:.0%} more"


def _points(old: float, new: float) -> str:
    return f"{(new - old) * 100:+.0f} points" if old != new else ""


def _fewer(old: float, new: float) -> str:
    if old == new:
        return ""
    return f"{old - new:.0f} fewer" if new < old else f"{new - old:.0f} more"


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
_FAULTY_ROWS = tuple(
    row for row in _ROWS if row.label.startswith(("response", "model", "cost", "failed"))
)


def render(comparison: Comparison, *, scale: float) -> str:
    """Return the comparison as text of at most 80 columns, coloured with terminal codes."""
    return "\n".join(
        [*_table(comparison), "", *_notes(comparison, scale), "", *_isolation(comparison)]
    )


def _table(comparison: Comparison) -> list[str]:
    return [
        *_block("one agent, the same work", _ROWS, comparison.before, comparison.after),
        "",
        *_block(
            f"{FAULTY:.0%} of the requests go wrong",
            _FAULTY_ROWS,
            comparison.faulty_before,
            comparison.faulty_after,
        ),
    ]


def _block(title: str, rows: Sequence[_Row], before: Run, after: Run) -> list[str]:
    old, new = before.figures, after.figures
    head = _COLUMNS.format(title, "before", "after", "gain")
    lines = [click.style(head, bold=True), "-" * WIDTH]
    for row in rows:
        was, now = row.value(old), row.value(new)
        cells = _COLUMNS.format(row.label, row.shown(was), row.shown(now), row.gain(was, now))
        better = now > was if row.shown is _share else now < was
        figures, gain = cells[:-_GAIN], cells[-_GAIN:]
        lines.append((figures + click.style(gain, fg="green") if better else cells).rstrip())
    return lines


def _notes(comparison: Comparison, scale: float) -> list[str]:
    messages = [reply.message for reply in comparison.before.replies]
    checked = sum(bool(message.expect) for message in messages)
    wrong = comparison.disagreements()
    repeats = sum(repeated(messages))
    lines = [
        f"{len(messages)} messages, {repeats} of them repeated; times at {scale:g} of full scale.",
        "Calls, tokens and cost are the server's own counts, times the caller's clock.",
        "The pauses that the openai client makes before it tries again are not scaled.",
    ]
    if wrong:
        lines.append(click.style("The answers don't agree on the facts:", fg="red", bold=True))
        return [*lines, *(f"  {line}" for line in wrong)]
    programs = "The two programs are agentperf/demo/before.py and agentperf/demo/after.py."
    agreed = _mark(f"{checked} answers with known facts: before and after agree on all.")
    return [*lines, programs, agreed]


def _isolation(comparison: Comparison) -> list[str]:
    seen = comparison.isolation
    head = click.style("Two profiles ask the same question, the second in private mode", bold=True)
    counts = [
        f"alone     {seen.open_alone} and {seen.private_alone} calls reach the server",
        f"at once   {seen.together} calls",
        f"again     {seen.open_again} and {seen.private_again} calls",
    ]
    if not seen.nothing_shared:
        alarm = "Something was shared that should not be."
        return [head, *counts, click.style(alarm, fg="red", bold=True)]
    counts[1] += ", the sum: no answer and no flight was shared"
    counts[2] += ": the second had left no entry"
    return [head, *counts, _mark("Each got the answer from its own memory; nothing was shared.")]


def _mark(text: str) -> str:
    return click.style("ok ", fg="green") + text
