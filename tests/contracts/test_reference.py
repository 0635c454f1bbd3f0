"""The reference says what the code says: options with their defaults, members, fields, errors."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
from collections.abc import Callable
from typing import Any

import click
import pytest

import agentperf
from agentperf import codec, errors, events, testing
from agentperf._engine.classify import _BY_STATUS
from agentperf._handle import Handle
from agentperf.cli.main import commands
from agentperf.codec import Codec
from agentperf.policies.cached.handle import CacheHandle
from agentperf.policies.cached.stats import CacheStats
from agentperf.policies.circuit_breaker import BreakerHandle
from agentperf.policies.circuit_breaker.windows import Tally
from agentperf.policies.rate_limited import LimiterHandle
from agentperf.telemetry import Decision, Histogram, MemoryGrowth, OperationStats
from agentperf.telemetry.report.figures import COMPARED
from agentperf.telemetry.report.summary import Operation, Summary
from agentperf.telemetry.report.tables import SORTS
from tests.contracts.source_tree import ROOT

REFERENCE = ROOT / "docs" / "reference"
MEMBERS: dict[type, str] = {
    Handle: "handle",
    CacheHandle: "handle",
    CacheStats: "handle",
    agentperf.Cache: "cache",
    LimiterHandle: "handle",
    agentperf.Outlook: "handle",
    agentperf.BulkheadHandle: "handle",
    agentperf.BulkheadStats: "handle",
    BreakerHandle: "handle",
    Tally: "handle",
    Decision: "handle",
    agentperf.Verdict: "classify",
    agentperf.Fault: "classify",
    agentperf.Remedy: "classify",
    OperationStats: "figures",
    Histogram: "figures",
    MemoryGrowth: "figures",
    agentperf.Usage: "figures",
    agentperf.BudgetHandle: "handle",
    agentperf.HedgesHandle: "handle",
    agentperf.HedgeStats: "handle",
    agentperf.Budget: "policies/budgeted",
    agentperf.SharedBudget: "policies/budgeted",
    agentperf.SharedSpending: "policies/budgeted",
}
HEADINGS: dict[type, str] = {agentperf.Cache: "Methods"}
"""Where a section has another name than its class."""

POLICIES = {
    "timed": agentperf.timed,
    "budgeted": agentperf.budgeted,
    "fallback": agentperf.fallback,
    "cached": agentperf.cached,
    "compress_prompt": agentperf.compress_prompt,
    "hedged": agentperf.hedged,
    "retry": agentperf.retry,
    "bulkhead": agentperf.bulkhead,
    "rate_limited": agentperf.rate_limited,
    "circuit_breaker": agentperf.circuit_breaker,
    "timeout": agentperf.timeout,
}
EVENTS = [getattr(events, name) for name in events.__all__ if name != "Event"]


def section(page: str, heading: str) -> str:
    """Return what a page says under a heading."""
    text = (REFERENCE / f"{page}.md").read_text(encoding="utf-8")
    found = re.search(
        rf"^(###?) {re.escape(heading)}\n(.*?)(?=^## |^\1 |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"{page}.md has no heading {heading!r}"
    return found[2]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables in a text, without their heads."""
    lines = re.findall(r"^\| (`.*) \|$", text, re.MULTILINE)
    return [re.split(r" \| ", line) for line in lines]


def first_cells(text: str) -> set[str]:
    """Return the names in the first column of the tables, without their arguments."""
    cells = " ".join(row[0] for row in rows(text))
    return {re.sub(r"\(.*", "", name) for name in re.findall(r"`([^`]+)`", cells)}


def public(kind: type) -> set[str]:
    """Return the public members of a class; for a dataclass also its fields."""
    if issubclass(kind, enum.Enum):
        return set(kind.__members__)
    members = {name for name in vars(kind) if not name.startswith("_")}
    if dataclasses.is_dataclass(kind):
        members |= {field.name for field in dataclasses.fields(kind)}
    return members


@pytest.mark.parametrize("kind", MEMBERS, ids=lambda kind: kind.__name__)
def test_every_member_is_listed(kind):
    """A class has exactly the members that its section lists."""
    assert first_cells(section(MEMBERS[kind], HEADINGS.get(kind, kind.__name__))) == public(kind)


@pytest.mark.parametrize("policy", POLICIES)
def test_options_and_defaults(policy):
    """The table of defaults has every option, in order, with the default that the code has."""
    parameters = inspect.signature(POLICIES[policy]).parameters.values()
    # What is decorated is no option, and unknown ones are refused.
    no_options = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    options = [p for p in parameters if p.kind not in (*no_options, p.VAR_KEYWORD)]
    expected = [[f"`{p.name}`", "`" + repr(p.default).replace("'", '"') + "`"] for p in options]
    listed = [row[:2] for row in rows(section(f"policies/{policy}", "Defaults"))]
    assert sorted(listed) == sorted(expected)


@pytest.mark.parametrize("event", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_is_listed_with_its_fields(event):
    """The page of events names the fields of each."""
    text = (REFERENCE / "events.md").read_text(encoding="utf-8")
    row = next(row for row in rows(text) if row[0] == f"`{event.__name__}`")
    fields = [field.name for field in dataclasses.fields(event)]
    assert sorted(re.findall(r"`(\w+)`", row[2])) == sorted(fields)


def test_the_options_of_a_cache():
    """Its page has every option with its default."""
    signature = inspect.signature(agentperf.Cache)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    expected = [[f"`{p.name}`", "`" + repr(p.default).replace("'", '"') + "`"] for p in parameters]
    assert [row[:2] for row in rows(section("cache", "Options"))] == expected


def test_every_error_is_listed():
    """The page of errors has each error, in its tables and in its tree."""
    own = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, errors.AgentPerfError)
    }
    text = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    tree = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    assert tree
    bases = {"ValueError", "ImportError", "TimeoutError", "TypeError", "LookupError"}
    assert set(re.findall(r"\b[A-Z][a-z]\w+", tree[1])) - bases == own
    assert first_cells(text) == own - {"AgentPerfError"}


def test_verdicts_on_statuses():
    """The table of `classify` says of each status what the code says."""
    listed = re.findall(
        r"^\| status (\d+) \| `(\w+)` \| (\w+) \| (\w+) \| `\"(.+)\"` \|$",
        section("classify", "Defaults"),
        re.MULTILINE,
    )
    assert {int(status) for status, *_ in listed} == set(_BY_STATUS)
    for status, *row in listed:
        error = Exception()
        error.status_code = int(status)  # type: ignore[attr-defined]
        verdict = agentperf.classify(error)
        yes_or_no = ["yes" if said else "no" for said in (verdict.retryable, verdict.counts)]
        assert row == [verdict.fault.name, *yes_or_no, verdict.reason]


SAYING = {"warn", "fault", "note", "whisper", "said_once"}
"""The functions that write to the log; `fault` adds a traceback."""


def said() -> dict[str, set[str]]:
    """Read from the code which lines it logs, with their fields."""
    lines: dict[str, set[str]] = {}
    for file in (ROOT / "src" / "agentperf").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id=name) | ast.Attribute(value=ast.Name(id="log"), attr=name),
                    args=[ast.Constant(value=str(event)), *_],
                ) if name in SAYING:
                    fields = {str(keyword.arg) for keyword in node.keywords} - {"exc_info"}
                    fields |= {"traceback"} if "exc_info" in ast.dump(node) else set()
                    fields |= {"traceback"} if name == "fault" else set()
                    lines.setdefault(event, set()).update(fields)
    return lines


def test_every_line_of_the_log_is_listed():
    """The page on what is written where has each message with exactly its fields."""
    page = (ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")
    table = page.partition("### In the log")[2].partition("### In events")[0]
    listed: dict[str, set[str]] = {}
    for messages, fields, _ in rows(table):
        for message in re.findall(r"`([^`]+)`", messages):
            listed[message] = set(re.findall(r"\w+", fields)) - {"with", "a"}
    assert len(listed) > 20
    assert listed == said()


def test_every_command_is_in_the_index():
    """The list of commands has them all."""
    page = (REFERENCE / "index.md").read_text(encoding="utf-8")
    row = next(row for row in rows(page) if row[0].startswith("`agentperf run`"))
    assert set(re.findall(r"`(?:agentperf )?(\w+)`", row[0])) == set(commands.commands)


def test_the_testing_kit_is_listed():
    """Every name of `agentperf.testing` stands on its page."""
    listed = first_cells((REFERENCE / "testing.md").read_text(encoding="utf-8"))
    assert set(testing._EXPORTS) <= listed


@pytest.mark.parametrize("name", commands.commands)
def test_every_option_of_a_command_is_listed(name):
    """A command, with those inside it, has exactly the options that its section lists."""
    command = commands.commands[name]
    inside = command.commands.values() if isinstance(command, click.Group) else ()
    options = {
        parameter.opts[0]
        for each in (command, *inside)
        for parameter in each.params
        if isinstance(parameter, click.Option)
    }
    assert first_cells(section("cli", name)) == options


def test_the_figures_of_reports_are_listed():
    """The page has every figure that JSON has, and where else each can be named."""
    listed = [row for row in rows(section("cli", "Figures")) if len(row) == 5]
    named = {row[0].strip("`"): [cell == "yes" for cell in row[2:]] for row in listed}
    summary = Summary((Operation(OperationStats("x")),)).to_dict()
    limits = {figure.key for figure in COMPARED}
    assert named == {
        key: [key in SORTS, key in limits, key in summary["totals"]]
        for key in summary["operations"]["x"]
    }
    assert summary["totals"].keys() <= named.keys()


def test_the_codec_is_listed():
    """Its page has every name of the module, and every option with its default."""
    assert set(codec.__all__) <= first_cells(section("codec", "Functions"))
    parameters = inspect.signature(Codec).parameters.values()
    listed = [row[:2] for row in rows(section("codec", "Options"))]
    assert listed == [[f"`{p.name}`", f"`{p.default!r}`"] for p in parameters]


def signature_of(thing: Callable[..., Any]) -> str:
    """Write a signature as the pages do: names and defaults, no types."""
    signature = inspect.signature(thing)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize(
    ("page", "name", "thing"),
    [
        ("codec", "Codec.encode", Codec.encode),
        ("codec", "Codec.decode", Codec.decode),
        ("codec", "Codec.register", Codec.register),
        ("codec", "encode", codec.encode),
        ("codec", "decode", codec.decode),
        ("codec", "registered_for", codec.registered_for),
        ("handle", "peek", CacheHandle.peek),
        ("handle", "invalidate", CacheHandle.invalidate),
        ("handle", "warm", CacheHandle.warm),
        ("policies/cached", "agentperf.invalidate", agentperf.invalidate),
        ("policies/cached", "agentperf.ainvalidate", agentperf.ainvalidate),
        ("policies/cached", "agentperf.invalidates", agentperf.invalidates),
        ("handle", "remaining", LimiterHandle.remaining),
        ("handle", "force", BreakerHandle.force),
        ("classify", "agentperf.classify", agentperf.classify),
        ("testing", "fresh_host", testing.fresh_host),
        ("testing", "faulty", testing.faulty),
        ("testing", "delay", testing.delay),
        ("testing", "recorded", testing.recorded),
        ("configuration", "agentperf.scope", agentperf.scope),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_signatures(page, name, thing):
    """A signature that a page shows is the one that the code has."""
    text = (REFERENCE / f"{page}.md").read_text(encoding="utf-8")
    assert f"`{name}{signature_of(thing)}`" in text
