"""Reads what one plugin offers, and refuses what can't be meant."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pluggy

from agentperf import hookspecs
from agentperf._plugins.listing import Offer, Origin
from agentperf.abc.kinds import PROJECT, Kind
from agentperf.errors import DISTRIBUTION, ConfigurationError, PluginError
from agentperf.tokens import Prices

_EXAMPLE = "mark its functions with @agentperf.hookimpl, such as def agentperf_tokenizers()"


def make_manager() -> pluggy.PluginManager:
    """Make what checks hooks against their specs."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def read(manager: pluggy.PluginManager, plugin: Any, origin: Origin) -> list[Offer]:
    """Register a plugin and return what it offers.

    Args:
        manager: Where it is registered; not when it is refused.
        plugin: A module, an object, or a class to make one of.
        origin: What to call it.

    Raises:
        PluginError: It was written for other hooks, or a hook of it is malformed or unknown.
    """
    plugin = plugin() if isinstance(plugin, type) else plugin
    newer = _is_newer_minor(plugin)
    _check_parameters(manager, plugin)
    try:
        manager.register(plugin, origin.plugin)
    except (ValueError, pluggy.PluginValidationError) as error:
        raise PluginError(" ".join(str(error).split())) from error
    try:
        return list(_offers(manager, plugin, origin, newer=newer))
    except BaseException:
        manager.unregister(plugin)
        raise


def _is_newer_minor(plugin: Any) -> bool:
    """Whether a plugin may know hooks that this version doesn't.

    Raises:
        PluginError: It was written for another major version.
    """
    said = getattr(plugin, hookspecs.WRITTEN_FOR, None)
    if said is None:
        return False
    parts = str(said).split(".")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise PluginError(f'{hookspecs.WRITTEN_FOR} = {said!r}: write a version such as "1.0"')
    version = (int(parts[0]), int(parts[1]))
    if version[0] != hookspecs.VERSION[0]:
        ours = ".".join(map(str, hookspecs.VERSION))
        remedy = DISTRIBUTION if version > hookspecs.VERSION else "the plugin"
        raise PluginError(
            f"it was written for the hooks in version {said}, here they are in version {ours}: "
            f"upgrade {remedy}"
        )
    return version > hookspecs.VERSION


def _check_parameters(manager: pluggy.PluginManager, plugin: Any) -> None:
    """Refuse hooks that can't be called with nothing, before anything of them is registered.

    Raises:
        PluginError: One needs a parameter.
    """
    for name in (kind.value for kind in Kind):
        if not hasattr(plugin, name) or manager.parse_hookimpl_opts(plugin, name) is None:
            continue
        for parameter in inspect.signature(getattr(plugin, name)).parameters.values():
            variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if parameter.default is parameter.empty and not variable:
                raise PluginError(
                    f"{name}() takes the parameter {parameter.name!r}: hooks take none, and what "
                    "a factory needs it gets when it is called"
                )


def _offers(
    manager: pluggy.PluginManager, plugin: Any, origin: Origin, *, newer: bool
) -> Iterator[Offer]:
    known = {kind.value: kind for kind in Kind}
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        raise PluginError(f"it has no hooks: {_EXAMPLE}")
    for caller in callers:
        if (kind := known.get(caller.name)) is None:
            if not newer:
                raise PluginError(_unknown(caller.name, known))
            continue
        implementation = next(i for i in caller.get_hookimpls() if i.plugin is plugin)
        if implementation.wrapper or implementation.hookwrapper:
            raise PluginError(f"{kind.value}: hooks can't be wrapped, only implemented")
        offered = implementation.function()
        if not isinstance(offered, Mapping):
            raise PluginError(f'{kind.value}() gave {offered!r}: write return {{"name": factory}}')
        for name, value in offered.items():
            yield Offer(kind, _name(kind, name), origin, _value(kind, name, value))


def _unknown(name: str, known: Mapping[str, Kind]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"{name}: there is no such hook; {hint}"


def _name(kind: Kind, name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise PluginError(f'{kind.value}() offers {name!r}: a name is needed, such as "example"')
    if kind in (Kind.CACHE_BACKENDS, Kind.STORES) and ":" in name:
        raise PluginError(f"{kind.value}() offers {name!r}: the name ends where a colon begins")
    return name.lower() if kind in (Kind.TOKENIZERS, Kind.PRICES) else name


def _value(kind: Kind, name: str, value: Any) -> Any:
    if kind is Kind.PRICES:
        return _price(name, value)
    if not callable(value) or isinstance(value, ModuleType):
        raise PluginError(
            f"{kind.value}() offers {name!r} as {value!r}: give what makes one, without calling it"
        )
    return value


def _price(name: str, value: Any) -> Mapping[str, Any]:
    """Return a copy of a price: what was checked here can't be changed any more."""
    try:
        price = dict(value) if isinstance(value, Mapping) else value
        Prices({}).updated({name: price})
    except ConfigurationError as error:
        raise PluginError(f"{Kind.PRICES.value}(): {error}") from error
    return price
