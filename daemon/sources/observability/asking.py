"""Puts questions to Vercel in the dialect that it understands, and remembers which one that is."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from daemon.ports.errors import Refused
from daemon.sources.observability.counts import Table
from daemon.sources.observability.dialect_metrics_v1 import MetricsV1
from daemon.sources.observability.dialect_v2 import V2
from daemon.sources.observability.question import Dialect, Question
from daemon.sources.observability.table import tabulate
from daemon.vercel.transport import VercelTransport

ROUTE: Final = "observability"
"""The label of both routes in metrics."""
GONE = frozenset({404, 405, 410})
"""Statuses by which a route is not there, or not there any more."""
GONE_WORDS = ("deprecated", "no longer", "metrics/v1", "unsupported", "not supported", "unknown metric")
"""What a 400 says that means the same."""
CHANGE_REST = timedelta(hours=1)
"""How long a dialect that answered, or failed to take over, keeps its place: a route that is gone stays gone."""


class DialectChoice(StrEnum):
    """Which of Vercel's two routes is asked."""

    AUTO = "auto"
    V2 = "v2"
    METRICS_V1 = "metrics_v1"


class Asker:
    """Asks one question at a time.

    With `auto` the public dialect comes first, and the newer one where that route is not there; whichever answered is
    asked from then on. Another kind of refusal, such as 402, would be the same in both and changes nothing. Once one
    has answered, the other is tried at most once an hour, and takes its place only by answering: a 404 that means a
    project, or a token, never makes them change places in turn.
    """

    def __init__(self, transport: VercelTransport, choice: DialectChoice) -> None:
        self._transport = transport
        self._may_change = choice is DialectChoice.AUTO
        self._dialect: Dialect = MetricsV1() if choice is DialectChoice.METRICS_V1 else V2()
        self._has_answered = False
        self._keeps_until: datetime | None = None

    async def ask(self, question: Question, *, now: datetime) -> Table:
        """Return the answer. Raises Unavailable, RateLimited, Refused, Unintelligible."""
        dialect = self._dialect
        try:
            table = await self._ask(dialect, question)
        except Refused as refusal:
            if not self._is_gone(refusal, now):
                raise
            return await self._ask_other(dialect, question, refusal, now=now)
        self._has_answered = True
        return table

    def _is_gone(self, refusal: Refused, now: datetime) -> bool:
        if not self._may_change or (self._has_answered and self._keeps_until and now < self._keeps_until):
            return False
        sentence = str(refusal).lower()
        return refusal.status in GONE or (refusal.status == 400 and any(word in sentence for word in GONE_WORDS))

    async def _ask_other(self, dialect: Dialect, question: Question, refusal: Refused, *, now: datetime) -> Table:
        """Ask the other dialect, which takes over if it answers. Raises *refusal* where both are refused."""
        self._keeps_until = now + CHANGE_REST
        other: Dialect = V2() if isinstance(dialect, MetricsV1) else MetricsV1()
        try:
            table = await self._ask(other, question)
        except Refused as error:
            # The first to refuse is the public route, whose reasons are the ones that are known.
            raise refusal from error
        self._dialect, self._has_answered = other, True
        return table

    async def _ask(self, dialect: Dialect, question: Question) -> Table:
        answer = await self._transport.read(
            "POST", dialect.path, route=ROUTE, what=question.what, body=dialect.phrase(question)
        )
        return tabulate(dialect.understand(answer, question), question)
