"""Decorated objects that are not functions: partials and instances with `__call__`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import wrapt

from agentperf._engine.pipeline import Pipeline


class CallableProxy(wrapt.ObjectProxy):  # type: ignore[type-arg]  # older ones are not generic
    """Is the object in every respect, except that calls go through the pipeline."""

    def __init__(
        self,
        wrapped: object,
        call: Callable[..., Any],
        pipeline: Pipeline,
        decorate: Callable[..., Any],
    ) -> None:
        super().__init__(wrapped)
        self._self_call = call
        self._self_pipeline = pipeline
        self._self_decorate = decorate

    @property
    def __agentperf__(self) -> Pipeline:
        """The marker of our wrappers."""
        return self._self_pipeline

    @property
    def __call__(self) -> Callable[..., Any]:
        """Its colour is there to be seen: frameworks ask for it."""
        return self._self_call

    def __copy__(self) -> Any:
        return self._self_decorate(self._self_pipeline.policies, copy.copy(self.__wrapped__))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = copy.deepcopy(self.__wrapped__, memo)
        return self._self_decorate(self._self_pipeline.policies, twin)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self._self_decorate, (self._self_pipeline.policies, self.__wrapped__)
