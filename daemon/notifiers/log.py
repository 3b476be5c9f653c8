"""Tells people through the log: the notifier that is always there."""

import structlog

from daemon.core.command import Notify, Severity
from daemon.core.facts import ProjectId

log = structlog.get_logger()


class LogNotifier:
    """Writes one line a message, a page as an error: no `log.level` may silence it."""

    async def notify(self, project: ProjectId, message: Notify) -> None:
        """Write *message*; never raises."""
        line = {
            "project": project,
            "incident_id": message.incident,
            "severity": message.severity,
            "title": message.title,
            "summary": message.sentence,
            "next_step": message.next_step,
        }
        if message.severity is Severity.PAGE:
            log.error("notification.sent", **line)
        else:
            log.info("notification.sent", **line)
