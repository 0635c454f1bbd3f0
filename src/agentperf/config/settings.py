"""The model: what can be set for a whole host, and where each value came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from agentperf.config.complaints import Path, complaint, suggestion
from agentperf.errors import ConfigurationError

Options = Mapping[str, Any]
Policies = Mapping[str, Mapping[str, Options | bool]]
"""By operation and kind of policy: its options, or False to take it off again."""

_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")
_EXAMPLES: Mapping[str, str] = {
    "timed": '{"slow": "2s"}',
    "budgeted": '{"usd": 0.5}',
    "cached": '{"ttl": "10m"}',
    "compress_prompt": '{"max_tokens": 8000}',
    "hedged": '{"after": "p95"}',
    "retry": '{"attempts": 4}',
    "rate_limited": '{"requests": "500/min"}',
    "circuit_breaker": '{"failure_rate": 0.3}',
    "bulkhead": '{"concurrency": 8}',
    "fallback": '{"targets": ["try again later"]}',
    "timeout": '{"total": "30s"}',
}
"""Options of policies, shown where something else stands in their place."""

_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_SHORTEST_SECRET = 16
_MERGED = 3
"""So many levels of tables are merged: operations, policies, options; not what an option holds."""


class Source(Protocol):
    """Where values come from."""

    def where(self, path: Path) -> str:
        """Say where the value at `path` stands, such as `agentperf.toml:12`."""
        ...


class Given:
    """Values that the program itself hands over."""

    def __init__(self, name: str) -> None:
        self.name = name

    def where(self, path: Path) -> str:
        """Name the function that took them."""
        return self.name


class Secrets:
    """Secrets, which nobody sees who prints them."""

    __slots__ = ("_held",)

    def __init__(self, held: Iterable[str] = ()) -> None:
        self._held = tuple(held)

    def reveal(self) -> tuple[str, ...]:
        """Return them, to those who need them."""
        return self._held

    def __bool__(self) -> bool:
        return bool(self._held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secrets) and other._held == self._held

    def __hash__(self) -> int:
        return hash(self._held)

    def __repr__(self) -> str:
        return "***" if self._held else "none"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set for a whole host.

    Attributes:
        enabled: False turns every decorated function into a plain call of itself.
        policies: What is put on operations besides their decorators, with its options:
            `{"app.search": {"retry": {"attempts": 4}, "timed": True}}`; False takes off what a
            source of lower rank put there.
        exporters: The exporters of plugins that run, by name.
        subscribers: The subscribers to events of plugins that run, by name.
        classifiers: The classifiers of errors of plugins that are asked, by name and in order.
        cache_secret: Signs what caches keep in backends that others share: a text of at least 16
            characters, or several, of which the first signs and all are accepted.
        origins: Where values came from; what is not in it is the default.

    Raises:
        ConfigurationError: A value is of the wrong kind.
    """

    enabled: bool = True
    policies: Policies = field(default_factory=dict)
    exporters: tuple[str, ...] = ()
    subscribers: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    cache_secret: Secrets = field(default_factory=Secrets)
    origins: Mapping[Path, Source] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        given = Given("Settings()")
        origins = dict(self.origins)
        for name, read in _READERS.items():
            value = read(getattr(self, name), (name,), given)
            object.__setattr__(self, name, value)
            if value != _DEFAULTS[name]:
                origins = dict.fromkeys(_paths(value, (name,)), given) | origins
        object.__setattr__(self, "origins", origins)

    @property
    def names_plugins(self) -> bool:
        """Whether something of plugins is to run."""
        return bool(self.exporters or self.subscribers or self.classifiers)

    def merged(self, values: Mapping[str, object], source: Source) -> Settings:
        """Return these settings with `values` laid over them.

        Raises:
            ConfigurationError: A setting is unknown or its value is of the wrong kind.
        """
        changes: dict[str, Any] = {}
        origins = dict(self.origins)
        for name, value in values.items():
            path = (str(name),)
            if (read := _READERS.get(name)) is None:
                text = f": no such setting{suggestion(str(name), _READERS)}"
                raise complaint(source.where(path), path, text)
            above = read(value, path, source)
            origins |= dict.fromkeys(_paths(above, path), source)
            changes[name] = _laid_over(getattr(self, name), above, _MERGED)
        return replace(self, **changes, origins=origins)

    def changed(self, **changes: object) -> Settings:
        """Return settings with `changes` laid over these, as `agentperf.configure` does.

        Raises:
            ConfigurationError: A setting is unknown or its value is of the wrong kind.
        """
        return self.merged(changes, Given("configure()"))

    def origin(self, path: Path) -> str:
        """Say where the value at `path` came from: a file and line, a variable, or `default`."""
        source = self.origins.get(path)
        return source.where(path) if source else "default"

    def complaint(self, path: Path, text: str) -> ConfigurationError:
        """Make the error for the value at `path`, which says where it came from."""
        return complaint(self.origin(path), path, text)

    def rows(self) -> Iterator[tuple[Path, object, str]]:
        """Give every value with its path and where it came from."""
        for name in _READERS:
            for path, value in _leaves(getattr(self, name), (name,)):
                yield path, value, self.origin(path)


def as_switch(value: object) -> bool | None:
    """Read a yes or no as people write it; None for anything else."""
    if isinstance(value, str):
        text = value.strip().lower()
        return True if text in _YES else False if text in _NO else None
    return value if isinstance(value, bool) else None


def _read_switch(value: object, path: Path, source: Source) -> bool:
    if (switch := as_switch(value)) is None:
        raise complaint(
            source.where(path), path, f"={value!r}: true or false, as in {path[-1]}=false"
        )
    return switch


def _read_policies(value: object, path: Path, source: Source) -> Policies:
    example = '{"app.search": {"retry": {"attempts": 4}}}'
    table = _read_table(value, path, source, f"a table by operation, such as {example}")
    return {
        operation: {
            kind: _read_options(options, (*path, operation, kind), source)
            for kind, options in _read_table(
                kinds, (*path, operation), source, 'a table by policy, such as {"timed": True}'
            ).items()
        }
        for operation, kinds in table.items()
    }


def _read_options(value: object, path: Path, source: Source) -> Options | bool:
    if (switch := as_switch(value)) is not None:
        return {} if switch else False
    example = _EXAMPLES.get(path[-1], '{"name": "search"}')
    table = _read_table(value, path, source, f"true, false, or a table such as {example}")
    return {name: _human(option) for name, option in table.items()}


def _read_names(value: object, path: Path, source: Source) -> tuple[str, ...]:
    """Read names; in text, as variables hold it, commas stand between them."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        text = f'={value!r}: names of {path[-1]}, as in {path[-1]}=["example"]'
        raise complaint(source.where(path), path, text)
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _read_secrets(value: object, path: Path, source: Source) -> Secrets:
    """Read secrets; what is wrong with them is told without showing them."""
    if isinstance(value, Secrets):
        return value
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        text = f": text or a list of texts is needed, not {type(value).__name__}"
        raise complaint(source.where(path), path, text)
    secrets = [each.strip() for each in given if each.strip()]
    if any(len(each) < _SHORTEST_SECRET for each in secrets):
        text = (
            f": at least {_SHORTEST_SECRET} characters; one can be made with: "
            "python -c 'import secrets; print(secrets.token_hex())'"
        )
        raise complaint(source.where(path), path, text)
    return Secrets(secrets)


def _read_table(value: object, path: Path, source: Source, wanted: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise complaint(source.where(path), path, f"={value!r}: {wanted}")
    return {str(key): inner for key, inner in value.items()}


def _human(value: object) -> object:
    """Turn a share such as "80%" into a number; times and rates are read by the policies."""
    if isinstance(value, str) and (share := _SHARE.fullmatch(value)):
        return float(share[1]) / 100
    if isinstance(value, list):
        return [_human(item) for item in value]
    if isinstance(value, dict):
        return {key: _human(inner) for key, inner in value.items()}
    return value


_READERS: Mapping[str, Callable[[object, Path, Source], Any]] = {
    "enabled": _read_switch,
    "policies": _read_policies,
    "exporters": _read_names,
    "subscribers": _read_names,
    "classifiers": _read_names,
    "cache_secret": _read_secrets,
}
_DEFAULTS: Mapping[str, object] = {
    "enabled": True,
    "policies": {},
    "exporters": (),
    "subscribers": (),
    "classifiers": (),
    "cache_secret": Secrets(),
}


def _laid_over(below: Any, above: Any, levels: int) -> Any:
    if levels == 0 or not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below} | {
        key: _laid_over(below[key], value, levels - 1) if key in below else value
        for key, value in above.items()
    }


def _paths(value: object, path: Path) -> Iterator[Path]:
    """Give the paths of a value and of all that is merged inside it."""
    yield path
    if isinstance(value, Mapping) and len(path) <= _MERGED:
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))


def _leaves(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    """Give the values that are no tables themselves; a policy without options is simply on."""
    if not isinstance(value, Mapping) or len(path) > _MERGED:
        yield path, value
    elif not value and len(path) == _MERGED:
        yield path, True
    else:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
