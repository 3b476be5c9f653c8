"""What a running daemon can change about itself, and what only a restart can."""

from collections.abc import Iterator

from daemon.settings.laws import Violation
from daemon.settings.model import Settings
from daemon.settings.problem import dotted
from daemon.sources.log_drain import LogDrainSettings

_POLICY = frozenset({"defaults", "profiles", "projects"})
_KEYS = frozenset({("poll", "interval"), ("poll", "discover_every"), ("log", "level")})
"""What can change beside the policy. Everything else holds something open, or was promised to another process."""


def what_needs_a_restart(started: Settings, wanted: Settings) -> Iterator[Violation]:
    """Yield each change from *started*, the settings of the start, to *wanted* that cannot be made while running."""
    for section in Settings.model_fields:
        if section in _POLICY:
            continue
        before, after = getattr(started, section), getattr(wanted, section)
        for key in type(before).model_fields:
            location = (section, key)
            if location not in _KEYS and getattr(before, key) != getattr(after, key):
                yield Violation(
                    (location, (section,)), f"restart to change {dotted(location)}; until then write what was there"
                )
    if not keeps_buckets(started):
        yield from _new_drains(wanted)


def keeps_buckets(settings: Settings) -> bool:
    """Return whether pushed counts are kept in the store: where something fills them, or reads them."""
    return bool(settings.drain.secret_files) or any(_reads_drain(settings))


def _reads_drain(settings: Settings) -> Iterator[tuple[int, int]]:
    for index, project in enumerate(settings.projects):
        for number, source in enumerate(project.sources):
            if isinstance(source, LogDrainSettings):
                yield index, number


def _new_drains(wanted: Settings) -> Iterator[Violation]:
    for index, number in _reads_drain(wanted):
        sources = ("projects", index, "sources")
        yield Violation(
            ((*sources, number), sources), "restart to change to log_drain, which nothing read when lastgood started"
        )
        return
