"""The suite for instrumentors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from agentperf.abc import Instrumentor, Signals
from agentperf.testing.conformance.expecting import expect


class InstrumentorConformance:
    """Holds an `Instrumentor` to its contract; the library that it instruments must be there."""

    def make(self) -> Instrumentor:
        """Return the instrumentor to check."""
        raise NotImplementedError

    def use(self) -> Any:
        """Use the library in the usual way, and return what came of it, to be compared."""
        raise NotImplementedError

    def patched(self) -> Any:
        """Return something that is another object while the library is instrumented.

        Such as the method that is patched.
        """
        raise NotImplementedError

    def _installed(self, instrumentor: Instrumentor) -> list[ModuleType]:
        modules = [importlib.import_module(name) for name in instrumentor.targets]
        for module in modules:
            instrumentor.install(module, Signals())
        return modules

    def _with(self, check: Callable[[Instrumentor, list[ModuleType]], None]) -> None:
        instrumentor = self.make()
        try:
            check(instrumentor, self._installed(instrumentor))
        finally:
            instrumentor.remove()

    def test_it_extends_the_contract(self) -> None:
        """It is an instrumentor, with a name and targets."""
        instrumentor = self.make()
        expect(isinstance(instrumentor, Instrumentor), "it must extend Instrumentor")
        expect(bool(instrumentor.name.strip()), "name must be the library's import name")
        targets = instrumentor.targets
        fits = isinstance(targets, tuple) and bool(targets)
        expect(
            fits and all(isinstance(name, str) for name in targets),
            f"targets={targets!r} must be a tuple of modules' names",
        )

    def test_the_library_behaves_as_before(self) -> None:
        """What a program gets of the library is the same, instrumented or not."""
        before = self.use()

        def check(_: Instrumentor, __: list[ModuleType]) -> None:
            during = self.use()
            expect(type(during) is type(before), f"{type(before)} became {type(during)}")
            expect(during == before, f"{before!r} became {during!r}")

        self._with(check)

    def test_installing_patches_and_removing_takes_it_off(self) -> None:
        """After removing, the library has its own objects again."""
        before = self.patched()

        def check(_: Instrumentor, __: list[ModuleType]) -> None:
            expect(self.patched() is not before, "install() patched nothing")

        self._with(check)
        expect(self.patched() is before, "remove() must put back what was there")

    def test_installing_twice_does_nothing(self) -> None:
        """The second installation leaves the patches as they are."""
        before = self.patched()

        def check(instrumentor: Instrumentor, modules: list[ModuleType]) -> None:
            once = self.patched()
            for module in modules:
                instrumentor.install(module, Signals())
            expect(self.patched() is once, "the second install() must do nothing")

        self._with(check)
        expect(self.patched() is before, "one remove() must take off what two installed")

    def test_removing_is_harmless(self) -> None:
        """It may be removed before it was installed, and twice; it may be installed again."""
        before = self.patched()
        instrumentor = self.make()
        instrumentor.remove()

        def check(_: Instrumentor, __: list[ModuleType]) -> None:
            instrumentor.remove()

        self._with(check)
        instrumentor.remove()
        expect(self.patched() is before, "remove() without an installation must do nothing")
        self._installed(instrumentor)
        again = self.patched()
        instrumentor.remove()
        expect(again is not before, "it must be possible to install it again")
