"""The composition root: what settings become, and that nothing is left open."""

import asyncio
import hashlib
import hmac
import json
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from daemon import bootstrap
from daemon.core.facts import DeploymentId
from daemon.core.guardrail import Posture
from daemon.emulator import EmulatorServer
from daemon.emulator.clock import WallClock
from daemon.ports.errors import Misconfigured, Refused, StoreUnavailable
from daemon.runtime.clock import SystemClock
from daemon.settings import Settings, load, load_settings
from daemon.sources.log_drain import LogDrainSettings
from daemon.stores.sql_buckets import open_sqlite_buckets
from daemon.stores.sqlite import open_sqlite
from tests.fakes.clock import VirtualClock
from tests.unit.emulator.driving import a_scenario

pytestmark = pytest.mark.slow

CONFIG = """\
vercel:
  {{api_url: "{url}", team: {team}, request_timeout: 2s, read_token_file: {folder}/read, act_token_file: {folder}/act}}
store: {{path: {folder}/lastgood.db}}
web: {{port: {port}}}
projects: [{projects}]
"""


@pytest.fixture
async def emulator() -> AsyncIterator[EmulatorServer]:
    async with EmulatorServer(a_scenario(), clock=WallClock()) as server:
        yield server


def settings_for(emulator: EmulatorServer, folder: Path, *, projects: str = "", port: int = 0) -> Settings:
    """Return settings with a token to read and one to act, for the emulator's only project or for *projects*."""
    for token in emulator.world.tokens.values():
        path = folder / ("read" if token.read_only else "act")
        path.write_text(token.value)
        path.chmod(0o600)
    [project] = emulator.world.projects.values()
    config = folder / "lastgood.yaml"
    listed = projects or f"{{id: {project.id}}}"
    config.write_text(CONFIG.format(url=emulator.url, team=project.team_id, folder=folder, port=port, projects=listed))
    return load_settings(config, {})


async def test_reading_uses_one_token_and_acting_the_other(emulator: EmulatorServer, tmp_path: Path) -> None:
    async with bootstrap.assemble(settings_for(emulator, tmp_path), clock=SystemClock()) as daemon:
        await daemon.poller.run_cycle()
        own = "/v5/user/tokens/current"
        assert {entry.token for entry in emulator.world.ledger.entries if entry.path != own} == {"reader"}
        assert [entry.token for entry in emulator.world.ledger.entries if entry.path == own] == ["reader", "actor"]
        target = DeploymentId(emulator.world.deployment("web", "v2").id)
        [project] = daemon.projects
        await project.executor.rollback.roll_back(project.id, target=target, description="test")
        [rollback] = emulator.world.ledger.mutating()
        assert (rollback.token, rollback.status) == ("actor", 201)


async def test_the_settings_of_each_project_become_its_policy(emulator: EmulatorServer, tmp_path: Path) -> None:
    [known] = emulator.world.projects
    projects = f"{{id: {known}, posture: automatic}}, {{id: prj_other, name: shop}}"
    settings = settings_for(emulator, tmp_path, projects=projects)
    async with bootstrap.assemble(settings, clock=SystemClock()) as daemon:
        postures = {project.id: project.policy().posture for project in daemon.projects}
    assert postures == {known: Posture.AUTOMATIC, "prj_other": Posture.OBSERVE}


async def test_the_digest_that_names_each_projects_policy_is_logged_at_the_start(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path)
    with capture_logs() as lines:
        async with bootstrap.assemble(settings, clock=SystemClock()) as daemon:
            [project] = daemon.projects
    [loaded] = [line for line in lines if line["event"] == "policy.loaded"]
    digest = settings.policy_for(settings.projects[0]).digest
    assert (loaded["project"], loaded["posture"], loaded["digest"]) == (project.id, Posture.OBSERVE, digest)


async def test_a_name_is_resolved_once_at_the_start(emulator: EmulatorServer, tmp_path: Path) -> None:
    settings = settings_for(emulator, tmp_path, projects="{name: web}")
    async with bootstrap.assemble(settings, clock=SystemClock()) as daemon:
        assert [project.id for project in daemon.projects] == list(emulator.world.projects)
        assert len(emulator.world.ledger.entries) == 1


async def test_a_name_that_vercel_does_not_know_is_refused(emulator: EmulatorServer, tmp_path: Path) -> None:
    settings = settings_for(emulator, tmp_path, projects="{name: nowhere}")
    with pytest.raises(Refused, match="nowhere"):
        async with bootstrap.assemble(settings, clock=SystemClock()):
            pass


async def test_a_project_that_is_there_by_id_and_by_name_is_refused(emulator: EmulatorServer, tmp_path: Path) -> None:
    [known] = emulator.world.projects
    settings = settings_for(emulator, tmp_path, projects=f"{{id: {known}}}, {{name: web}}")
    with pytest.raises(Misconfigured, match="remove one of them"):
        async with bootstrap.assemble(settings, clock=SystemClock()):
            pass


async def test_a_store_that_cannot_be_opened_is_told(emulator: EmulatorServer, tmp_path: Path) -> None:
    settings = settings_for(emulator, tmp_path)
    settings.store.path.mkdir()
    with pytest.raises(StoreUnavailable, match=r"lastgood\.db"):
        async with bootstrap.assemble(settings, clock=SystemClock()):
            pass


async def test_a_store_that_fails_after_it_was_opened_is_told_as_itself(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path)
    await (await open_sqlite(settings.store.path)).close()
    with closing(sqlite3.connect(settings.store.path)) as file:
        file.execute("ALTER TABLE projects RENAME TO lost")
    with pytest.raises(StoreUnavailable, match="newest moment"):
        async with bootstrap.assemble(settings, clock=SystemClock()):
            pass


async def test_what_is_under_way_when_it_stops_has_longer_than_one_request_may_take(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path)
    async with bootstrap.assemble(settings, clock=SystemClock()) as daemon:
        assert daemon.grace_seconds > settings.vercel.request_timeout.total_seconds()


async def test_a_port_that_is_taken_is_told_before_anything_is_polled(emulator: EmulatorServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = settings_for(emulator, tmp_path, port=port)
        with pytest.raises(Misconfigured, match=f"127.0.0.1:{port}"):
            async with bootstrap.assemble(settings, clock=SystemClock()):
                pass
    assert list(emulator.world.ledger.entries) == []


async def test_every_series_of_a_project_is_there_before_the_first_poll(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    async with bootstrap.assemble(settings_for(emulator, tmp_path), clock=SystemClock()) as daemon:
        totals = daemon.metrics.totals()
    confirmed = [value for name, value in totals.items() if "lastgood_actions_total" in name and "confirmed" in name]
    assert confirmed == [0]
    assert [value for name, value in totals.items() if "lastgood_cycles_total" in name] == [0, 0]


async def test_it_is_ready_after_its_first_cycle_and_stops_when_told(emulator: EmulatorServer, tmp_path: Path) -> None:
    settings = settings_for(emulator, tmp_path)
    stop = asyncio.Event()
    async with bootstrap.assemble(settings, clock=SystemClock()) as daemon, httpx.AsyncClient(trust_env=False) as http:
        url = f"http://127.0.0.1:{daemon.listener.getsockname()[1]}"
        async with asyncio.TaskGroup() as group, asyncio.timeout(20):
            running = group.create_task(daemon.run(stop))
            while (await http.get(f"{url}/readyz")).status_code != 200:
                await SystemClock().sleep(0.02)
            assert daemon.leadership.lease is not None
            stop.set()
            await running
        assert daemon.leadership.lease is None
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{url}/healthz")


# What is pushed


def signed(secret: str, body: bytes) -> dict[str, str]:
    """Return the header that Vercel would send with *body*."""
    return {"x-vercel-signature": hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()}


def receiving(settings: Settings, folder: Path) -> Settings:
    """Return the settings with a receiver of drains and one of webhooks, each with a secret of its own."""
    for name in ("drain_secret", "webhook_secret"):
        (folder / name).write_text(f"{name}_value")
        (folder / name).chmod(0o600)
    [project] = settings.projects
    drain = settings.drain.model_copy(update={"secret_files": (folder / "drain_secret",), "verify_code": "code"})
    webhooks = settings.webhooks.model_copy(update={"secret_files": (folder / "webhook_secret",)})
    sources = (LogDrainSettings(), *project.sources)
    return settings.model_copy(
        update={
            "drain": drain,
            "webhooks": webhooks,
            "projects": (project.model_copy(update={"sources": sources}),),
        }
    )


async def test_a_webhook_wakes_the_project_and_a_drains_batch_is_handed_over_by_the_end(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    settings = receiving(settings_for(emulator, tmp_path), tmp_path)
    [known] = emulator.world.projects.values()
    at = round(SystemClock().now().timestamp() * 1000)
    hook = json.dumps(
        {
            "type": "deployment.rollback",
            "id": "evt_1",
            "createdAt": at,
            "payload": {
                "team": {"id": known.team_id},
                "user": {"id": "usr_1"},
                "project": {"id": known.id},
                "fromDeploymentId": "dpl_from",
                "toDeploymentId": "dpl_to",
            },
        }
    ).encode()
    entry = {"id": "1", "deploymentId": "dpl_x", "source": "lambda", "host": "x", "timestamp": at, "level": "info"}
    entry |= {"projectId": known.id, "requestId": "r1", "environment": "production"}
    entry["proxy"] = {"timestamp": at, "method": "GET", "host": "x", "path": "/", "statusCode": 500}
    batch = json.dumps([entry]).encode()
    async with bootstrap.assemble(settings, clock=SystemClock()) as daemon:
        await daemon.poller.run_cycle()
        app = httpx.ASGITransport(daemon.web.config.app)
        async with httpx.AsyncClient(transport=app, base_url="http://daemon") as client:
            told = await client.post("/webhooks/vercel", content=hook, headers=signed("webhook_secret_value", hook))
            forged = await client.post("/webhooks/vercel", content=hook, headers=signed("drain_secret_value", hook))
            json_type = {"content-type": "application/json"}
            taken = await client.post("/drain", content=batch, headers=signed("drain_secret_value", batch) | json_type)
        assert (told.status_code, forged.status_code, taken.status_code) == (200, 403, 200)
        assert taken.headers["x-vercel-verify"] == "code"
        async with asyncio.timeout(5):
            [project] = daemon.projects
            while project.state is None or project.state.hold is None:  # noqa: ASYNC110 - no event tells when
                await asyncio.sleep(0)  # noqa: TID251 - lets the receiver pass it on; no time passes
    buckets = await open_sqlite_buckets(settings.store.path)
    standing = await buckets.standing()
    now = SystemClock().now()
    counts = await buckets.totals(start=now - timedelta(minutes=5), end=now + timedelta(minutes=1))
    await buckets.close()
    assert standing is not None
    assert [(one.deployment, one.requests, one.errors) for one in counts] == [("dpl_x", 1, 1)]


async def test_without_secrets_nothing_is_received(emulator: EmulatorServer, tmp_path: Path) -> None:
    async with bootstrap.assemble(settings_for(emulator, tmp_path), clock=SystemClock()) as daemon:
        app = httpx.ASGITransport(daemon.web.config.app)
        async with httpx.AsyncClient(transport=app, base_url="http://daemon") as client:
            for path in ("/drain", "/webhooks/vercel"):
                assert (await client.post(path, content=b"[]")).status_code == 404


# A changed file


async def test_a_changed_file_reaches_policy_rhythm_and_log_while_it_runs(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path)
    path, root = tmp_path / "lastgood.yaml", logging.getLogger()
    level = root.level
    file = bootstrap.ConfigFile(path, {}, load(path, {}))
    async with bootstrap.assemble(settings, clock=SystemClock(), file=file) as daemon:
        assert daemon.reloader is not None
        changed = "poll: {interval: 20s}\nlog: {level: error}\ndefaults: {posture: approve}\n"
        path.write_text(path.read_text() + changed)
        daemon.reloader.ask()
        async with asyncio.timeout(10):
            while daemon.reloader.generation == 1:
                await SystemClock().sleep(0.02)
        [project] = daemon.projects
        assert (project.policy().posture, daemon.bell.interval_seconds) == (Posture.APPROVE, 20)
        assert (root.level, daemon.poller.generation) == (logging.ERROR, 2)
    root.setLevel(level)


async def test_a_bug_while_looking_at_the_file_is_told_and_polls_go_on(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path)
    path = tmp_path / "lastgood.yaml"
    clock = VirtualClock()
    file = bootstrap.ConfigFile(path, {}, load(path, {}))
    async with bootstrap.assemble(settings, clock=clock, file=file) as daemon:
        assert daemon.reloader is not None
        await clock.advance(0)
        daemon.reloader._stamp = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
        for _ in range(2):
            with capture_logs() as lines:
                await clock.advance(1)
            assert [line["task"] for line in lines if line["event"] == "bug.caught"] == ["config"]
        assert daemon.metrics.registry.get_sample_value("lastgood_config_reload_success") == 0


# Patterns


async def test_what_a_pattern_matches_is_discovered_at_the_start_and_only_then_is_it_ready(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path, projects='{match: "w*"}')
    async with (
        bootstrap.assemble(settings, clock=SystemClock()) as daemon,
        httpx.AsyncClient(transport=httpx.ASGITransport(daemon.web.config.app), base_url="http://daemon") as http,
    ):
        await daemon.poller.run_cycle()
        assert (await http.get("/readyz")).status_code == (200 if daemon.projects else 503)
        async with asyncio.timeout(10):
            while not daemon.projects:
                await SystemClock().sleep(0.02)
        await daemon.poller.run_cycle()
        [project] = daemon.projects
        assert (project.id, project.state is not None) == (next(iter(emulator.world.projects)), True)
        assert (await http.get("/readyz")).status_code == 200


async def test_a_team_that_cannot_be_listed_keeps_the_daemon_running_and_not_ready(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path, projects='{match: "*"}')
    vercel = settings.vercel.model_copy(update={"team": "team_another"})
    async with bootstrap.assemble(settings.model_copy(update={"vercel": vercel}), clock=SystemClock()) as daemon:
        with capture_logs() as lines:
            async with asyncio.timeout(10):
                while not lines:
                    await SystemClock().sleep(0.02)
        assert [(line["event"], line["what"]) for line in lines] == [("read.failed", "projects")]
        await daemon.poller.run_cycle()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(daemon.web.config.app), base_url="http://daemon"
        ) as http:
            assert [(await http.get(path)).status_code for path in ("/healthz", "/readyz")] == [200, 503]
