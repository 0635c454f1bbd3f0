"""`agentperf config`: what is configured, where each value came from, and whom it reaches."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agentperf._host import Host
    from agentperf.config import Settings

FOUND = 1
"""Exit code for a configuration that reaches nobody."""


_VALUES = re.compile(r"(?<=[?&])(?!prefix=)([^=&#]*)=[^&#]*")
"""What the options of an address are set to, but for the one that is never secret."""


@click.group()
def config() -> None:
    """Settings from the configuration file and the environment."""


@config.command()
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@click.option("--json", "as_json", is_flag=True, help="Print the settings as JSON.")
def show(modules: tuple[str, ...], *, as_json: bool) -> None:
    """Show every value and where it came from, as a program started in this folder would see it.

    All of it is checked, also the options of configured policies, and that somebody offers what is
    named; exporters, subscribers, backends and stores of plugins are not made to find out, so that
    what follows the name in an address of theirs is found wrong at the first call. With the MODULEs
    of the program, such as app.main, they are imported, and it is checked against their decorated
    functions too: an operation that none of them has is reported, and the exit code is 1.
    """
    from agentperf.cli.checking import mistakes, quiet_host
    from agentperf.config import load

    settings = load()
    host = quiet_host(settings)
    for mistake in mistakes(host, settings):
        raise mistake
    strays, overridden = _found(host, modules) if modules else ([], [])
    _print(settings, as_json=as_json)
    for note in overridden:
        click.echo(f"Note: {note}", err=True)
    for stray in strays:
        click.echo(f"Warning: {stray}", err=True)
    if strays:
        sys.exit(FOUND)


def _print(settings: Settings, *, as_json: bool) -> None:
    from agentperf.config.complaints import dotted

    rows = [(dotted(path), _shown(value), origin) for path, value, origin in settings.rows()]
    if as_json:
        keys = ("key", "value", "origin")
        shown = [dict(zip(keys, row, strict=True)) for row in rows]
        click.echo(json.dumps(shown, indent=2, default=str))
        return
    texts = [(key, _text(value), origin) for key, value, origin in rows]
    widths = [max(len(row[column]) for row in texts) for column in (0, 1)]
    for key, value, origin in texts:
        click.echo(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}")


def _text(value: object) -> str:
    return "not set" if value is None else json.dumps(value, default=str)


def _found(host: Host, modules: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell of configured operations that no function has, and of what decorators override.

    Raises:
        ConfigurationError: A module can't be imported, or a policy can't serve its function.
    """
    from agentperf.cli import decorated
    from agentperf.policies.timed import Timed

    names: set[str] = set()
    overridden: list[str] = []
    for pipeline in decorated.find(modules):
        pipeline.completed(host)
        own = {p.name for p in pipeline.policies if isinstance(p, Timed) and p.name}
        own.add(pipeline.target.operation)
        names |= own
        kinds = {policy.kind for policy in pipeline.policies}
        overridden += _overridden(host.settings, sorted(own), kinds)
    return list(_strays(host, modules, names)), overridden


def _overridden(settings: Settings, operations: Sequence[str], kinds: set[str]) -> Iterator[str]:
    for operation in operations:
        for kind, options in settings.policies.get(operation, {}).items():
            if kind in kinds and options is not False:
                text = f": the function has a @{kind} of its own, which holds instead"
                yield str(settings.complaint(("policies", operation, kind), text))


def _strays(host: Host, modules: Sequence[str], names: set[str]) -> Iterator[str]:
    from agentperf.config.complaints import suggestion

    for operation in host.settings.policies:
        if operation not in names:
            known = suggestion(operation, sorted(names)) if names else ""
            text = f": no decorated function in {', '.join(modules)} is counted so{known}"
            yield str(host.settings.complaint(("policies", operation), text))


def _shown(value: object) -> object:
    """Blot out the password in an address, such as a backend's, and the secret of a codec."""
    if isinstance(value, Mapping):
        return {key: "***" if key == "secret" else _shown(inner) for key, inner in value.items()}
    from agentperf.config.settings import Secrets
    from agentperf.instrumentation.http.urls import redacted

    if isinstance(value, Secrets):
        return str(value) if value else None
    if not isinstance(value, str) or "://" not in value:
        return value
    near, plus, far = value.partition("+")  # memory?near_ttl=2s+redis://user:password@host
    if not near.startswith("memory"):
        near, plus, far = "", "", value
    # The name of an option may be misspelt, and its value a password all the same.
    return near + plus + _VALUES.sub(r"\1=***", redacted(far))
