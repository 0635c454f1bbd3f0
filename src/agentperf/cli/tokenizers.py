"""`agentperf tokenizers`: which vocabularies are at hand, and fetching one."""

from __future__ import annotations

import sys

import click

from agentperf.errors import DISTRIBUTION, AgentPerfError, ConfigurationError


@click.group()
def tokenizers() -> None:
    """Vocabularies for exact token counts: list and fetch them.

    Without one, tokens are estimated. Nothing is ever downloaded unless you ask for it here.
    """


@tokenizers.command("list")
def list_vocabularies() -> None:
    """List the vocabularies and the files they are read from."""
    from agentperf.tokens.vocabularies import KNOWN, find

    missing = False
    for name, vocabulary in KNOWN.items():
        found = find(vocabulary)
        missing = missing or found is None
        click.echo(f"{name:12}  " + (f"{found.path} ({found.where})" if found else "not at hand"))
    if missing:
        click.echo(
            f"Get what is missing with: agentperf tokenizers fetch, "
            f"or: pip install '{DISTRIBUTION}[offline]'"
        )


@tokenizers.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for each."
)
def fetch(*, names: tuple[str, ...], timeout: float) -> None:
    """Download vocabularies, by default all of them, to be kept for this user.

    tiktoken downloads them from where OpenAI publishes them; their hashes are checked. They are
    kept in AGENTPERF_HOME, or in your folder for application data.
    """
    from agentperf.tokens.fetching import fetch as fetch_vocabulary
    from agentperf.tokens.vocabularies import KNOWN

    failed = False
    for name in names or tuple(KNOWN):
        try:
            click.echo(f"{name:12}  {fetch_vocabulary(name, timeout=timeout)}")
        except ConfigurationError:
            raise
        except AgentPerfError as error:
            failed = True
            click.echo(f"Error: {error}", err=True)
    sys.exit(1 if failed else 0)
