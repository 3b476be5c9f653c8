"""What a drain, or somebody else, may send that is wrong: never a zero that was not counted, and it heals."""

import gzip
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError
from daemon.ports.source import Reading, Wanted
from daemon.sources.log_drain import LogDrainSettings
from daemon.web.drain.tally import milliseconds_of
from tests.builders import START
from tests.fakes.clock import VirtualClock
from tests.unit.web.drain.receiving import SHOP, Reception, an_entry, lines, requests, signature

PER_SECOND = 2
BIG = 300_000


class Site:
    """A shop with two requests a second of which one in ten fails, its drain, and the source that is judged."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.reception = Reception(clock, body_bytes_max=BIG, inflated_bytes_max=BIG)
        self.source = LogDrainSettings().open(self.reception.buckets)
        self.served = 0
        self.skew = timedelta(0)
        """How far Vercel's clock is ahead of ours."""

    async def live(self, seconds: int, *, send: Callable[["Site", list[dict[str, Any]]], Any] | None = None) -> None:
        """Let seconds pass, the entries of each arriving at its end, by *send* or as they should."""
        for _ in range(seconds):
            at_ms = milliseconds_of(self.clock.now() + self.skew)
            await self.clock.advance(1)
            batch = self.batch(at_ms)
            await (send(self, batch) if send else self.reception.deliver(batch))
            await self.reception.hand_over()

    def batch(self, at_ms: int) -> list[dict[str, Any]]:
        self.served += PER_SECOND
        numbers = range(self.served - PER_SECOND, self.served)
        return [an_entry(f"iad1::{one}", at_ms=at_ms, status=500 if one % 10 == 9 else 200) for one in numbers]

    async def read(self, since: datetime) -> Reading | PortError:
        return (await self.source.collect([Wanted(SHOP, since)], now=self.clock.now()))[SHOP]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site(VirtualClock())
    async with site.reception.client:
        await site.reception.begin_once()
        await site.live(60)
        yield site


def sums(reading: Reading | PortError) -> tuple[int, int]:
    assert isinstance(reading, Reading), reading
    return sum(one.requests or 0 for one in reading.samples), sum(one.errors for one in reading.samples)


def expected(reading: Reading | PortError, since: datetime) -> tuple[int, int]:
    """What the visitors got from *since* to the watermark."""
    assert isinstance(reading, Reading), reading
    seconds = round((reading.complete_until - since).total_seconds())
    return seconds * PER_SECOND, seconds * PER_SECOND // 10


# What somebody else sends changes nothing


@dataclass(frozen=True)
class Forged:
    """A body that no drain signed."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


FORGED = {
    "no signature": Forged(lines(requests(100, first=900, status=500)), {"x_vercel_signature": ""}),
    "another's signature": Forged(lines(requests(100, first=900)), {"x_vercel_signature": signature(b"", b"mine")}),
    "a bomb": Forged(gzip.compress(b"\0" * 10_000_000), {"x_vercel_signature": "0" * 40, "content_encoding": "gzip"}),
    "too large": Forged(b" " * (BIG + 1), {"x_vercel_signature": "0" * 40}),
    "an unknown encoding": Forged(b"x", {"x_vercel_signature": "0" * 40, "content_encoding": "br"}),
    "html": Forged(b"<html>", {"x_vercel_signature": "0" * 40}),
}


@pytest.mark.parametrize("case", FORGED)
async def test_what_no_drain_signed_changes_nothing(site: Site, case: str) -> None:
    since = site.clock.now()

    async def send(site: Site, batch: list[dict[str, Any]]) -> None:
        answer = await site.reception.post(FORGED[case].body, **FORGED[case].headers)
        assert 400 <= answer.status_code < 500
        await site.reception.deliver(batch)

    await site.live(60, send=send)
    reading = await site.read(since)
    assert sums(reading) == expected(reading, since)
    assert isinstance(reading, Reading)
    assert reading.covered == 1.0


# What a drain sends twice, in another form or with another clock, counts once and rightly


async def _twice(site: Site, batch: list[dict[str, Any]]) -> None:
    assert await site.reception.deliver(batch) == 200
    assert await site.reception.deliver(batch) == 200


async def _in_two_forms(site: Site, batch: list[dict[str, Any]]) -> None:
    await site.reception.post(json.dumps(batch).encode())
    await site.reception.post(",\n".join(json.dumps(one, indent=1) for one in batch).encode())


async def _out_of_order(site: Site, batch: list[dict[str, Any]]) -> None:
    await site.reception.deliver(list(reversed(batch)))


async def _among_noise(site: Site, batch: list[dict[str, Any]]) -> None:
    at_ms = batch[0]["timestamp"]
    noise = [
        an_entry(f"p{at_ms}", at_ms=at_ms, environment="preview", status=500),
        an_entry(f"b{at_ms}", at_ms=at_ms, status=500, proxy={"statusCode": -1}),
        an_entry(f"f{at_ms}", at_ms=at_ms, status=403, source="firewall"),
        an_entry(None, at_ms=at_ms, source="build") | {"proxy": None},
        an_entry(f"n{at_ms}", at_ms=-5, status=500),
        an_entry(f"a{at_ms}", at_ms=at_ms + 86_400_000, status=500),
        an_entry(f"x{at_ms}", at_ms=10**25, status=500),
    ]
    await site.reception.deliver(noise[:3] + batch + noise[3:])


async def _empty_between(site: Site, batch: list[dict[str, Any]]) -> None:
    await site.reception.post(b"[]")
    await site.reception.deliver(batch)
    await site.reception.post(b"")


@pytest.mark.parametrize("send", [_twice, _in_two_forms, _out_of_order, _among_noise, _empty_between])
async def test_what_can_be_understood_counts_as_it_was(site: Site, send: Any) -> None:
    since = site.clock.now()
    await site.live(60, send=send)
    reading = await site.read(since)
    assert sums(reading) == expected(reading, since)
    assert isinstance(reading, Reading)
    assert reading.covered == 1.0


@pytest.mark.parametrize(
    ("skew", "lag", "until"), [(30, 0, 220), (3, 0, 220), (0, 1, 210), (-3, 4, 210), (-30, 31, 180)]
)
async def test_clocks_that_differ_by_half_a_minute_lose_and_invent_nothing(skew: int, lag: int, until: int) -> None:
    site = Site(VirtualClock())
    site.skew = timedelta(seconds=skew)
    since = START + timedelta(seconds=120)
    async with site.reception.client:
        await site.reception.begin_once()
        await site.live(240)
        found = await site.read(since)
    assert sums(found) == expected(found, since)
    assert isinstance(found, Reading)
    assert (found.lag, found.complete_until) == (timedelta(seconds=lag), START + timedelta(seconds=until))


# What cannot be understood, or not taken, is no reading until it is over


async def _torn(site: Site, batch: list[dict[str, Any]]) -> None:
    assert (await site.reception.post(lines(batch)[:-20])).status_code == 400


async def _torn_gzip(site: Site, batch: list[dict[str, Any]]) -> None:
    body = gzip.compress(lines(batch))[:-20]
    assert (await site.reception.post(body, content_encoding="gzip")).status_code == 400


async def _statuses_as_texts(site: Site, batch: list[dict[str, Any]]) -> None:
    drifted = [one | {"proxy": one["proxy"] | {"statusCode": str(one["statusCode"])}} for one in batch]
    assert await site.reception.deliver(drifted) == 200


async def _errors_alone_drifted(site: Site, batch: list[dict[str, Any]]) -> None:
    drifted = [one | {"timestamp": None} if one["statusCode"] == 500 else one for one in batch]
    assert await site.reception.deliver(drifted) == 200


async def _huge_ids(site: Site, batch: list[dict[str, Any]]) -> None:
    assert await site.reception.deliver([one | {"requestId": "x" * 10_000} for one in batch]) == 200


async def _html(site: Site, _batch: list[dict[str, Any]]) -> None:
    assert (await site.reception.post(b"<html>502</html>")).status_code == 400


async def _signed_bomb(site: Site, batch: list[dict[str, Any]]) -> None:
    body = gzip.compress(lines(batch) + b" " * BIG)
    assert (await site.reception.post(body, content_encoding="gzip")).status_code == 413


async def _no_secret(site: Site, batch: list[dict[str, Any]]) -> None:
    secrets, site.reception.secrets = site.reception.secrets, []
    assert await site.reception.deliver(batch) == 503
    site.reception.secrets = secrets


TROUBLES = [
    (_torn, SignalReason.SCHEMA_DRIFT),
    (_torn_gzip, SignalReason.SCHEMA_DRIFT),
    (_html, SignalReason.SCHEMA_DRIFT),
    (_statuses_as_texts, SignalReason.SCHEMA_DRIFT),
    (_errors_alone_drifted, SignalReason.SCHEMA_DRIFT),
    (_huge_ids, SignalReason.SCHEMA_DRIFT),
    (_signed_bomb, SignalReason.OVERFLOWING),
    (_no_secret, SignalReason.OVERFLOWING),
]


@pytest.mark.parametrize(("send", "reason"), TROUBLES)
async def test_I_01_while_it_goes_on_there_is_no_reading_and_it_heals(
    site: Site, send: Any, reason: SignalReason
) -> None:
    since = site.clock.now()
    await site.live(60, send=send)
    # Somebody of another project keeps the drain from seeming silent.
    await site.reception.deliver([an_entry("blog", at_ms=milliseconds_of(site.clock.now()), projectId="prj_blog")])
    await site.reception.hand_over()
    found = await site.read(since)
    assert isinstance(found, PortError), found
    assert found.reason is reason

    await site.live(120)
    healed = await site.read(since)
    assert isinstance(healed, Reading)
    assert 0 < healed.covered < 1
    from_now_on = healed.complete_until
    await site.live(60)
    reading = await site.read(from_now_on)
    assert sums(reading) == expected(reading, from_now_on)
    assert isinstance(reading, Reading)
    assert reading.covered == 1.0


async def test_I_02_a_drain_that_falls_silent_is_no_health(site: Site) -> None:
    since = site.clock.now()
    await site.live(10)

    async def nothing(_site: Site, _batch: list[dict[str, Any]]) -> None:
        """Vercel has switched the drain off."""

    await site.live(301, send=nothing)
    found = await site.read(since)
    assert isinstance(found, PortError)
    assert found.reason is SignalReason.UNREACHABLE
    await site.live(60)
    healed = await site.read(site.clock.now() - timedelta(seconds=50))
    assert isinstance(healed, Reading)
    assert healed.samples
