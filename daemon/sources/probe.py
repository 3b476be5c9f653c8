"""Error rates from GETs of our own on the production domains: a witness that needs nothing of Vercel's API."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, Unavailable
from daemon.ports.source import Reading, Readings, Source, Wanted, nothing_recalled
from daemon.sources.http import (
    Connection,
    HeadersFile,
    HttpReader,
    Network,
    ServerUrl,
    check_secrecy,
)
from daemon.sources.visits import Outcome, Visit, count_visits, judge
from daemon.vercel.fields import AbsolutePath

KIND: Final = "probe"
BODY_BYTES_MAX = 65_536
"""What is read of a page: whether it begins well says enough."""
DOMAIN_SECONDS_MAX = 60.0
SAMPLES_KEPT_MAX = 1000
SHORTEST_SAMPLE = timedelta(milliseconds=1)

Domain = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$")]
SitePath = Annotated[str, StringConstraints(pattern=r"^/[!-\"$-~]{0,1000}$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]


class ProbeSettings(BaseModel):
    """Counts from GETs of the daemon's own. Every answer has to name its deployment in a header that the site sets.

    In Next.js: `headers: () => [{source: "/:path*", headers: [{key: "x-deployment-id", value:
    process.env.VERCEL_DEPLOYMENT_ID}]}]`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["probe"] = KIND
    domains: tuple[Domain, ...] = Field(
        min_length=1, max_length=8, description="Production domains of this one project, such as www.example.com."
    )
    paths: tuple[SitePath, ...] = Field(
        min_length=1, max_length=8, description="Paths to GET there, such as /api/health; ones that no cache answers."
    )
    count: int = Field(default=3, ge=1, le=20, description="How many GETs each path gets at each poll.")
    deployment_header: HeaderName = Field(
        default="x-deployment-id", description="Header in which an answer names its deployment by its id."
    )
    identity_path: SitePath | None = Field(
        default=None,
        description="Path of a static file with that header, asked before and after the others, which then may lack it "
        "when they fail.",
    )
    timeout: timedelta = Field(
        default=timedelta(seconds=5),
        ge=timedelta(seconds=1),
        le=timedelta(seconds=30),
        description="Time after which one GET counts as failed.",
    )
    headers_file: AbsolutePath | None = Field(
        default=None,
        description="File of headers to send, one a line, such as `x-vercel-protection-bypass: ...`; read at each use.",
    )
    may_act: bool = Field(
        default=False,
        description="Whether these counts alone may cause a rollback without a person, where nothing else counts.",
    )
    via: ServerUrl | None = Field(
        default=None, description="Server to ask in place of the domains, which gets their names as Host."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.via:
            check_secrecy(self.via, self.headers_file)
        visits = self.count * len(self.paths) + (2 if self.identity_path else 0)
        longest = visits * self.timeout.total_seconds()
        if longest > DOMAIN_SECONDS_MAX:
            raise ValueError(
                f"{visits} GETs a domain with a timeout of {self.timeout.total_seconds():g} s may take {longest:g} s, "
                f"at most {DOMAIN_SECONDS_MAX:g} s; lower count or timeout, or name fewer paths"
            )
        return self

    @property
    def lag(self) -> timedelta:
        """How far the counts lie behind the clock: not at all."""
        return timedelta(0)

    def open(self, clock: Clock, *, network: Network | None = None) -> Source:
        """Return the source that these settings describe; *network* replaces the real one in tests."""
        return Probe(self, clock, network=network)


class Probe:
    """Implements `ports.source.Source` by visiting the site.

    **What fails.** Answers with 5xx, and visits without any answer while others had one. Answers with 2xx are served.
    All others say nothing of the site, redirects included, which are not followed.

    **Whose it is.** A visit belongs to the deployment that its answer names, or that the nearest named answers before
    and after it on the same domain both name. A round with a visit that is nobody's counts nothing: to leave out
    failures that do not say whose they are would make every crash look healthy. It then says what it saw, and no more.

    **A witness.** Its counts are its own visits, few, and from one place on earth; `is_witness` says so to whoever
    decides. Rounds since the watermark are told again, so that other sources can be compared with them. Those count the
    visits among their visitors: on a site that nobody else visits they see nothing but us.
    """

    name = KIND
    is_fleet_wide = False

    def __init__(self, settings: ProbeSettings, clock: Clock, *, network: Network | None = None) -> None:
        self._settings = settings
        self.is_witness = not settings.may_act
        self._clock = clock
        self._headers = HeadersFile(settings.headers_file) if settings.headers_file else None
        self._told: deque[ErrorRateSample] = deque(maxlen=SAMPLES_KEPT_MAX)
        self._reader = HttpReader(
            settings.via or f"https://{settings.domains[0]}",
            timeout_seconds=settings.timeout.total_seconds(),
            body_bytes_max=BODY_BYTES_MAX,
            user_agent="lastgood-probe",
            network=network,
        )

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Readings:
        """Visit the site now, and return this round and those since the watermark; *now* dates nothing.

        The domains are one project's, whichever is wanted.
        """
        if not wanted:
            return {}
        try:
            ended = await self._visit_all()
        except PortError as error:
            return {one.project: error for one in wanted}
        told = sorted(self._told, key=lambda sample: (sample.start, sample.deployment))
        readings: dict[ProjectId, Reading | PortError] = {}
        for one in wanted:
            samples = tuple(sample for sample in told if sample.start >= one.since)
            readings[one.project] = Reading(KIND, samples, ended, lag=timedelta(0))
        return readings

    async def recall(self, projects: Sequence[ProjectId], *, since: datetime, now: datetime) -> Readings:
        """Return nothing: nobody has asked then."""
        return nothing_recalled(KIND, projects)

    async def _visit_all(self) -> datetime:
        """Remember one sample of each deployment that was met, and return when the round was over."""
        headers = {"accept": "*/*"} | (self._headers.read() if self._headers else {})
        began, started = self._clock.now(), self._clock.monotonic()
        async with self._reader.connect() as connection:
            visiting = (self._visit(connection, domain, headers) for domain in self._settings.domains)
            rounds = await asyncio.gather(*visiting)
        # The wall clock may step meanwhile.
        ended = began + max(timedelta(seconds=self._clock.monotonic() - started), SHORTEST_SAMPLE)
        header = self._settings.deployment_header
        self._told += count_visits(rounds, began=began, ended=ended, deployment_header=header)
        return ended

    async def _visit(self, connection: Connection, domain: str, headers: Mapping[str, str]) -> Sequence[Visit]:
        """Visit the paths of one domain one after another, between two looks at who serves."""
        settings = self._settings
        origin = settings.via or f"https://{domain}"
        looks = [(settings.identity_path, False)] if settings.identity_path else []
        visits: list[Visit] = []
        for path, is_counted in (*looks, *((path, True) for path in settings.paths * settings.count), *looks):
            what = f"GET {domain}{path}"
            try:
                answer = await connection.ask("GET", origin + path, what=what, headers={**headers, "host": domain})
            except Unavailable as error:
                visits.append(Visit(Outcome.UNREACHED, str(error), is_counted=is_counted))
            else:
                header = settings.deployment_header
                visits.append(judge(answer, what=what, deployment_header=header, is_counted=is_counted))
        return visits
