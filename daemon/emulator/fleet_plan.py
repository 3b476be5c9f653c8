"""What a project of a fleet was and will be: a pure function of the fleet's seed and the project's number."""

import bisect
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar, cast

from daemon.emulator import fleet_words as words
from daemon.emulator.durations import DAY_MS, MINUTE_MS
from daemon.emulator.fleet_specs import ErrorShape, FleetSpec
from daemon.emulator.project_specs import FailureSpec
from daemon.emulator.scenario import Plan
from daemon.emulator.shapes import TrafficShape

T = TypeVar("T")
WEEK_MS = 7 * DAY_MS
API_ROUTES = ("/api/search", "/api/cart", "/api/checkout")


@dataclass(frozen=True, slots=True)
class Traits:
    """What is true of a project all along."""

    number: int
    name: str
    framework: str
    shape: TrafficShape
    requests_per_second: float
    deployments_per_week: float
    authors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """How something fails: ``ratio`` (0..1) at its worst, on one ``route`` or on all (None)."""

    shape: ErrorShape
    ratio: float
    status: int
    route: str | None
    message: str
    failures: tuple[FailureSpec, ...]


@dataclass(frozen=True, slots=True)
class PlannedBuild:
    """A build. Times are milliseconds from the start of the emulator, negative before it.

    ``rolled_back_at_ms``: when a human went back to what served before; None means never.
    """

    name: str
    at_ms: int
    build_ms: int
    ends: str
    is_production: bool
    author: str
    message: str
    branch: str
    trouble: Trouble | None = None
    rolled_back_at_ms: int | None = None
    warnings: tuple[str, ...] = ()
    missing_env: tuple[str, ...] = ()
    build_error: str | None = None

    @property
    def is_good(self) -> bool:
        """Tell whether the build can serve production and fails nobody."""
        return self.is_production and self.ends == "READY" and self.trouble is None

    @property
    def ready_ms(self) -> int:
        """Return when the build is over."""
        return self.at_ms + self.build_ms


@dataclass(frozen=True, slots=True)
class PlannedOutage:
    """A time in which every deployment fails alike."""

    from_ms: int
    until_ms: int
    trouble: Trouble


def plan_of_team(spec: FleetSpec, team: int) -> Plan:
    """Return the plan of the team with the number *team*."""
    return Plan(_drawn(random.Random(f"{spec.seed}:team:{team}"), cast("Mapping[str, float]", spec.plans)))


def traits_of(spec: FleetSpec, number: int) -> Traits:
    """Return what is true of the project with the *number* all along."""
    rng = random.Random(f"{spec.seed}:{number}")
    shape = cast("TrafficShape", _drawn(rng, cast("Mapping[str, float]", spec.traffic)))
    rate = min(spec.requests_per_second.most, spec.requests_per_second.median * math.exp(rng.gauss(0, 1)))
    return Traits(
        number=number,
        name=name_of(spec, number),
        framework=rng.choice(words.FRAMEWORKS),
        shape=shape,
        requests_per_second=round(1 / 60 if shape == "minutely" else rate, 4),
        deployments_per_week=spec.deployments_per_week * math.exp(rng.gauss(0, 0.7)),
        authors=tuple(rng.sample(words.AUTHORS, rng.randint(1, 5))),
    )


def name_of(spec: FleetSpec, number: int) -> str:
    """Return the project's name, which no other project of the fleet has."""
    thing, kind = words.THINGS[number % len(words.THINGS)], words.KINDS[number * 7 // 3 % len(words.KINDS)]
    return f"{thing}-{kind}-{number + 1:0{len(str(spec.teams * spec.projects))}d}"


def past_of(spec: FleetSpec, traits: Traits) -> list[PlannedBuild]:
    """Return the builds from before the start, oldest first; the last good one is not yet known to be bad."""
    rng = random.Random(f"{spec.seed}:{traits.number}:past")
    ages: list[float] = []
    age = 0.0
    while len(ages) < spec.deployments_most:
        age += max(10 * MINUTE_MS, rng.expovariate(traits.deployments_per_week / WEEK_MS))
        if age > spec.history_ms and ages:
            break
        ages.append(age)
    builds = [
        _build(spec, traits, rng, at_ms=-round(item), number=index + 1, is_bad_allowed=0 < index < len(ages) - 1)
        for index, item in enumerate(reversed(ages))
    ]
    return list(_rolled_back_where_needed(builds, rng))


def future_of(spec: FleetSpec, traits: Traits) -> Iterator[PlannedBuild]:
    """Yield the builds after the start, up to the fleet's horizon. Nobody repairs what they break."""
    rng = random.Random(f"{spec.seed}:{traits.number}:future")
    at_ms = 0.0
    for number in itertools.count(1):
        at_ms += max(10 * MINUTE_MS, rng.expovariate(traits.deployments_per_week / WEEK_MS))
        if at_ms > spec.horizon_ms:
            return
        yield _build(spec, traits, rng, at_ms=round(at_ms), number=number, is_bad_allowed=True, prefix="n")


def outages_of(spec: FleetSpec, traits: Traits) -> list[PlannedOutage]:
    """Return the outages between the beginning of the history and the horizon, in order."""
    rng = random.Random(f"{spec.seed}:{traits.number}:outages")
    if not spec.outages_per_month:
        return []
    outages = []
    at_ms = -float(spec.history_ms)
    while (at_ms := at_ms + rng.expovariate(spec.outages_per_month / (30 * DAY_MS))) < spec.horizon_ms:
        trouble = _outage_trouble(rng)
        outages.append(PlannedOutage(round(at_ms), round(at_ms) + rng.randrange(5, 60) * MINUTE_MS, trouble))
    return outages


def _build(
    spec: FleetSpec,
    traits: Traits,
    rng: random.Random,
    *,
    at_ms: int,
    number: int,
    is_bad_allowed: bool,
    prefix: str = "b",
) -> PlannedBuild:
    chance, kind = rng.random(), rng.random()
    is_production = kind >= 0.15
    ends = "ERROR" if chance < 0.04 else "CANCELED" if chance < 0.05 else "READY"
    is_bad = is_bad_allowed and is_production and ends == "READY" and rng.random() < spec.incident_ratio
    area = rng.choice(words.AREAS)
    lacks = is_bad and rng.random() < 0.3
    return PlannedBuild(
        name=f"{prefix}{number}",
        at_ms=at_ms,
        build_ms=rng.randrange(25, 240) * 1000,
        ends=ends,
        is_production=is_production,
        author=rng.choice(traits.authors),
        message=f"{area}: {rng.choice(words.CHANGES)}",
        branch="main" if is_production else f"feature/{area}-{rng.randrange(100)}",
        trouble=trouble_of(spec, rng) if is_bad else None,
        warnings=tuple(rng.sample(words.BUILD_WARNINGS, rng.choice((0, 0, 1, 2)))),
        missing_env=(rng.choice(words.VARIABLES),) if lacks else (),
        build_error=rng.choice(words.BUILD_ERRORS) if ends == "ERROR" else None,
    )


def _rolled_back_where_needed(builds: list[PlannedBuild], rng: random.Random) -> Iterator[PlannedBuild]:
    """Let humans go back from most of the bad builds, some minutes after they went live, where there is a good one."""
    has_good = False
    for index, build in enumerate(builds):
        has_good = has_good or build.is_good
        if build.trouble is None or not has_good:
            yield build
            continue
        latest_ms = builds[index + 1].at_ms - MINUTE_MS if index + 1 < len(builds) else -MINUTE_MS
        found_ms = build.ready_ms + rng.randrange(4, 45) * MINUTE_MS
        if rng.random() < 0.6 and found_ms < latest_ms:
            yield replace(build, rolled_back_at_ms=found_ms)
        else:
            yield build


def trouble_of(spec: FleetSpec, rng: random.Random) -> Trouble:
    """Draw how a bad build fails."""
    shape = ErrorShape(_drawn(rng, cast("Mapping[str, float]", spec.errors)))
    ratio = round(min(0.9, 0.03 + rng.expovariate(5)), 3)
    message, status, route = rng.choice(words.BUG_MESSAGES), rng.choice((500, 500, 500, 502)), None
    if shape is ErrorShape.PARTIAL_ROUTE:
        route, ratio = rng.choice(API_ROUTES), max(ratio, 0.3)
    if shape is ErrorShape.NEW_KIND:
        message, ratio = rng.choice(words.NEW_KIND_MESSAGES), 0.02
    if shape is ErrorShape.COLD_START:
        message, status, ratio = rng.choice(words.COLD_START_MESSAGES), 504, max(ratio, 0.2)
    whole = Trouble(shape, ratio, status, route, message, ())
    return replace(whole, failures=tuple(_failures(whole, rng)))


def _failures(trouble: Trouble, rng: random.Random) -> Iterator[FailureSpec]:
    """Yield the ways to fail that make up the shape of *trouble*; their times count from the first activation."""
    shape, ratio = trouble.shape, trouble.ratio

    def failing(share: float, *, after_ms: int = 0, lasts_ms: int | None = None) -> FailureSpec:
        return FailureSpec.model_construct(
            ratio=share,
            status=trouble.status,
            route=trouble.route,
            message=trouble.message,
            error_code="FUNCTION_INVOCATION_TIMEOUT" if trouble.status == 504 else "",
            after_ms=after_ms,
            lasts_ms=lasts_ms,
        )

    match shape:
        case ErrorShape.RAMP:
            step_ms = rng.randrange(1, 5) * MINUTE_MS
            for step in range(1, 10):
                yield failing(ratio * step / 10, after_ms=(step - 1) * step_ms, lasts_ms=step_ms)
            yield failing(ratio, after_ms=9 * step_ms)
        case ErrorShape.COLD_START:
            yield failing(ratio, lasts_ms=rng.randrange(60, 300) * 1000)
        case ErrorShape.FLAPPING:
            period_ms = rng.randrange(3, 12) * MINUTE_MS
            for turn in range(24):
                yield failing(ratio, after_ms=turn * period_ms, lasts_ms=period_ms // 2)
        case _:
            yield failing(ratio)


def _outage_trouble(rng: random.Random) -> Trouble:
    ratio, message = round(rng.uniform(0.1, 0.8), 3), rng.choice(words.UPSTREAM_MESSAGES)
    route = rng.choice((None, None, *API_ROUTES))
    failure = FailureSpec.model_construct(
        ratio=ratio, status=504, route=route, message=message, error_code="", after_ms=0, lasts_ms=None
    )
    return Trouble(ErrorShape.UPSTREAM_OUTAGE, ratio, 504, route, message, (failure,))


def _drawn(rng: random.Random, weights: Mapping[str, float]) -> str:
    names, sums = _cumulated(tuple(weights.items()))
    return names[min(bisect.bisect_right(sums, rng.random() * sums[-1]), len(names) - 1)]


@lru_cache(maxsize=64)
def _cumulated(weights: tuple[tuple[str, float], ...]) -> tuple[Sequence[str], Sequence[float]]:
    return [name for name, _ in weights], list(itertools.accumulate(weight for _, weight in weights))
