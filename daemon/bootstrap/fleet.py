"""Which projects are watched, by which policy and through which sources: what the configuration in force wants."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Protocol

import structlog

from daemon.core.facts import ProjectId
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.engine.discovery import LISTINGS_MISSED_MAX, Discovery
from daemon.engine.project import Project
from daemon.ports.clock import Clock
from daemon.ports.errors import Misconfigured, PortError
from daemon.ports.hosting import ProjectLister
from daemon.ports.source import Source
from daemon.settings import ProjectSettings, Settings
from daemon.settings.cover import cover
from daemon.settings.model import PROJECTS_MAX
from daemon.sources import SourceSettings
from daemon.sources.exclusions import Exclusions
from daemon.telemetry.metrics import Metrics

_EMPTY = "the team has no projects any more; taken as no answer: look at the scope of the token to read with"
_LISTED_AGAIN_AFTER_SECONDS = 30.0
"""A listing that failed is tried again after so long."""
REMOVED = "removed"
"""Stands in place of a policy's digest where the configuration names the project no more."""

Tell = Callable[[Sequence[Project], Mapping[ProjectId, Sequence[Source]]], None]
"""Tells the poller of a whole set of projects, and of the sources of each."""

_Reading = tuple[SourceSettings, Exclusions]
"""What a source reads, and what it leaves out."""

log = structlog.get_logger()


class Make(Protocol):
    """Makes a project that nobody has watched yet."""

    def __call__(self, *, id: ProjectId, policy: Callable[[], Policy]) -> Project:  # noqa: A002 - a project's own word
        """Return it."""


class Directory(ProjectLister, Protocol):
    """Knows which projects there are, and which one has a name."""

    async def resolve_project(self, name_or_id: str) -> ProjectId:
        """Return the id of the project of that name or id. Raises PortError."""


class Unresolved(Exception):
    """Nobody can say which project one entry of `projects` means. `index` is its own, `error` what came of asking."""

    def __init__(self, index: int, error: PortError) -> None:
        super().__init__(str(error))
        self.index = index
        self.error = error


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One configuration, made ready: policy and sources of each entry by its number, and the projects it names."""

    settings: Settings
    named: Mapping[ProjectId, int]
    policies: tuple[Policy, ...]
    chains: tuple[tuple[Source, ...], ...]

    @property
    def has_patterns(self) -> bool:
        """Whether an entry is about all projects that match."""
        return any(entry.match is not None for entry in self.settings.projects)


class Fleet:
    """The projects that are watched, in step with the configuration and with what the team has.

    A project has one object for the life of the process, however often it comes and goes: it is the only writer of its
    state, and what it has under way ends in it; one that froze stays frozen. One that the configuration names no more
    is let go when no incident of it is open: until then it is watched on, under posture `observe`, so that what was
    begun is seen to its end and nothing new is done. One that the listings lack is not let go before that either.
    """

    def __init__(
        self,
        *,
        make: Make,
        build: Callable[[SourceSettings, Exclusions], Source],
        hosting: Directory,
        tell: Tell,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._make = make
        self._build = build
        self._hosting = hosting
        self._tell = tell
        self._clock = clock
        self._metrics = metrics
        self._wanted = _Wanted(Settings.model_construct(projects=()), {}, (), ())
        self._covered: Mapping[ProjectId, int] = {}
        self._found: Set[ProjectId] = frozenset()
        self._known: dict[ProjectId, Project] = {}
        self._policies: dict[ProjectId, Policy] = {}
        self._chains: dict[ProjectId, tuple[Source, ...]] = {}
        self._built: dict[_Reading, Source] = {}
        self._names: dict[str, ProjectId] = {}
        self._discovery = Discovery()
        self._has_listed = False
        self._trouble = ""
        self._left_out = 0
        self.projects: tuple[Project, ...] = ()
        """Those that are watched now."""

    @property
    def has_patterns(self) -> bool:
        """Whether the team's projects have to be listed."""
        return self._wanted.has_patterns

    @property
    def awaits_listing(self) -> bool:
        """Whether nobody knows yet which projects the patterns match."""
        return self.has_patterns and not self._has_listed

    @property
    def discover_every_seconds(self) -> float:
        """The time between two listings, less after one that failed."""
        every = self._wanted.settings.poll.discover_every.total_seconds()
        return min(every, _LISTED_AGAIN_AFTER_SECONDS) if self._trouble else every

    async def prepare(self, settings: Settings) -> Callable[[], None]:
        """Do all of *settings* that may fail, and return what puts them in force at a stroke.

        A name is resolved once, by asking Vercel. Sources whose settings stay as they were are kept, with what they
        remember, and projects with the same settings, and the same exclusions, share one. Raises Unresolved.
        """
        named = await self._identify(settings)
        wanted = {one for entry in settings.projects for one in _readings(entry)}
        built = {one: self._built.get(one) or self._build(*one) for one in wanted}
        policies = tuple(settings.policy_for(entry) for entry in settings.projects)
        chains = tuple(tuple(built[one] for one in _readings(entry)) for entry in settings.projects)
        return partial(self._adopt, _Wanted(settings, named, policies, chains), built)

    async def discover(self) -> None:
        """List the team's projects and follow what there is; a listing that fails is told and changes nothing."""
        try:
            listing = await self._hosting.list_projects()
        except PortError as error:
            if str(error) != self._trouble:
                log.warning("read.failed", what="projects", error=str(error))
            self._trouble = str(error)
            return
        if not listing and self._discovery.listed:
            # Such as a token whose scope was changed: a team does not lose all its projects at once.
            if self._trouble != _EMPTY:
                log.warning("read.failed", what="projects", error=_EMPTY)
            self._trouble = _EMPTY
            return
        self._trouble, self._has_listed = "", True
        self._metrics.projects_listed.set(self._clock.now().timestamp())
        self._discovery.take_in(listing, keeps=self._has_open_incident)
        self._rearrange()

    def tidy(self) -> None:
        """Let go of those that are only watched on for an incident that is over by now."""
        if any(one.id not in self._covered and not _has_open_incident(one) for one in self.projects):
            self._rearrange()

    async def _identify(self, settings: Settings) -> Mapping[ProjectId, int]:
        named: dict[ProjectId, int] = {}
        for index, entry in enumerate(settings.projects):
            if entry.match is not None:
                continue
            try:
                project = ProjectId(entry.id) if entry.id else await self._find(entry.label)
            except PortError as error:
                raise Unresolved(index, error) from error
            if project in named:
                first = settings.projects[named[project]].label
                message = f"projects {first} and {entry.label} are both {project}; remove one of them"
                raise Unresolved(index, Misconfigured(message))
            named[project] = index
        return named

    async def _find(self, name: str) -> ProjectId:
        if name not in self._names:
            self._names[name] = await self._hosting.resolve_project(name)
        return self._names[name]

    def _adopt(self, wanted: _Wanted, built: dict[_Reading, Source]) -> None:
        self._wanted, self._built = wanted, built
        self._rearrange()

    def _rearrange(self) -> None:
        """Watch what the configuration and the newest listings call for; nothing is awaited on the way."""
        wanted, before = self._wanted, {one.id: one for one in self.projects}
        missing = self._found - self._discovery.listed.keys()
        self._covered = self._bounded(cover(wanted.settings, wanted.named, self._discovery.listed))
        self._found = self._covered.keys() - wanted.named.keys()
        for project, index in self._covered.items():
            self._rule(project, wanted.policies[index])
        leaving = [one for one in self.projects if one.id not in self._covered]
        kept = {one.id: one for one in leaving if _has_open_incident(one)}
        for one in leaving:
            self._retire(one, is_kept=one.id in kept, is_missing=one.id in missing)
        self._metrics.initialise(self._covered.keys() - before.keys())
        self.projects = (*(self._take_in(project, before) for project in self._covered), *kept.values())
        chains = {project: wanted.chains[index] for project, index in self._covered.items()}
        chains |= {project: self._chains[project] for project in kept}
        gone = before.keys() - {one.id for one in self.projects}
        self._metrics.forget(gone)
        self._metrics.projects.set(len(self.projects))
        if before.keys() != chains.keys() or chains != self._chains:
            self._chains = chains
            self._tell(self.projects, chains)

    def _bounded(self, covered: dict[ProjectId, int]) -> Mapping[ProjectId, int]:
        """Return as many as one daemon watches, those first that are named; the log tells when there are more."""
        left_out = max(0, len(covered) - PROJECTS_MAX)
        if left_out != self._left_out:
            log.warning("projects.left_out", count=left_out, summary=f"at most {PROJECTS_MAX} projects are watched")
        self._left_out = left_out
        return dict(islice(covered.items(), PROJECTS_MAX))

    def _rule(self, project: ProjectId, policy: Policy) -> None:
        """Decide *project* by *policy* from now on, and let the log say under which configuration that is."""
        if self._policies.get(project) != policy:
            log.info("policy.loaded", project=project, posture=policy.posture, digest=policy.digest)
        self._policies[project] = policy

    def _has_open_incident(self, project: ProjectId) -> bool:
        return any(_has_open_incident(one) for one in self.projects if one.id == project)

    def _take_in(self, project: ProjectId, before: Mapping[ProjectId, Project]) -> Project:
        known = self._known.get(project)
        if known is None:
            known = self._known[project] = self._make(id=project, policy=lambda: self._policies[project])
        if project not in before:
            if project not in self._wanted.named:
                name = self._discovery.listed[project]
                match = self._wanted.settings.projects[self._covered[project]].match
                log.info("project.discovered", project=project, name=name, match=match)
            self._metrics.frozen.labels(project=project).set(known.is_frozen)
            known.needs_resume = True
        return known

    def _retire(self, project: Project, *, is_kept: bool, is_missing: bool) -> None:
        """Leave *project* nothing but to watch; what it has under way may still ask for its policy."""
        was_kept = self._policies[project.id].digest == REMOVED
        retired = replace(self._policies[project.id], posture=Posture.OBSERVE, digest=REMOVED)
        self._policies[project.id] = retired
        if not is_kept:
            why = (
                f"{LISTINGS_MISSED_MAX} complete listings lacked it"
                if is_missing
                else "the configuration names it no more"
            )
            log.info("project.gone", project=project.id, summary=why)
        elif not was_kept:
            summary = (
                "the configuration names it no more; it is watched until its incident is over, and nothing is done"
            )
            log.warning("project.kept", project=project.id, summary=summary)


def _readings(entry: ProjectSettings) -> list[_Reading]:
    return [(one, entry.exclusions) for one in entry.sources]


def _has_open_incident(project: Project) -> bool:
    """Return whether an incident is live or waits for somebody to take it; so too when that is not known."""
    return project.state is None or bool(project.state.incident or project.state.unacknowledged)
