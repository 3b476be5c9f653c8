"""The notifier that is always there writes one line a message, a page louder than a notice."""

import logging

import pytest
from structlog.testing import capture_logs

from daemon.core.command import Notify, Severity
from daemon.core.facts import IncidentId
from daemon.notifiers.log import LogNotifier
from daemon.settings.model import LogLevel
from tests.builders import PROJECT


@pytest.mark.parametrize(("severity", "level"), [(Severity.NOTICE, "info"), (Severity.PAGE, "error")])
async def test_a_message_is_one_line_with_all_that_it_says(severity: Severity, level: str) -> None:
    message = Notify(IncidentId("inc_1"), severity, "shop: escalated", "no target", "vercel rollback x")
    with capture_logs() as lines:
        await LogNotifier().notify(PROJECT, message)
    assert lines == [
        {
            "event": "notification.sent",
            "log_level": level,
            "project": PROJECT,
            "incident_id": "inc_1",
            "severity": severity,
            "title": "shop: escalated",
            "summary": "no target",
            "next_step": "vercel rollback x",
        }
    ]


@pytest.mark.parametrize("level", list(LogLevel))
def test_no_level_that_can_be_configured_silences_a_page(level: LogLevel) -> None:
    assert logging.getLevelNamesMapping()[level.upper()] <= logging.ERROR
