"""The comparison as a table for people."""

from __future__ import annotations

import click

from agentperf.demo.comparison import FAULTY, Comparison
from agentperf.demo.conversations import repeated
from agentperf.demo.figures import Figures
from agentperf.demo.runner import Run
from agentperf.telemetry.report.comparing import Block, Row
from agentperf.telemetry.report.measures import COUNT, DOLLARS, FAILURES, HIT_RATE, SECONDS, Measure
from agentperf.telemetry.report.tables import side_by_side

_ROWS: tuple[tuple[str, str, Measure], ...] = (
    ("mean_s", "response time, mean", SECONDS),
    ("p50_s", "response time, median", SECONDS),
    ("p95_s", "response time, p95", SECONDS),
    ("max_s", "response time, longest", SECONDS),
    ("ttft_s", "time to first token", SECONDS),
    ("model_calls", "model calls", COUNT),
    ("input_tokens", "input tokens", COUNT),
    ("output_tokens", "output tokens", COUNT),
    ("cost_usd", "cost", DOLLARS),
    ("cache_hit_rate", "cache hits, repeated messages", HIT_RATE),
    ("failed", "failed answers", FAILURES),
)
_FAULTY_ROWS = tuple(
    row for row in _ROWS if row[1].startswith(("response", "model", "cost", "failed"))
)


def render(comparison: Comparison, *, scale: float) -> str:
    """Return the comparison as text of at most 80 columns, coloured with terminal codes."""
    return "\n".join(
        [*_table(comparison), "", *_notes(comparison, scale), "", *_isolation(comparison)]
    )


def _table(comparison: Comparison) -> list[str]:
    plain = _block("one agent, the same work", _ROWS, comparison.before, comparison.after)
    faulty = _block(
        f"{FAULTY:.0%} of the requests go wrong",
        _FAULTY_ROWS,
        comparison.faulty_before,
        comparison.faulty_after,
    )
    return side_by_side([plain, faulty])


def _block(
    title: str, rows: tuple[tuple[str, str, Measure], ...], before: Run, after: Run
) -> Block:
    return Block(
        title,
        tuple(
            Row(label, measure, _figure(before.figures, name), _figure(after.figures, name), name)
            for name, label, measure in rows
        ),
    )


def _figure(figures: Figures, name: str) -> float:
    value: float = getattr(figures, name)
    return value


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
