"""What every source promises, as far as it can hold for `probe`, on the emulator's sites over real HTTP.

Its counts are its own visits: they are the world's where nobody else visits. That nobody asking gives no sample does
not hold, because it asks itself; that what is past can be read later does not, because it visits now.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.core.facts import ProjectId
from daemon.emulator import EmulatorServer, ManualClock, Scenario
from daemon.emulator.deliveries import Deliveries
from daemon.ports.errors import PortError, Refused, Unavailable, Unintelligible
from daemon.ports.source import Reading, Source, Wanted
from daemon.sources.probe import ProbeSettings
from tests.unit.vercel.emulated import EmulatedTime

pytestmark = pytest.mark.slow

SITE = "www.example.com"
HEALTH = "/api/health"
ALWAYS, UNLESS_FAILED, NEVER = range(3)


class NamingSite:
    """The emulator's sites as their operators would build them: answers carry the deployment that gave them."""

    def __init__(self, server: EmulatorServer, names: int) -> None:
        self._app: ASGIApp = server.app
        self._world = server.world
        self._names = names
        self.deliveries: Deliveries = server.app.deliveries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = dict(scope["headers"]).get(b"host", b"").decode()
        deployment = self._world.deployment_at(host)

        async def named(message: Message) -> None:
            is_named = self._names == ALWAYS or (self._names == UNLESS_FAILED and message.get("status", 0) < 500)
            if deployment and message["type"] == "http.response.start" and is_named:
                message["headers"].append((b"x-deployment-id", deployment.id.encode()))
            await send(message)

        await self._app(scope, receive, named)


class Site:
    """One project with two deployments, and nobody who visits it but us."""

    def __init__(self, server: EmulatorServer, clock: ManualClock) -> None:
        self.server, self.clock, self.world = server, clock, server.world
        self.time = EmulatedTime(clock)
        self.project = ProjectId(self.world.project("web").id)

    def probe(self, **changes: Any) -> Source:
        settings = {"domains": [SITE], "paths": [HEALTH], "via": self.server.url} | changes
        return ProbeSettings.model_validate(settings).open(self.time)

    def id_of(self, name: str) -> str:
        return self.world.deployment("web", name).id

    def serve(self, name: str) -> None:
        self.world.request_rollback(self.world.project("web"), self.id_of(name), by="test")
        self.pass_time(30)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.world.advance()

    async def read(self, source: Source, since: datetime | None = None) -> Reading | PortError:
        readings = await source.collect([Wanted(self.project, since or self.time.now())], now=self.time.now())
        assert list(readings) == [self.project]
        return readings[self.project]

    def truth(self) -> dict[str, tuple[int, int]]:
        """Requests and errors of each deployment, as the world itself knows them."""
        self.pass_time(2)
        totals: dict[str, tuple[int, int]] = {}
        for row in self.world.traffic_of(self.world.project("web")).counts.rows:
            requests, errors = totals.get(row.key.deployment_id, (0, 0))
            totals[row.key.deployment_id] = (requests + 1, errors + (row.key.http_status >= 500))
        return totals


@asynccontextmanager
async def a_site(*, names: int = ALWAYS, failing: float = 0.0, **project: Any) -> AsyncIterator[Site]:
    failures = [{"ratio": failing}] if failing else []
    deployments = [{"name": "good", "age": "2d"}, {"name": "bad", "age": "1d", "failures": failures}]
    traffic = {"requests_per_second": 0, "baseline_error_ratio": 0, "routes": [{"path": HEALTH}]}
    web = {"name": "web", "deployments": deployments, "domains": [SITE], "traffic": traffic} | project
    clock = ManualClock()
    server = EmulatorServer(Scenario.model_validate({"name": "probe", "projects": [web]}), clock=clock)
    server.app = NamingSite(server, names)  # type: ignore[assignment]
    async with server:
        yield Site(server, clock)


def counted(*entries: Reading | PortError) -> dict[str, tuple[int, int]]:
    totals: dict[str, tuple[int, int]] = {}
    for entry in entries:
        assert isinstance(entry, Reading), entry
        for one in entry.samples:
            requests, errors = totals.get(one.deployment, (0, 0))
            totals[one.deployment] = (requests + (one.requests or 0), errors + one.errors)
    return totals


async def test_the_counts_are_the_worlds_own_where_nobody_else_visits():
    async with a_site(failing=0.4) as site:
        found = counted(await site.read(site.probe(count=12)))
        assert found == site.truth()
        [(requests, errors)] = found.values()
        assert requests == 12
        assert 0 < errors < 12


async def test_collections_that_follow_each_other_count_every_visit_once():
    async with a_site(failing=0.4) as site:
        source, entries, watermark = site.probe(), [], site.time.now()
        for seconds in (7, 15, 1, 60):
            site.pass_time(seconds)
            entry = await site.read(source, watermark)
            assert isinstance(entry, Reading)
            assert all(watermark <= one.start < one.end <= entry.complete_until for one in entry.samples)
            watermark = entry.complete_until
            entries.append(entry)
        assert counted(*entries) == site.truth()


async def test_a_reading_that_got_lost_is_given_again():
    async with a_site(failing=0.4) as site:
        source, since = site.probe(), site.time.now()
        await site.read(source, since)
        site.pass_time(15)
        assert counted(await site.read(source, since)) == site.truth()


async def test_I_05_each_deployment_answers_for_its_own_requests():
    async with a_site(failing=1.0) as site:
        source = site.probe()
        before = await site.read(source)
        site.serve("good")
        after = await site.read(source)
        assert counted(before) == {site.id_of("bad"): (3, 3)}
        assert counted(after) == {site.id_of("good"): (3, 0)}
        assert counted(before, after) == site.truth()


async def test_a_site_that_names_no_deployment_when_it_fails_is_read_between_two_looks_at_a_file_that_does():
    async with a_site(failing=1.0, names=UNLESS_FAILED) as site:
        assert type(await site.read(site.probe())) is Unintelligible
        framed = await site.read(site.probe(identity_path="/version.txt"))
        assert counted(framed) == {site.id_of("bad"): (3, 3)}


async def test_I_01_a_site_that_never_names_its_deployment_gives_no_sample_and_says_what_was_seen():
    async with a_site(failing=1.0, names=NEVER) as site:
        trouble = await site.read(site.probe())
        assert type(trouble) is Unintelligible
        assert "3 of 3 visits, 3 of them failed" in str(trouble)


async def test_a_protected_site_says_nothing_without_the_secret(tmp_path: Path):
    async with a_site(protection="all", bypass_secrets=["s3cret" * 5]) as site:
        trouble = await site.read(site.probe())
        assert type(trouble) is Refused
        assert trouble.status == 401
        path = tmp_path / "headers"
        path.write_text(f"x-vercel-protection-bypass: {'s3cret' * 5}\n")
        assert counted(await site.read(site.probe(headers_file=path))) == {site.id_of("bad"): (3, 0)}


async def test_a_path_that_is_not_there_is_no_success():
    async with a_site() as site:
        trouble = await site.read(site.probe(paths=["/typo"]))
        assert type(trouble) is Refused
        assert trouble.status == 404


async def test_a_domain_that_nobody_serves_says_nothing():
    async with a_site() as site:
        trouble = await site.read(site.probe(domains=["shop.vercel.app"]))
        assert type(trouble) is Refused


async def test_I_01_a_server_that_is_gone_is_unavailable():
    async with a_site() as site:
        source = site.probe()
    assert type(await site.read(source)) is Unavailable


async def test_no_visit_ever_asks_vercels_api():
    async with a_site() as site:
        assert counted(await site.read(site.probe()))
        assert not site.world.ledger.entries
