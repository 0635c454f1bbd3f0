"""Tables of text, for terminals and pipes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import partial

import click

from agentperf.telemetry.report.comparing import Block
from agentperf.telemetry.report.figures import SPENT, TIMES, Figure
from agentperf.telemetry.report.measures import COUNT, DOLLARS
from agentperf.telemetry.report.summary import Operation, Summary
from agentperf.usage import Usage

WIDTH = 100
"""No line is longer."""

_LABELS = 34
_FIGURE = 12
_GAIN = 14
_GAP = 2


def side_by_side(blocks: Sequence[Block], *, width: int = WIDTH) -> list[str]:
    """Return blocks of rows with before, after and gain; the gains that are some in green."""
    room = width - 2 * _FIGURE - _GAIN
    filled = [block for block in blocks if block.rows]
    longest = max((len(block.title) for block in filled), default=0)
    labels = min(max(_LABELS, longest + _GAP), room)
    lines: list[str] = []
    for block in filled:
        title = shortened(block.title, labels - _GAP)
        head = _cells(labels, title, "before", "after", "gain")
        lines += ["", click.style(head, bold=True), "-" * len(head)]
        for row in block.rows:
            shown = row.measure.shown
            cells = _cells(labels, row.label, shown(row.before), shown(row.after), row.gain)
            figures, gain = cells[:-_GAIN], cells[-_GAIN:]
            if row.better:
                lines.append(figures + click.style(gain, fg="green"))
            else:
                lines.append(cells.rstrip())
    return lines[1:]


def _cells(labels: int, label: str, before: str, after: str, gain: str) -> str:
    figures = f"{' ' + before:>{_FIGURE}}{' ' + after:>{_FIGURE}}"
    return f"{label:<{labels}}{figures}{gain:>{_GAIN}}"


def _largest(figure: Figure, operation: Operation) -> float:
    return -(figure.take(operation) or 0.0)


SORTS: dict[str, Callable[[Operation], float]] = {
    "time": lambda operation: -operation.stats.total_seconds,
    "tokens": lambda operation: -operation.stats.own_usage.total_tokens,
    "name": lambda _: 0.0,
    **{figure.key: partial(_largest, figure) for figure in (*TIMES, *SPENT)},
}
"""What operations can be put in order of, the largest first; `time` is all of it together."""


def listing(summary: Summary, *, sort: str = "time", width: int = WIDTH) -> list[str]:
    """Return the operations of a run: times, then what they spent, with totals.

    A line under them says which tokens and costs are in no sum, as nobody told of them.

    Args:
        summary: The figures.
        sort: One of `SORTS`.
        width: How long a line may be.
    """
    operations = sorted(summary.operations, key=SORTS[sort])
    called = [each for each in operations if each.stats.calls]
    lines = _table(TIMES, called, width) if called else []
    spent = [each for each in operations if each.stats.own_usage != Usage() or each.cache]
    remarks = [
        part
        for remark in summary.remarks()
        for part in textwrap.wrap(remark, width, break_long_words=False, break_on_hyphens=False)
    ]
    if not spent:
        return [*lines, *remarks]
    usage, cost = summary.usage, DOLLARS.shown(summary.cost)
    total = ["all", COUNT.shown(usage.input_tokens), COUNT.shown(usage.output_tokens), cost, ""]
    total = total if usage != Usage() else []
    return [*lines, *([""] if lines else []), *_table(SPENT, spent, width, total), *remarks]


def _table(
    figures: Sequence[Figure],
    operations: Sequence[Operation],
    width: int,
    total: Sequence[str] = (),
) -> list[str]:
    """One line for each operation, columns as wide as they need to be; empty ones are left out."""
    rows = [
        [each.name, *(figure.measure.shown(figure.take(each)) for figure in figures)]
        for each in operations
    ]
    head = ["operation", *(figure.head for figure in figures)]
    kept = [
        column
        for column in range(len(head))
        if not column or any(row[column] not in {"-", "0", "$0"} for row in rows)
    ]
    table = [[row[column] for column in kept] for row in (head, *rows, *([total] if total else []))]
    widths = [max(len(row[column]) for row in table) for column in range(len(kept))]
    room = width - sum(widths[1:]) - _GAP * (len(widths) - 1)
    widths[0] = min(widths[0], room)
    lines = [_line(row, widths) for row in table]
    rule = "-" * len(lines[0])
    lines[0] = click.style(lines[0], bold=True)
    lines.insert(1, rule)
    if total:
        lines.insert(-1, rule)
    return [line.rstrip() for line in lines]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    figures = (f"{cell:>{width + _GAP}}" for cell, width in zip(row[1:], widths[1:], strict=True))
    return f"{shortened(row[0], widths[0]):<{widths[0]}}" + "".join(figures)


def shortened(name: str, width: int) -> str:
    """Cut a name at its front, which tells least: `...agent.answer`."""
    return name if len(name) <= width else "..." + name[len(name) - width + 3 :]
