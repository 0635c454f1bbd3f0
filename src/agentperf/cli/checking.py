"""What is wrong with settings beyond what reading them tells: names that no plugin offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from agentperf.abc.kinds import Kind
from agentperf.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from agentperf._host import Host
    from agentperf.config import Settings


def quiet_host(settings: Settings) -> Host:
    """Make a host that starts nothing of plugins; configured policies are made.

    Raises:
        ConfigurationError: A configured policy or an option of it is wrong.
    """
    from agentperf._host import Host

    return Host(settings=replace(settings, exporters=(), subscribers=(), classifiers=()))


def mistakes(host: Host, settings: Settings) -> Iterator[ConfigurationError]:
    """Give what a program would meet later: plugins' names, backends and stores that nobody offers.

    Nothing is started, and no backend or store of a plugin is made.

    Args:
        host: Whose plugins are asked.
        settings: What is checked.
    """
    for kind in (Kind.EXPORTERS, Kind.SUBSCRIBERS, Kind.CLASSIFIERS):
        for name in getattr(settings, kind.plural):
            try:
                host.plugins.find(kind, name)
            except PluginError as error:
                yield settings.complaint((kind.plural,), f": {error}")
    for operation, policies in settings.policies.items():
        for policy, options in policies.items():
            for option, check in (("backend", _check_backend), ("store", _check_store)):
                address = None if isinstance(options, bool) else options.get(option)
                if isinstance(address, str):
                    try:
                        check(host, address)
                    except ConfigurationError as error:
                        path = ("policies", operation, policy, option)
                        yield settings.complaint(path, f": {error}")


def _check_backend(host: Host, text: str) -> None:
    from agentperf.policies.cached.tiered import TieredAddress

    if (tiers := TieredAddress.read(text)) is not None:
        text = tiers.far
    offer = host.plugins.find(Kind.CACHE_BACKENDS, text.partition(":")[0])
    if offer.origin.plugin == "agentperf":  # ours open nothing before the first call
        host.backend(text)


def _check_store(host: Host, text: str) -> None:
    offer = host.plugins.find(Kind.STORES, text.partition(":")[0])
    if offer.origin.plugin == "agentperf":  # the same: ours are files
        host.store(text)
