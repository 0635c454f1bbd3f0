"""The suite for exporters."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any, get_type_hints

from agentperf import events
from agentperf.abc import Exporter, Noted
from agentperf.events import Event
from agentperf.testing.conformance.expecting import expect


def samples() -> Iterator[Event]:
    """Make one event of every kind, once with as little and once with as much as it can say."""
    for name in events.__all__:
        kind = getattr(events, name)
        if kind is not Event:
            yield kind(**_facts(kind, filled=False))
            yield kind(**_facts(kind, filled=True))


def _facts(kind: type[Event], *, filled: bool) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        field.name: _sample(str(hints[field.name]))
        for field in dataclasses.fields(kind)
        if filled or field.default is field.default_factory is dataclasses.MISSING
    }


def _sample(annotation: str) -> Any:
    from agentperf._base.endings import Ending
    from agentperf.usage import Usage

    for word, value in (
        ("Mapping", {"team": "ünïcode"}),
        ("dict", {"team": "ünïcode"}),
        ("Ending", Ending.FAILED),
        ("Usage", Usage(3, 5)),
        ("bool", True),
        ("int", 7),
        ("float", 0.25),
        ("str", "ünïcode\n"),
    ):
        if word in annotation:
            return value
    raise TypeError(f"no sample for {annotation}")


class ExporterConformance:
    """Holds an `Exporter` to its contract."""

    def make(self) -> Exporter:
        """Return the exporter to check."""
        raise NotImplementedError

    def exported(self, exporter: Exporter) -> int | None:
        """Return how many events have arrived where it exports to; None when that can't be seen."""
        return None

    def _wanted(self, exporter: Exporter) -> list[Noted]:
        return [
            Noted(1_700_000_000.0 + number, event)
            for number, event in enumerate(samples())
            if isinstance(event, exporter.kinds)
        ]

    def _arrived(self, exporter: Exporter, wanted: int) -> None:
        found = self.exported(exporter)
        expect(found is None or found == wanted, f"{wanted} events exported, {found} arrived")

    def test_it_extends_the_contract(self) -> None:
        """It is an exporter, and wants kinds of events."""
        exporter = self.make()
        expect(isinstance(exporter, Exporter), f"{type(exporter).__name__} must extend Exporter")
        fits = isinstance(exporter.kinds, tuple) and bool(exporter.kinds)
        fits = fits and all(isinstance(k, type) and issubclass(k, Event) for k in exporter.kinds)
        expect(fits, f"kinds={exporter.kinds!r} must be a tuple of classes of events")
        exporter.close()

    def test_every_kind_of_event(self) -> None:
        """Whatever it asked for it can take, with all that the event may say."""
        exporter = self.make()
        wanted = self._wanted(exporter)
        expect(bool(wanted), "kinds= asks for no event that there is")
        for noted in wanted:
            exporter.export((noted,))
        exporter.close()
        self._arrived(exporter, len(wanted))

    def test_batches(self) -> None:
        """Batches of none, of one and of many arrive; the list is not its own to keep."""
        exporter = self.make()
        wanted = self._wanted(exporter)
        batches: Sequence[list[Noted]] = ([], wanted[:1], wanted * 20)
        for batch in batches:
            lent = list(batch)
            exporter.export(lent)
            expect(lent == batch, "export() must leave the batch as it was")
            lent.clear()
        exporter.close()
        self._arrived(exporter, sum(map(len, batches)))

    def test_another_thread(self) -> None:
        """It exports in another thread than the one that made it."""
        exporter = self.make()
        wanted = self._wanted(exporter)
        errors: list[BaseException] = []

        def work() -> None:
            try:
                exporter.export(wanted)
                exporter.close()
            except BaseException as error:  # noqa: BLE001 - raised below
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        self._arrived(exporter, len(wanted))

    def test_closing_unused(self) -> None:
        """One that never exported anything can be closed."""
        self.make().close()
