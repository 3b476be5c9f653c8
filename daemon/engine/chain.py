"""One project's sources in the operator's order: the first that answers counts, and one in trouble rests a while."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from daemon.core.facts import ProjectId
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, Refused, Unavailable
from daemon.ports.source import Reading, Source

_REST_AFTER_REFUSAL_SECONDS = 1800.0
"""A plan or a token that does not allow a source will not do so a minute later."""
_REST_AFTER_TROUBLE_SECONDS = 120.0
_FIRST_READING = timedelta(minutes=30)
"""How far back the first reading of a project reaches."""

log = structlog.get_logger()


class SourceChain:
    """Reads one project's counts.

    A source in trouble is left alone for a while: else one whose next whole minute is not due yet would answer
    "nothing new" without being asked anything, and stand in the way of the next. The last one left is always asked.
    """

    def __init__(self, sources: Sequence[Source], clock: Clock) -> None:
        assert sources, "a project has at least one source"
        self._sources = sources
        self._clock = clock
        self._rests_until: dict[str, float] = {}

    async def collect(self, project: ProjectId, *, since: datetime | None) -> Reading:
        """Return the first answer since the watermark (None before the first). Raises Unavailable with all causes.

        What kept an earlier source from answering is logged, once for each of its rests.
        """
        now, awake = self._clock.now(), self._clock.monotonic()
        # A watermark in the future was written while the wall clock was ahead: what was counted since is not known.
        start = since if since and since <= now else now - _FIRST_READING
        rested = [source for source in self._sources if self._rests_until.get(source.name, 0.0) <= awake]
        troubles: list[str] = []
        for source in rested or self._sources:
            try:
                reading = await source.collect(project, since=start, now=now)
            except PortError as error:
                rest = _REST_AFTER_REFUSAL_SECONDS if isinstance(error, Refused) else _REST_AFTER_TROUBLE_SECONDS
                self._rests_until[source.name] = awake + rest
                troubles.append(f"{source.name}: {error}")
            else:
                if troubles:
                    log.warning("read.failed", project=project, what="samples", error="; ".join(troubles))
                return reading
        raise Unavailable("; ".join(troubles))
