"""The plugins of one host: loaded when something is first asked for, each by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agentperf._base.log import fault, warn
from agentperf._plugins.discovery import DISABLE, installed, strays
from agentperf._plugins.listing import Listed, Offer, Origin
from agentperf.abc.kinds import Kind
from agentperf.errors import DISTRIBUTION, ConfigurationError, PluginError

if TYPE_CHECKING:
    import pluggy


class Plugins:
    """What can be exchanged on one host, by kind and name.

    Installed plugins are found by the entry-point group `agentperf` and imported when something is
    first looked up, never earlier. One that fails is logged, listed with the reason, and left out;
    the others are loaded all the same.

    Args:
        environment: The variables that say which plugins to load; those of the process by default.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment
        self._registered: dict[str, object] = {}
        self.changes = 0
        """How often what is offered has changed."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was loaded, but for what the program registered itself."""
        self._lock = threading.RLock()
        self._loaded = self._loading = self._begun = False
        self._listed: list[Listed] = []
        self._strays: list[str] = []
        self._offers: dict[Kind, dict[str, list[Offer]]] = {}

    def register(self, plugin: object, name: str | None = None) -> None:
        """Take in a plugin that isn't installed: a module, or an object with hooks.

        Args:
            plugin: Its functions marked with `agentperf.hookimpl` are its hooks. A class is called
                to make the object.
            name: What to call it; its own name by default.

        Raises:
            PluginError: It offers nothing, something that can't be taken, or a name that another
                plugin offers.
        """
        if name is None:
            name = str(getattr(plugin, "__name__", type(plugin).__name__))
        with self._lock:
            self.load()
            try:
                offers = self._read(plugin, Origin(name))
            except PluginError as error:
                raise PluginError(f"plugin {name!r}: {error}") from error
            for offer in offers:
                if others := self._offers.get(offer.kind, {}).get(offer.name):
                    self._manager.unregister(name=name)
                    raise _clash([*others, offer])
            self._add(Origin(name), offers)
            self._registered[name] = plugin

    def load(self) -> None:
        """Load the installed plugins, unless that was done; what fails is logged and listed."""
        if self._loaded:
            return
        with self._lock:
            # Loading already: a plugin asks for something while it is imported.
            if self._loaded or self._loading:
                return
            self._loading = True
            try:
                self._load()
                self._loaded = True
            finally:
                self._loading = False

    def _load(self) -> None:
        from agentperf._plugins.builtin import Builtin
        from agentperf._plugins.reading import make_manager

        self._manager: pluggy.PluginManager = make_manager()
        own = Origin("agentperf", DISTRIBUTION, "agentperf")
        self._add(own, self._read(Builtin(), own))
        for found in installed(self._environment):
            if found.enabled:
                self._try(found.origin, found.load)
            else:
                self._listed.append(Listed(found.origin, "disabled"))
        for name, plugin in self._registered.items():
            self._add(Origin(name), self._read(plugin, Origin(name)))
        self._strays = strays(self._environment)
        for stray in self._strays:
            warn("plugins.not_installed", reason=stray)
        for clash in self._clashes():
            warn("plugins.clash", reason=clash)

    def _try(self, origin: Origin, load: Callable[[], Any]) -> None:
        try:
            self._add(origin, self._read(load(), origin))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module
            ours = isinstance(error, PluginError)
            reason = str(error) if ours else f"{type(error).__name__}: {error}"
            self._listed.append(Listed(origin, "failed", reason))
            warn("plugin.failed", plugin=origin, reason=reason)

    def _read(self, plugin: object, origin: Origin) -> list[Offer]:
        from agentperf._plugins.reading import read

        for listed in self._listed:
            if listed.state == "loaded" and listed.origin.plugin == origin.plugin:
                raise PluginError(f"another plugin has that name: {listed.origin}")
        return read(self._manager, plugin, origin)

    def _add(self, origin: Origin, offers: list[Offer]) -> None:
        names: dict[Kind, list[str]] = {}
        for offer in offers:
            names.setdefault(offer.kind, []).append(offer.name)
            self._offers.setdefault(offer.kind, {}).setdefault(offer.name, []).append(offer)
        self.changes += 1
        self._listed.append(Listed(origin, "loaded", offers=names))

    def ready(self) -> bool:
        """Tell whether the plugins are loaded; where they aren't, have a thread load them."""
        if not self._loaded and not self._begun:
            self._begun = True
            thread = threading.Thread(
                target=self._load_quietly, name="agentperf-plugins", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending
                self._begun = False
        return self._loaded

    def _load_quietly(self) -> None:
        try:
            self.load()
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread
            fault("plugins.not_loaded", error)

    def names(self, kind: Kind) -> list[str]:
        """Return the names of what is offered."""
        self.load()
        return sorted(self._offers.get(kind, ()))

    def find(self, kind: Kind, name: str) -> Offer:
        """Return what is offered under a name.

        Raises:
            PluginError: Two plugins offer it, or nobody does.
        """
        self.load()
        offers = self._offers.get(kind, {}).get(name, [])
        if len(offers) > 1:
            raise _clash(offers)
        if not offers:
            raise self._unknown(kind, name)
        return offers[0]

    def offers(self, kind: Kind) -> Iterator[Offer]:
        """Give everything of a kind whose name only one plugin offers."""
        self.load()
        for offers in list(self._offers.get(kind, {}).values()):
            if len(offers) == 1:
                yield offers[0]

    def _unknown(self, kind: Kind, name: str) -> PluginError:
        from difflib import get_close_matches

        known = self.names(kind)
        close = get_close_matches(name, known, n=1)
        text = f"no plugin offers the {kind.singular} {name!r}"
        if close:
            text += f"; did you mean {close[0]!r}?"
        else:
            text += f"; there are: {', '.join(known)}." if known else ", nor any other."
        return PluginError(f"{text}{self._left_out(name, close=bool(close))}")

    def _left_out(self, name: str, *, close: bool) -> str:
        """Tell of the plugins that aren't there: why, of one that may be meant; else how many."""
        gone = [plugin for plugin in self._listed if plugin.state != "loaded"]
        meant = [plugin for plugin in gone if name.lower() in str(plugin.origin).lower()]
        if len(gone) == 1 and not close:
            meant = gone
        text = "".join(
            f" The plugin {plugin.origin} failed to load: {plugin.reason}."
            if plugin.state == "failed"
            else f" The plugin {plugin.origin} is disabled by the environment."
            for plugin in meant
        )
        others = len(gone) - len(meant)
        if others and not close:
            text += f" {others} plugin{'s' * (others > 1)} that might offer it did not load:"
            return f"{text} `agentperf plugins` says which."
        return f"{text} `agentperf plugins` lists what is installed."

    def _clashes(self) -> list[str]:
        return [
            str(_clash(offers))
            for named in self._offers.values()
            for offers in named.values()
            if len(offers) > 1
        ]

    def listed(self) -> list[Listed]:
        """List all plugins there are, agentperf's own first."""
        self.load()
        return list(self._listed)

    def problems(self) -> list[str]:
        """Say what is wrong, a sentence each: plugins that failed, names that clash or are none."""
        self.load()
        failed = [plugin for plugin in self._listed if plugin.state == "failed"]
        reasons = [f"plugin {plugin.origin}: {plugin.reason}" for plugin in failed]
        return reasons + self._clashes() + self._strays


def made(offer: Offer, kind: type | tuple[type, ...], *arguments: Any) -> Any:
    """Have a plugin make what it offers.

    Raises:
        PluginError: Making it failed, or it is something else.
        ConfigurationError: The plugin says what is wrong with the arguments.
    """
    try:
        thing = offer.value(*arguments)
    except ConfigurationError:
        raise
    except Exception as error:
        raise PluginError(f"{offer} can't be made: {type(error).__name__}: {error}") from error
    if not isinstance(thing, kind):
        wanted = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise PluginError(f"{offer} made {type(thing).__name__}: a {wanted} is needed")
    return thing


def _clash(offers: list[Offer]) -> PluginError:
    first, *others = offers
    both = " and ".join(str(offer.origin) for offer in offers)
    return PluginError(
        f"the plugins {both} offer the same {first.kind.singular} {first.name!r}: turn one of them "
        f"off, such as {DISABLE}={others[-1].origin.plugin}"
    )
