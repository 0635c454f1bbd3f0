"""Where settings come from, and which source has the last word."""

from __future__ import annotations

import os
from collections.abc import Mapping

from agentperf.config.environment import CONFIG, Environment
from agentperf.config.files import ConfigFile, find, read
from agentperf.config.settings import Settings
from agentperf.errors import ConfigurationError


def load(
    environment: Mapping[str, str] | None = None, folder: str | os.PathLike[str] | None = None
) -> Settings:
    """Read the settings: environment variables over the nearest file over the defaults.

    Args:
        environment: The variables; those of the process by default.
        folder: Where the search for a file begins and goes upward; the current folder by default.
            `AGENTPERF_CONFIG` names a file instead.

    Raises:
        ConfigurationError: A file or variable is malformed, or says something unknown.
        MissingExtraError: The file is YAML, and PyYAML is not installed.
    """
    variables = os.environ if environment is None else environment
    settings = Settings()
    if (file := file_in_effect(variables, folder)) is not None:
        settings = settings.merged(file.values, file)
    source = Environment(variables)
    return settings.merged(source.values, source)


def file_in_effect(
    environment: Mapping[str, str], folder: str | os.PathLike[str] | None = None
) -> ConfigFile | None:
    """Read the file that counts; None where there is none.

    Raises:
        ConfigurationError: It is malformed, or the one that was named isn't there.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    if named := environment.get(CONFIG, "").strip():
        return _named(os.path.abspath(os.path.expanduser(named)))
    try:
        start = os.path.abspath(os.curdir if folder is None else folder)
    except FileNotFoundError:  # the current folder was deleted
        return None
    return find(os.fspath(start))


def _named(file: str) -> ConfigFile:
    if not os.path.isfile(file):
        raise ConfigurationError(f"{CONFIG}={file!r}: there is no such file")
    if not file.endswith((".toml", ".yaml", ".yml")):
        raise ConfigurationError(f"{CONFIG}={file!r}: a .toml, .yaml or .yml file is needed")
    if (found := read(file)) is None:
        raise ConfigurationError(f"{CONFIG}={file!r}: it has no table [tool.agentperf]")
    return found
