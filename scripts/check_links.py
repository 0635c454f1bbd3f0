"""Check that every relative link and anchor in the repository's Markdown leads somewhere.

Addresses on the network are not fetched. Run as `python -m scripts.check_links`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from scripts.check_leaks import ROOT, files

FENCE = re.compile(r"^\s*(```+|~~~+)")
CODE = re.compile(r"(`+).+?\1")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s*\[[^\]]+\]:\s+<?([^\s>]+)>?")
HTML = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"")
NAMED = re.compile(r"<a\b[^>]*?\b(?:id|name)=\"([^\"]+)\"|\{#([\w-]+)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside fenced code."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence:
            yield number, line


def slug(heading: str) -> str:
    """Turn a heading into its anchor, the way GitHub does."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"\{#.*?\}", "", heading))
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """List what can be linked to inside a page."""
    found: list[str] = []
    headings: Counter[str] = Counter()
    for _, line in prose(page.read_text(encoding="utf-8")):
        found += [one or other for one, other in NAMED.findall(line)]
        if heading := HEADING.match(line):
            name = slug(heading[1])
            again = headings[name]
            headings[name] += 1
            found.append(f"{name}-{again}" if again else name)
    return frozenset(found)


def targets(line: str) -> Iterator[str]:
    """Yield where the links of a line lead to."""
    line = CODE.sub("", line)
    for pattern in (LINK, REFERENCE, HTML):
        yield from pattern.findall(line)


def fault(page: Path, target: str) -> str | None:
    """Say what is wrong with a link, if anything is."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
        return None
    path, _, anchor = unquote(target).partition("#")
    if path.startswith("/"):
        return f"{target}: not relative"
    there = (page.parent / path).resolve() if path else page
    if not there.exists():
        return f"{target}: no such file"
    if anchor and there.suffix == ".md" and anchor not in anchors(there):
        return f"{target}: no such heading"
    return None


def faults(pages: list[Path]) -> list[str]:
    """List the links that lead nowhere."""
    return [
        f"{page}:{number}: {wrong}"
        for page in pages
        for number, line in prose(page.read_text(encoding="utf-8"))
        for target in targets(line)
        if (wrong := fault(page, target))
    ]


def main() -> int:
    """Report the links that lead nowhere."""
    pages = [file for file in files() if file.suffix == ".md"]
    found = [line.replace(f"{ROOT}/", "") for line in faults(pages)]
    print("\n".join(found) if found else f"links: {len(pages)} pages are sound")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
