"""Puts a changed configuration file in force while the daemon runs: as a whole, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from daemon.bootstrap.fleet import Unresolved
from daemon.ports.clock import Clock
from daemon.ports.errors import Misconfigured
from daemon.settings import ConfigError, Loaded, Problem, Settings, load
from daemon.settings.change import what_needs_a_restart
from daemon.settings.files import read_content
from daemon.settings.laws import Violation
from daemon.settings.load import content_digest
from daemon.settings.problem import in_order
from daemon.telemetry.metrics import Metrics

LOOK_EVERY_SECONDS = 1.0
_TRY_AGAIN_AFTER_SECONDS = 30.0
"""A configuration that only Vercel's answer keeps out is tried again after so long."""
_PROBLEMS_TOLD_MAX = 20

Prepare = Callable[[Settings], Awaitable[Callable[[int], None]]]
"""Does what may fail (raises Unresolved), and returns what puts settings in force, as which generation."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """Where the configuration came from, and what it said at the start. The variables of `env` win over the file."""

    path: Path
    env: Mapping[str, str]
    loaded: Loaded


class Reloader:
    """Looks at the file now and then, and tries what it says when it has changed.

    A file is tried when it looked the same twice: one that is still being written may be a shorter configuration that
    holds. What is refused changes nothing, and is told by log and metric; no message holds what the file says of
    secrets. `settings` are those in force, and `generation` counts them from 1.
    """

    def __init__(self, file: ConfigFile, *, prepare: Prepare, clock: Clock, metrics: Metrics) -> None:
        self._file = file
        self._prepare = prepare
        self._clock = clock
        self._metrics = metrics
        self._digest = file.loaded.digest
        self._seen: tuple[int, ...] | None = None
        # Not the stamp of now: the file may have changed since it was loaded.
        self._tried: tuple[int, ...] | None = ()
        self._again_at: float | None = None
        self._is_asked = False
        self._told: tuple[Problem, ...] = ()
        self.settings = file.loaded.settings
        self.generation = 1

    def ask(self) -> None:
        """Try the file at the next look, whether it seems changed or not: what SIGHUP means."""
        self._is_asked = True

    async def look(self) -> None:
        """Look at the file once, and try what it says where that is called for."""
        stamp, now = self._stamp(), self._clock.monotonic()
        is_settled, self._seen = stamp == self._seen, stamp
        is_asked, self._is_asked = self._is_asked, False
        is_due = self._again_at is not None and now >= self._again_at
        if is_asked or (is_settled and (is_due or stamp != self._tried)):
            self._tried, self._again_at = stamp, None
            await self._try(is_asked=is_asked)

    async def note_bug(self, _error: Exception) -> None:
        """Let the metric say that the file is not in force; the log says why."""
        self._metrics.config_reload_success.set(0)

    def _stamp(self) -> tuple[int, ...] | None:
        """Return what changes with the file that the path leads to now, be it through links; None without one."""
        try:
            found = self._file.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    async def _try(self, *, is_asked: bool) -> None:
        try:
            content = read_content(self._file.path)
            if content_digest(content) == self._digest:
                self._stay(is_asked=is_asked)
                return
            # In a thread of its own: the file of a large fleet takes seconds to read, and polls must go on.
            loaded = await asyncio.to_thread(
                load, self._file.path, self._file.env, checks_tokens=False, content=content
            )
        except ConfigError as error:
            self._reject(error.problems, is_asked=is_asked)
            return
        problems = [loaded.blame(one) for one in what_needs_a_restart(self._file.loaded.settings, loaded.settings)]
        if not problems:
            problems = await self._accept(loaded)
        if problems:
            self._reject(in_order(problems), is_asked=is_asked)

    async def _accept(self, loaded: Loaded) -> list[Problem]:
        """Put it in force; return what is against that, be it only for now."""
        try:
            put_in_force = await self._prepare(loaded.settings)
        except Unresolved as error:
            self._again_at = self._clock.monotonic() + _TRY_AGAIN_AFTER_SECONDS
            return [loaded.blame(_not_found(error))]
        self.settings, self.generation, self._digest = loaded.settings, self.generation + 1, loaded.digest
        self._told = ()
        put_in_force(self.generation)
        self._metrics.tell_config(self.generation, loaded.digest, at=self._clock.now())
        log.info(
            "config.reloaded",
            generation=self.generation,
            digest=loaded.digest,
            projects=len(loaded.settings.projects),
            warnings=[str(one) for one in loaded.warnings[:_PROBLEMS_TOLD_MAX]],
        )
        return []

    def _stay(self, *, is_asked: bool) -> None:
        """Note that the file says what is in force, be it again after something that was refused."""
        if is_asked or self._told:
            log.info("config.unchanged", generation=self.generation, digest=self._digest)
        self._told = ()
        self._metrics.config_reload_success.set(1)

    def _reject(self, problems: Sequence[Problem], *, is_asked: bool) -> None:
        self._metrics.config_reload_success.set(0)
        if tuple(problems) == self._told and not is_asked:
            return
        self._told = tuple(problems)
        log.error(
            "config.rejected",
            generation=self.generation,
            digest=self._digest,
            problems=[str(one) for one in problems[:_PROBLEMS_TOLD_MAX]],
            count=len(problems),
            summary="the configuration from before stays in force",
        )


def _not_found(trouble: Unresolved) -> Violation:
    """Return what keeps one project out. Its name is not repeated: it may be a token in the wrong place."""
    entry = ("projects", trouble.index)
    if isinstance(trouble.error, Misconfigured):
        message = "is a project that is here already, under its name or its id; remove one of the two"
    else:
        message = (
            f"was not found at Vercel ({trouble.error.reason}); correct the name, or write the id; tried again soon"
        )
    return Violation(((*entry, "name"), entry), message)
