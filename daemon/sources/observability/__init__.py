"""Exact counts per deployment and minute for all projects of a team, from Vercel's observability query."""

from daemon.sources.observability.source import Observability, ObservabilitySettings

__all__ = ["Observability", "ObservabilitySettings"]
