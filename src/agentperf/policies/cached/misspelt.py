"""What was probably meant by the address of a backend that can't be one."""

from __future__ import annotations

from agentperf.errors import ConfigurationError

_EXAMPLES = (
    'backend="memory", "memory:lru", "sqlite:~/answers.db", "redis://localhost:6379/0" or '
    '"memory+redis://localhost:6379/0"'
)


def explained(word: str) -> ConfigurationError:
    """Return the error for an address that begins with a word that is none.

    Args:
        word: What stands before the first colon; what comes after it may hold a password.
    """
    near, question, _ = word.partition("?")
    if near.lower() in ("memory", "memory+") and question:
        return ConfigurationError(
            f"backend={word!r}: these options are of the memory in front of another backend, "
            "whose address comes after a +, such as "
            'backend="memory?near_ttl=2s+redis://localhost:6379/0"; the memory '
            'alone is backend="memory", with max_entries= and max_bytes= beside it'
        )
    if word != word.lower() and word.replace("+", "").isalnum():
        return ConfigurationError(
            f"backend={word!r}: addresses begin in small letters, such as {word.lower()!r}; write "
            f"{_EXAMPLES}"
        )
    return ConfigurationError(
        f"backend={word!r}: that begins with no backend's name; for a file write "
        f'backend="sqlite:{word}", else {_EXAMPLES}'
    )
