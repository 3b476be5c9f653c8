"""Reads what the checks of projects judge: each read once, of many projects together where that is possible."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from daemon.core.facts import ProjectId
from daemon.core.state import ProjectState
from daemon.doctor.collecting import Collected, collect
from daemon.doctor.drains import choose_drain
from daemon.doctor.endpoint import try_drain
from daemon.doctor.facts import Examined, NotAsked, TokenSeen, Told, Trial
from daemon.doctor.looking import Ways
from daemon.doctor.tokens import reaches_team
from daemon.engine.codec import decode_state
from daemon.ports.errors import PortError
from daemon.settings import ProjectSettings
from daemon.sources.log_drain import LogDrainSettings
from daemon.vercel.hosting import VercelHosting, read_identity
from daemon.vercel.subscriptions import Drain
from daemon.vercel.wire import ProjectIdentity

NOT_VISIBLE = "the project cannot be seen: see above"


class ProjectGathering:
    """Looks at projects that can be seen, and tells of those that cannot why they were not looked at."""

    def __init__(self, ways: Ways, *, drains: Told[Sequence[Drain]], secrets: Sequence[bytes], act: TokenSeen) -> None:
        self._ways = ways
        self._drains = drains
        self._secrets = secrets
        self._act = act
        self._hosting = VercelHosting(ways.reading)

    async def look(self, projects: Sequence[tuple[ProjectSettings, Told[ProjectIdentity]]]) -> Sequence[Examined]:
        """Return what was found of each of *projects*, in their order."""
        seen = {one.id: settings for settings, one in projects if isinstance(one, ProjectIdentity)}
        drains = {project: self._choose_drain(settings, project) for project, settings in seen.items()}
        readings, trials = await asyncio.gather(collect(self._ways, seen), self._try(drains.values()))
        looked = (self._look_at(settings, identity, drains, readings, trials) for settings, identity in projects)
        return await asyncio.gather(*looked)

    async def _look_at(
        self,
        settings: ProjectSettings,
        identity: Told[ProjectIdentity],
        drains: Mapping[str, Drain | None],
        readings: Collected,
        trials: Mapping[str, Trial | PortError],
    ) -> Examined:
        if not isinstance(identity, ProjectIdentity):
            return self._unseen(settings, identity)
        project, ask = ProjectId(identity.id), self._ways.patience.ask
        drain = drains[project]
        return Examined(
            settings=settings,
            now=self._ways.clock.now(),
            identity=identity,
            production=await ask(self._hosting.read_production(project)),
            candidates=await ask(self._hosting.list_targets(project)),
            acts_on=await self._look_through_act_token(project),
            has_act_token=not self._act.is_shared,
            readings={kind: reading for (one, kind), reading in readings.items() if one == project},
            remembered=await self._remember(project),
            drains=self._drains if reads_drain(settings) else NotAsked("no source of this project is a log_drain"),
            drain=drain,
            drain_trial=self._trial_of(drain, trials),
            secrets=self._secrets,
            verify_code=self._ways.settings.drain.verify_code,
            drain_path=self._ways.settings.drain.path,
        )

    def _unseen(self, settings: ProjectSettings, identity: NotAsked | PortError) -> Examined:
        why = identity if isinstance(identity, NotAsked) else NotAsked(NOT_VISIBLE)
        return Examined(
            settings=settings,
            now=self._ways.clock.now(),
            identity=identity,
            production=why,
            candidates=why,
            acts_on=why,
            has_act_token=not self._act.is_shared,
            readings={one.kind: why for one in settings.sources},
            drains=why,
            drain_trial=why,
        )

    async def _look_through_act_token(self, project: ProjectId) -> Told[ProjectIdentity]:
        if not reaches_team(self._act, self._ways.settings.vercel.team):
            return NotAsked("the token to act is of no use: see above")
        return await self._ways.patience.ask(read_identity(self._ways.acting, project))

    async def _remember(self, project: ProjectId) -> ProjectState | None:
        if self._ways.store is None:
            return None
        stored = await self._ways.patience.ask(self._ways.store.load(project))
        # Without it the target is chosen as a daemon without a memory would.
        return None if stored is None or isinstance(stored, PortError) else decode_state(stored.state)

    def _choose_drain(self, settings: ProjectSettings, project: str) -> Drain | None:
        if not reads_drain(settings) or isinstance(self._drains, NotAsked | PortError):
            return None
        return choose_drain(self._drains, project=project, path=self._ways.settings.drain.path)

    async def _try(self, drains: Iterable[Drain | None]) -> Mapping[str, Trial | PortError]:
        """Try every endpoint once, however many projects share it."""
        urls = {drain.delivery.url: None for drain in drains if drain and drain.delivery.url and self._secrets}
        seconds = self._ways.endpoint_seconds_max
        tried = (self._ways.patience.ask(try_drain(str(url), self._secrets[0], seconds_max=seconds)) for url in urls)
        return dict(zip(map(str, urls), await asyncio.gather(*tried), strict=True))

    def _trial_of(self, drain: Drain | None, trials: Mapping[str, Trial | PortError]) -> Told[Trial]:
        if drain is None or drain.delivery.url is None:
            return NotAsked("there is no drain to try")
        return trials.get(drain.delivery.url, NotAsked("there is no secret to sign with"))


def reads_drain(project: ProjectSettings) -> bool:
    """Return whether *project* counts by a log drain."""
    return any(isinstance(one, LogDrainSettings) for one in project.sources)
