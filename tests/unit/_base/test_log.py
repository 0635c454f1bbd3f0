"""The log: through the application's own logging, never in the way of a call."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
import structlog

from agentperf._base.log import fault, warn


def test_a_warning_has_a_name_and_facts(caplog):
    """Both reach the application's handlers, in the text and as attributes of the record."""
    warn("call.slow", operation="op", seconds=1.5)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("agentperf", logging.WARNING)
    assert record.message == "call.slow operation=op seconds=1.5"
    assert (record.operation, record.seconds) == ("op", 1.5)


def test_a_fault_carries_its_error(caplog):
    """For whoever wants to see it."""
    fault("our.fault", KeyError("mine"), where="here")
    (record,) = caplog.records
    assert record.exc_info[0] is KeyError
    assert "KeyError: 'mine'" in caplog.text
    assert record.where == "here"


def test_facts_with_percent_signs(caplog):
    """They are text, not a format."""
    warn("call.slow", operation="100%s")
    assert caplog.records[0].getMessage() == "call.slow operation=100%s"


def test_nothing_is_printed_unless_the_application_wants_it():
    """A library is silent until logging is configured."""
    code = "from agentperf._base.log import warn; warn('call.slow', operation='op')"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (ran.stdout, ran.stderr) == (b"", b"")


def test_the_applications_level_holds(caplog):
    """Above WARNING nothing is made."""
    with caplog.at_level(logging.ERROR, logger="agentperf"):
        warn("call.slow")
    assert caplog.records == []


@pytest.mark.parametrize("name", ["name", "message", "args", "module", "exc_info"])
def test_what_the_application_binds_is_in_nobodys_way(caplog, name):
    """Its context may use names that logging keeps for itself."""
    with structlog.contextvars.bound_contextvars(**{name: "x"}):
        warn("call.slow", operation="op")
    assert len(caplog.records) == 1


def test_a_filter_that_fails_does_not_reach_the_call():
    """Logging is no reason for a call to fail."""

    def broken(record):
        raise KeyError

    logger = logging.getLogger("agentperf")
    logger.addFilter(broken)
    try:
        warn("call.slow")
        fault("our.fault", KeyError())
    finally:
        logger.removeFilter(broken)
