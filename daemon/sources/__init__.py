"""Sources of error rates, one file each. A new one is its file, one line in the union and one in the match below."""

from dataclasses import dataclass
from typing import Annotated, assert_never

from pydantic import Field

from daemon.ports.buckets import Buckets
from daemon.ports.clock import Clock
from daemon.ports.source import Source
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.log_drain import LogDrainSettings
from daemon.sources.observability import ObservabilitySettings
from daemon.sources.probe import ProbeSettings
from daemon.sources.prometheus import PrometheusSettings
from daemon.sources.request_logs import RequestLogsSettings
from daemon.vercel.transport import VercelTransport

SourceSettings = Annotated[
    LogDrainSettings | ObservabilitySettings | PrometheusSettings | RequestLogsSettings | ProbeSettings,
    Field(discriminator="kind"),
]
"""What `sources:` in the configuration may hold."""


@dataclass(frozen=True, slots=True)
class Means:
    """What sources read through: Vercel's API, the counts that were pushed, the time."""

    transport: VercelTransport
    buckets: Buckets
    clock: Clock


def build_source(settings: SourceSettings, means: Means, exclusions: Exclusions = NOTHING_EXCLUDED) -> Source:
    """Return the source that *settings* describe. Which of them can honour which *exclusions*, a law says."""
    match settings:
        case ObservabilitySettings() | RequestLogsSettings():
            return settings.open(means.transport, exclusions)
        case LogDrainSettings():
            return settings.open(means.buckets, exclusions)
        case ProbeSettings():
            return settings.open(means.clock)
        case PrometheusSettings():
            return settings.open()
        case _ as never:
            assert_never(never)
