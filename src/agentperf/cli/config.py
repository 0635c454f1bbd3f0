"""`agentperf config`: what is configured, and where each value came from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agentperf.config import Settings


@click.group()
def config() -> None:
    """Settings from the configuration file and the environment."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print the settings as JSON.")
def show(*, as_json: bool) -> None:
    """Show every value and where it came from, as a program started in this folder would see it.

    All of it is checked, also the options of configured policies.
    """
    from agentperf.config import load
    from agentperf.config.complaints import dotted

    settings = _checked(load())
    rows = [(dotted(path), _shown(value), origin) for path, value, origin in settings.rows()]
    if as_json:
        keys = ("key", "value", "origin")
        shown = [dict(zip(keys, row, strict=True)) for row in rows]
        click.echo(json.dumps(shown, indent=2, default=str))
        return
    texts = [(key, json.dumps(value, default=str), origin) for key, value, origin in rows]
    widths = [max(len(row[column]) for row in texts) for column in (0, 1)]
    for key, value, origin in texts:
        click.echo(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}")


def _checked(settings: Settings) -> Settings:
    """Check what a host would, without starting what it starts."""
    from agentperf._host import Host
    from agentperf.abc.kinds import Kind
    from agentperf.errors import PluginError

    host = Host(settings=replace(settings, exporters=(), subscribers=()))
    for kind in (Kind.EXPORTERS, Kind.SUBSCRIBERS):
        path = (kind.plural,)
        for name in getattr(settings, kind.plural):
            try:
                host.plugins.find(kind, name)
            except PluginError as error:
                raise settings.complaint(path, f": {error}") from error
    return settings


def _shown(value: object) -> object:
    """Blot out the password in an address, such as a backend's."""
    from agentperf.instrumentation.http.urls import redacted

    return redacted(value) if isinstance(value, str) and "://" in value else value
