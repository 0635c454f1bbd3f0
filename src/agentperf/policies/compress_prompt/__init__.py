"""`compress_prompt`: makes prompts shorter before a call."""

from __future__ import annotations

from agentperf.policies.compress_prompt.decorator import CompressPrompt, compress_prompt

__all__ = ["CompressPrompt", "compress_prompt"]
