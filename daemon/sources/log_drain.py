"""Error rates from Vercel's log drains: exact counts in ten seconds, as the receiver handed them over."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.facts import DeploymentId, ErrorRateSample, ProjectId, RouteCounts
from daemon.core.signal import SignalReason
from daemon.ports.buckets import BUCKET, BucketCount, Buckets, Gap, GapReason, Heard, RouteCount, Standing
from daemon.ports.errors import PortError, StoreUnavailable, Unavailable, Unintelligible
from daemon.ports.source import Reading, Readings, Source, Wanted, nothing_recalled
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.routes import ByRoute, RouteTally, busiest_routes, counts_by_route, route_name

KIND: Final = "log_drain"
ALIVE_WITHIN = timedelta(seconds=60)
"""A receiver without a sign of life for longer is not running; it gives one every few seconds."""
ERROR_CLASS: Final = 5

_REASONS: Final = {
    GapReason.OVERFLOW: SignalReason.OVERFLOWING,
    GapReason.UNREADABLE: SignalReason.SCHEMA_DRIFT,
    GapReason.RESTART: SignalReason.NOT_POLLED,
}
_MISSED: Final = {
    GapReason.OVERFLOW: "more came than the receiver could take",
    GapReason.UNREADABLE: "signed entries were not of the promised form",
    GapReason.RESTART: "no receiver listened",
}


class LogDrainSettings(BaseModel):
    """Counts from Vercel's log drains, every ten seconds, on the plans Pro and Enterprise; needs the receiver, `drain`.

    The drain must hold the project's production traffic from every source (lambda, edge, static, external, redirect).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["log_drain"] = KIND
    lag: timedelta = Field(
        default=timedelta(seconds=20),
        ge=timedelta(seconds=5),
        le=timedelta(minutes=10),
        description="How much longer than the fastest delivery an entry may take before ten seconds count as complete.",
    )
    lookback_max: timedelta = Field(
        default=timedelta(minutes=30),
        ge=timedelta(minutes=1),
        le=timedelta(minutes=60),
        description="How far back one collection reaches after a pause; older counts are never read.",
    )
    silence_max: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(minutes=1),
        le=timedelta(hours=24),
        description="How long nothing at all may come from the project's drain before it counts as broken.",
    )
    sampling_rate: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the requests that the drain's sampling rules let through; counts stay as they came.",
    )

    def open(self, buckets: Buckets, exclusions: Exclusions = NOTHING_EXCLUDED) -> Source:
        """Return the source that these settings describe."""
        return LogDrain(self, buckets, exclusions)


class LogDrain:
    """Implements `ports.source.Source` on the buckets that a receiver fills.

    Nothing is asked of Vercel, and nobody can tell a silence of the visitors from one of the drain. So counts are
    complete up to the newest entry that was heard on the project's drain, of whichever project, and never further than
    `lag` behind the fastest delivery lately: that is measured, so that a clock of ours ahead of Vercel's loses nothing.
    A bucket without requests gives no sample. Without any sign of life of the receiver, or of the drain for
    `silence_max`, every collection is Unavailable.

    Buckets that something was missed in are left out, and the reading's `covered` says how many. Where no other is left
    it is Unintelligible: OVERFLOWING where more came than could be taken, SCHEMA_DRIFT where it could not be read,
    NOT_POLLED where nobody listened. A drain does not tell the platform's own errors from the app's.

    Routes that are excluded are left out, as far as the receiver knows them: of those beyond its `routes_max`, which
    share one count, none is. Counts have no statuses, but classes of them.
    """

    name = KIND
    is_fleet_wide = True
    is_witness = False

    def __init__(self, settings: LogDrainSettings, buckets: Buckets, exclusions: Exclusions = NOTHING_EXCLUDED) -> None:
        self._settings = settings
        self._buckets = buckets
        self._exclusions = exclusions

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Readings:
        """Return the counts of whole buckets from each project's `since` on, as far as they are surely complete."""
        if not wanted:
            return {}
        try:
            return await self._collect(wanted, now)
        except StoreUnavailable as error:
            return {one.project: error for one in wanted}

    async def recall(self, projects: Sequence[ProjectId], *, since: datetime, now: datetime) -> Readings:
        """Return nothing: what was pushed is kept for minutes, and was learned from when it came."""
        return nothing_recalled(KIND, projects)

    async def _collect(self, wanted: Sequence[Wanted], now: datetime) -> Readings:
        standing = await self._buckets.standing()
        if standing is None or now - standing.alive > ALIVE_WITHIN:
            trouble = _no_receiver(standing, now)
            return {one.project: trouble for one in wanted}
        by_project = _heard_by_project(standing.heard)
        answers: dict[ProjectId, Reading | PortError] = {}
        windows: dict[ProjectId, _Window] = {}
        for one in wanted:
            found = self._window(one, by_project.get(one.project, ()), standing, now)
            if isinstance(found, _Window):
                windows[one.project] = found
            else:
                answers[one.project] = found
        if windows:
            counts = await self._counts(windows, {one.project for one in wanted if one.wants_routes})
            for project, window in windows.items():
                answers[project] = self._reading(window, counts.get(project, ()))
        return answers

    async def _counts(
        self, windows: Mapping[ProjectId, "_Window"], wants_routes: Set[ProjectId]
    ) -> Mapping[ProjectId, Sequence["_Bucket"]]:
        """Return what is counted of each project: all in one read, but for those with routes to tell apart."""
        one_by_one = {one: window for one, window in windows.items() if self._exclusions.routes or one in wants_routes}
        found: dict[ProjectId, Sequence[_Bucket]] = {}
        if len(one_by_one) < len(windows):
            start, end = min(one.start for one in windows.values()), max(one.end for one in windows.values())
            found.update(_by_project(await self._buckets.totals(start=start, end=end)))
        for project, window in one_by_one.items():
            counts = await self._buckets.routes(project, start=window.start, end=window.end)
            found[project] = self._add_up(counts, wants_routes=project in wants_routes)
        return found

    def _add_up(self, counts: Iterable[RouteCount], *, wants_routes: bool) -> Sequence["_Bucket"]:
        """Return the counts by bucket and deployment, without the routes that are excluded, in order of time."""
        found: dict[tuple[datetime, DeploymentId], dict[str, RouteTally]] = defaultdict(dict)
        for one in counts:
            if not self._exclusions.leave_out(one.route):
                tally = RouteTally(one.requests, one.requests if one.status_class == ERROR_CLASS else 0)
                routes, name = found[one.start, one.deployment], route_name(one.route)
                routes[name] = routes.get(name, RouteTally()).plus(tally)
        names = _busiest(found) if wants_routes else {}
        return [_bucket(start, name, found[start, name], names.get(name)) for start, name in sorted(found)]

    def _window(
        self, wanted: Wanted, heard: Sequence[Heard], standing: Standing, now: datetime
    ) -> "_Window | Reading | PortError":
        """Return the time that can be spoken for; a reading without samples where there is none yet."""
        latest = max(heard, key=lambda one: one.at, default=None)
        gaps = [gap for gap in standing.gaps if gap.project in (None, wanted.project)]
        silence = now - (latest.at if latest else standing.began)
        if silence > self._settings.silence_max:
            # A drain whose every batch has to be turned away is no silent one.
            turned_away = [gap for gap in gaps if gap.reason is not GapReason.RESTART]
            recent = [gap for gap in turned_away if now - gap.end <= self._settings.silence_max]
            return _missed(wanted.project, recent) if recent else _silent(wanted.project, latest, silence)
        if latest is None:
            return Reading(KIND, (), wanted.since)
        newest = max(one.newest for one in heard)
        end = _floor(min(newest, now - latest.delay - self._settings.lag))
        start = max(_ceil(wanted.since), _ceil(end - self._settings.lookback_max), _ceil(standing.began))
        if start >= end:
            return Reading(KIND, (), wanted.since, lag=latest.delay)
        missed = [gap for gap in gaps if gap.start - latest.delay - self._settings.lag < end and gap.end >= start]
        window = _Window(start, end, latest.delay, _sound(start, end, missed, latest.delay + self._settings.lag))
        if window.sound:
            return window
        return _missed(wanted.project, missed)

    def _reading(self, window: "_Window", counts: Iterable["_Bucket"]) -> Reading:
        samples = tuple(
            ErrorRateSample(
                one.deployment,
                one.start,
                one.start + BUCKET,
                one.requests,
                one.errors,
                is_sampled=self._settings.sampling_rate < 1,
                routes=one.routes,
            )
            for one in counts
            if one.start in window.sound and one.requests > 0
        )
        # What was missed at the end may be over by the next collection, which begins there.
        until = max(window.sound) + BUCKET
        covered = len(window.sound) / ((until - window.start) / BUCKET)
        return Reading(KIND, samples, until, lag=window.delay, covered=covered)


@dataclass(frozen=True, slots=True)
class _Window:
    """The time of one project that can be spoken for. `sound` are the starts of buckets in which nothing was missed."""

    start: datetime
    end: datetime
    delay: timedelta
    sound: frozenset[datetime]


@dataclass(frozen=True, slots=True)
class _Bucket:
    """What one deployment answered in the bucket at `start`; `routes` are empty where nobody asked for them."""

    deployment: DeploymentId
    start: datetime
    requests: int
    errors: int
    routes: tuple[RouteCounts, ...] = ()


def _busiest(found: Mapping[tuple[datetime, DeploymentId], ByRoute]) -> Mapping[DeploymentId, Sequence[str]]:
    """Return the routes of each deployment that are told apart, the same in all of its buckets."""
    by_deployment: dict[DeploymentId, list[ByRoute]] = defaultdict(list)
    for (_, deployment), routes in found.items():
        by_deployment[deployment].append(routes)
    return {deployment: busiest_routes(routes) for deployment, routes in by_deployment.items()}


def _bucket(start: datetime, deployment: DeploymentId, routes: ByRoute, names: Sequence[str] | None) -> _Bucket:
    total = RouteTally()
    for one in routes.values():
        total = total.plus(one)
    told = () if names is None else counts_by_route(routes, names)
    return _Bucket(deployment, start, total.requests, total.errors, told)


def _heard_by_project(heard: Sequence[Heard]) -> Mapping[ProjectId, Sequence[Heard]]:
    """Return, for each project that was ever heard of, what was heard last on its drains, of whichever project."""
    streams = {one.stream: one for one in heard if one.project is None}
    found: dict[ProjectId, list[Heard]] = defaultdict(list)
    for one in heard:
        if one.project is not None:
            found[one.project].append(streams.get(one.stream, one))
    return found


def _by_project(counts: Iterable[BucketCount]) -> Mapping[ProjectId, Sequence[_Bucket]]:
    found: dict[ProjectId, list[_Bucket]] = defaultdict(list)
    for one in counts:
        found[one.project].append(_Bucket(one.deployment, one.start, one.requests, one.errors))
    return found


def _sound(start: datetime, end: datetime, gaps: Iterable[Gap], late: timedelta) -> frozenset[datetime]:
    """Return the starts of buckets in [start, end) of which nothing that came up to *late* later was missed."""
    buckets = [start + index * BUCKET for index in range((end - start) // BUCKET)]
    stretches = [(gap.start - late, gap.end) for gap in gaps]
    return frozenset(
        bucket for bucket in buckets if not any(one < bucket + BUCKET and bucket <= two for one, two in stretches)
    )


def _no_receiver(standing: Standing | None, now: datetime) -> Unavailable:
    if standing is None:
        return Unavailable("no receiver of log drains ever ran on this store; set drain.secret_files, or start one")
    age = (now - standing.alive).total_seconds()
    return Unavailable(f"the receiver of log drains gave no sign of life for {age:.0f} s; start it again")


def _silent(project: ProjectId, latest: Heard | None, silence: timedelta) -> Unavailable:
    seconds = silence.total_seconds()
    if latest is None:
        return Unavailable(f"nothing of {project} was ever delivered, for {seconds:.0f} s; add it to a drain")
    return Unavailable(f"drain {latest.stream} delivered nothing for {seconds:.0f} s; look at its status at Vercel")


def _missed(project: ProjectId, gaps: Sequence[Gap]) -> Unintelligible:
    newest = max(gaps, key=lambda gap: gap.end)
    sentence = f"counts of {project} miss some: {_MISSED[newest.reason]} until {newest.end:%H:%M:%S} UTC"
    return Unintelligible(sentence, reason=_REASONS[newest.reason])


def _floor(moment: datetime) -> datetime:
    """Return the beginning of the bucket of *moment*, in UTC."""
    utc = moment.astimezone(UTC)
    return utc - timedelta(seconds=utc.second % BUCKET.seconds, microseconds=utc.microsecond)


def _ceil(moment: datetime) -> datetime:
    """Return the first beginning of a bucket that is not before *moment*, in UTC."""
    floor = _floor(moment)
    return floor if floor == moment else floor + BUCKET
