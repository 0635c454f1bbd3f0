"""Decisions as commands for the server: the same for both colours."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from agentperf import ConfigurationError
from agentperf.abc import Decision
from agentperf_redis.commands import Commands, Steps, milliseconds, told

_BEFORE = "local function decide(record, arguments, now)"
_AFTER = """
end
local function written(numbers)
  local texts = {}
  for at, number in ipairs(numbers) do texts[at] = string.format('%.17g', number) end
  return table.concat(texts, ' ')
end
local record, arguments = nil, {}
local kept = redis.call('GET', KEYS[1])
if kept then
  record = {}
  for text in string.gmatch(kept, '%S+') do record[#record + 1] = tonumber(text) end
end
for at = 1, #ARGV - 1 do arguments[at] = tonumber(ARGV[at]) end
local time = redis.call('TIME')
local after, answer = decide(record, arguments, tonumber(time[1]) + tonumber(time[2]) / 1000000)
if after then redis.call('SET', KEYS[1], written(after), 'PX', ARGV[#ARGV])
elseif kept then redis.call('DEL', KEYS[1]) end
return written(answer)
"""
"""What is the server's business: keys, expiry, time, and numbers that stay exact as text."""


class Decisions(Commands):
    """Turns decisions into scripts that run on the server."""

    def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> Steps[tuple[float, ...]]:
        """Take a decision on the record of a key.

        Raises:
            ConfigurationError: It can't be taken in Lua.
        """
        body = decision.scripts.get("lua")
        if body is None:
            raise ConfigurationError(
                f"the decision {decision.name!r} has no script for this server: give "
                f'Decision({decision.name!r}, apply, {{"lua": "..."}})'
            )
        numbers = [repr(float(number)) for number in arguments]
        reply = yield from self._script(script(body), [key], *numbers, milliseconds(ttl))
        return tuple(map(float, told(reply).split()))

    def now(self) -> Steps[float]:
        """Ask for the time, as decisions see it."""
        (reply,) = yield [("TIME",)]
        seconds, micros = told(reply)
        return int(seconds) + int(micros) / 1_000_000


@functools.cache
def script(body: str) -> str:
    """Return what the server runs for the Lua of a decision."""
    return f"{_BEFORE}\n{body}\n{_AFTER}"
