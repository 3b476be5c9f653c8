"""Sources of error rates, one file each. A new one is its file and one line in the union below."""

from typing import Annotated

from pydantic import Field

from daemon.ports.source import Source
from daemon.sources.observability import ObservabilitySettings
from daemon.sources.request_logs import RequestLogsSettings
from daemon.vercel.transport import VercelTransport

SourceSettings = Annotated[ObservabilitySettings | RequestLogsSettings, Field(discriminator="kind")]
"""What `sources:` in the configuration may hold."""


def build_source(settings: SourceSettings, transport: VercelTransport) -> Source:
    """Return the source that *settings* describe, reading through *transport*."""
    return settings.open(transport)
