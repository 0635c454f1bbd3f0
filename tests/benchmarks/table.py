"""The result as a table for people."""

from __future__ import annotations

from tests.benchmarks.rows import Row

HEADINGS = ("path", "ours", "beside", "theirs", "ratio", "floor", "goal", "verdict")
_RIGHT = {1, 3, 4}


def lines(rows: list[Row]) -> list[str]:
    """Lay the rows out, with a heading."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    return [
        "  ".join(
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def _cells(row: Row) -> tuple[str, ...]:
    limits = (row.limit(row.terms.floor), row.limit(row.terms.goal))
    beside = row.peer or "-"
    ratio = row.shown_ratio
    return (
        row.path,
        _figure(row.ours, row.unit),
        beside,
        _figure(row.theirs, row.unit),
        ratio,
        *limits,
        row.verdict,
    )


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
