"""Vercel's counts on an emulated Vercel: in both dialects, and minutes read closed or while they grow."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from daemon.ports.source import Source
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.observability import ObservabilitySettings
from tests.unit.vercel.emulated import Vercel

LAG = timedelta(seconds=30)
"""The emulated Vercel's own."""


class ObservabilityStage:
    """It pulls, so that nothing has to be carried to it."""

    kind = "observability"
    counts_are_exact = True
    settings: ClassVar[dict[str, Any]] = {}

    def build(self, vercel: Vercel, *, exclusions: Exclusions = NOTHING_EXCLUDED, **changes: Any) -> Source:
        return ObservabilitySettings(**self.settings | changes).open(vercel.reader, exclusions)

    async def settle(self, vercel: Vercel) -> None:
        """Leave the counts to their own lag."""


class MetricsV1Stage(ObservabilityStage):
    """The newer dialect."""

    # Whether this route is there at all is one of the things that nobody knows.
    marks = (pytest.mark.default_answers,)
    settings: ClassVar = {"dialect": "metrics_v1"}


class FineStage(ObservabilityStage):
    """All that is ingested of an open minute is given with the part of it that ends at the watermark: nearly that."""

    # How far counts lag is another one, and how near is near depends on it.
    marks = (pytest.mark.default_answers,)
    counts_are_exact = False
    settings: ClassVar = {"resolution": "fine", "lag": LAG}
