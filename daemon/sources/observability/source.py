"""The source `observability`: its settings, and what it promises."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.facts import ProjectId
from daemon.ports.errors import PortError
from daemon.ports.source import Reading, Readings, Source, Wanted
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.observability.asking import Asker, DialectChoice
from daemon.sources.observability.minutes import HOUR, floor_hour
from daemon.sources.observability.past import Past
from daemon.sources.observability.team import KIND, Reach, Resolution, Team
from daemon.vercel.owner import OwnerLookup
from daemon.vercel.transport import VercelTransport


class ObservabilitySettings(BaseModel):
    """Counts from Vercel's observability query, which needs Observability Plus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["observability"] = KIND
    dialect: DialectChoice = Field(
        default=DialectChoice.AUTO,
        description="Which of Vercel's two routes is asked: `v2`, the newer `metrics_v1`, or, with `auto`, v2 where "
        "it is there.",
    )
    resolution: Resolution = Field(
        default=Resolution.AUTO,
        description="Whether minutes are read once they are `closed`, or `fine`, while they grow; `auto` reads closed "
        "ones, and growing ones of a project whose production was just moved.",
    )
    lag: timedelta = Field(
        default=timedelta(seconds=60),
        ge=timedelta(0),
        le=timedelta(minutes=10),
        description="How long a minute stays unread after its end, so that late counts can arrive; longer while the "
        "lag is measured to be.",
    )
    late_max: timedelta = Field(
        default=timedelta(minutes=3),
        ge=timedelta(0),
        le=timedelta(minutes=15),
        description="How far behind the newest counts minutes are read again, for counts that come even later.",
    )
    lookback_max: timedelta = Field(
        default=timedelta(minutes=60),
        ge=timedelta(minutes=1),
        le=timedelta(minutes=60),
        description="How far back one collection reaches after a pause; older minutes are never read.",
    )

    def open(self, transport: VercelTransport, exclusions: Exclusions = NOTHING_EXCLUDED) -> Source:
        """Return the source that these settings describe."""
        return Observability(self, transport, exclusions)


class Observability:
    """Implements `ports.source.Source` on Vercel's counts, `POST /v2/observability/query` or `POST /metrics/v1`.

    One instance serves every project that shares its settings and transport. It gives one sample for every deployment
    and stretch of a minute with new requests; a zero is never a sample, for the server fills gaps with zeros. Requests
    without a status, those that no deployment answered, and those that the firewall denied are not counted. 499 is no
    error, only 500 to 599 are; those whose `error_code` begins with `INTERNAL_` are the platform's own.

    What is read twice is given once (`ledger`), what comes late is given as an increment of its own minute, and the
    watermark is the team's (`team`). Without Observability Plus every project's entry is Refused with status 402.
    """

    name = KIND
    is_fleet_wide = True
    is_witness = False

    def __init__(
        self, settings: ObservabilitySettings, transport: VercelTransport, exclusions: Exclusions = NOTHING_EXCLUDED
    ) -> None:
        self._reach = Reach(settings.resolution, settings.lag, settings.late_max, settings.lookback_max)
        self._exclusions = exclusions
        self._asker = Asker(transport, settings.dialect)
        self._owners = OwnerLookup(transport)
        # Bounded by the owners of configured projects, which is one team, or a few persons.
        self._teams: dict[str, Team] = {}
        self._pasts: dict[str, Past] = {}

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Readings:
        """Return the counts of the minutes that are complete, of every project wanted; raises nothing.

        Where no minute is complete yet nothing is asked, and the watermark stays at `since`. An entry is Unavailable,
        RateLimited, Refused, or Unintelligible for an answer that is truncated, shifted, or contradicts itself.
        """
        by_owner, entries = await self._by_owner([one.project for one in wanted])
        for owner, projects in by_owner.items():
            team = self._teams.setdefault(owner, Team(owner, self._asker, self._reach, self._exclusions))
            theirs = set(projects)
            entries |= await team.collect([one for one in wanted if one.project in theirs], now=now)
        return entries

    async def recall(self, projects: Sequence[ProjectId], *, since: datetime, now: datetime) -> Readings:
        """Return the whole hours from *since* on, up to where a first collection begins; raises nothing."""
        by_owner, entries = await self._by_owner(projects)
        end = floor_hour(now - self._reach.lookback_max)
        start = min(floor_hour(since), end - HOUR)
        for owner, theirs in by_owner.items():
            past = self._pasts.setdefault(owner, Past(owner, self._asker, self._exclusions, source=KIND))
            entries |= await past.read(theirs, start=start, end=end, now=now)
        return entries

    async def _by_owner(
        self, projects: Sequence[ProjectId]
    ) -> tuple[dict[str, list[ProjectId]], dict[ProjectId, Reading | PortError]]:
        """Return the projects of each owner, and the entries of those whose owner nobody can tell."""
        by_owner: dict[str, list[ProjectId]] = {}
        entries: dict[ProjectId, Reading | PortError] = {}
        for project in projects:
            try:
                by_owner.setdefault(await self._owners.find(project), []).append(project)
            except PortError as error:
                entries[project] = error
        return by_owner, entries
