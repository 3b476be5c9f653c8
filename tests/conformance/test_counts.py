"""What both CLIs print of errors, counts and alerts is exactly what happened in the world."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.emulator import ManualClock, Scenario, WallClock
from daemon.emulator.counts import Request
from daemon.emulator.measures import instant_ms
from daemon.emulator.scenario import FailureSpec
from daemon.emulator.wire import iso, request_id
from tests.conformance.stage import ACTOR_TOKEN, Stage, serving
from tests.conformance.vercel_cli import CliRun, VercelCli
from tests.requires import requires_vercel_clients
from tests.unit.emulator.driving import a_project, a_scenario

pytestmark = [requires_vercel_clients, pytest.mark.proof]

OLD = "58.4.4"
MINUTE_MS = 60_000


def a_failing_shop() -> Scenario:
    """Return a world of an hour in which production and previews fail, in more ways than one, and others do not."""
    failures = [
        {"ratio": 0.03, "status": 500, "message": "TypeError: boom", "after": "0s"},
        {"ratio": 0.02, "status": 504, "message": "upstream timed out", "after": "0s"},
    ]
    deployments = [{"name": "v1", "age": "9d"}, {"name": "good", "age": "20h", "failures": failures}]
    traffic = {
        "requests_per_second": 0.8,
        "preview": {"requests_per_second": 0.2, "error_ratio": 0.5},
        "baseline_error_ratio": 0,
    }
    web = a_project(deployments=deployments, traffic=traffic)
    other = a_project(name="docs", domains=["docs.example.com"], deployments=deployments, traffic=traffic)
    return a_scenario(
        history="1h",
        projects=[web, other],
        tokens=[{"value": ACTOR_TOKEN, "name": "actor"}],
        lag={"metrics": "0s", "logs": "0s"},
        knobs={"undocumented_routes": "served", "metrics_lag_seconds": 0, "rate_limit_per_minute": None},
    )


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """That world, standing still at a moment in which nothing is half done."""
    now_ms = WallClock().now_ms()
    async with serving(a_failing_shop(), clock=ManualClock(now_ms)) as server:
        world = server.world
        cli = VercelCli(
            api_url=server.url,
            token=ACTOR_TOKEN,
            home=tmp_path,
            organization_id=world.team.id,
            project_id=world.project("web").id,
        )
        yield Stage(world, cli)


def errors(stage: Stage, *, since_ms: int, until_ms: int | None = None) -> list[Request]:
    """Return the world's own 5xx of production of [since, until), newest first."""
    rows = stage.world.traffic_of(stage.project).counts.rows
    return [
        row
        for row in reversed(rows)
        if row.at_ms >= since_ms
        and (until_ms is None or row.at_ms < until_ms)
        and row.key.environment == "production"
        and 500 <= row.key.http_status < 600
    ]


def asked(stage: Stage, path: str) -> Any:
    """Return the query of the last request to *path*, or its body as JSON."""
    entry = next(entry for entry in reversed(stage.requests) if entry.path == path)
    return json.loads(entry.body) if entry.body else dict(part.split("=") for part in entry.query.split("&"))


async def succeeding(stage: Stage, *arguments: str, version: str | None = None, **environment: str) -> CliRun:
    cli = replace(stage.cli, more_environment=environment, **({"version": version} if version else {}))
    run = await cli.run(*arguments)
    assert run.exit_code == 0, run.stderr
    return run


async def test_the_logs_of_the_guide_list_exactly_the_worlds_errors(stage: Stage) -> None:
    """`vercel logs --environment production --status-code 5xx --since 30m` as CLI 58.4.4 has it."""
    words = ("logs", "--environment", "production", "--status-code", "5xx", "--since", "30m", "--limit", "1000")
    run = await succeeding(stage, *words, "--json", version=OLD)
    since_ms = int(asked(stage, "/api/logs/request-logs")["startDate"])
    own = errors(stage, since_ms=since_ms)
    printed = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(own) > 50, "so that there is more than one page"
    assert [row["id"] for row in printed] == [request_id(row) for row in own]
    assert [(row["timestamp"], row["responseStatusCode"], row["requestPath"], row["message"]) for row in printed] == [
        (row.at_ms, row.key.http_status, row.path, row.message) for row in own
    ]


async def test_the_text_of_the_guides_logs_has_a_line_for_each_error(stage: Stage) -> None:
    run = await succeeding(
        stage,
        *("logs", "--environment", "production", "--status-code", "5xx", "--since", "30m", "--limit", "1000"),
        version=OLD,
    )
    own = errors(stage, since_ms=int(asked(stage, "/api/logs/request-logs")["startDate"]))
    lines = re.findall(r"^(?:\w+ \d+ )?\d\d:\d\d:\d\d\.\d\d +(\S+) +error +λ (\w+) (\S+)", run.stderr, re.MULTILINE)
    assert lines == [(row.domain, row.key.request_method, row.path) for row in own]
    assert f"Fetched {len(own)} logs for acme/web" in run.stderr


async def test_the_logs_of_today_list_exactly_the_worlds_errors(stage: Stage) -> None:
    """`vercel logs requests`, which CLI 64.0.2 names in place of the guide's words."""
    query = "httpStatus >= 500 AND httpStatus < 600"
    words = ("logs", "requests", "--environment", "production", "--query", query, "--since", "30m", "--limit", "1000")
    run = await succeeding(stage, *words, "--json")
    *printed, summary = [json.loads(line) for line in run.stdout.splitlines()]
    window = asked(stage, "/v1/observability/events")["timeRange"]
    own = [row for row in errors(stage, since_ms=0) if window["start"] <= iso(row.at_ms) < window["end"]]
    assert len(own) > 50
    assert [row["data"]["requestId"] for row in printed] == [request_id(row) for row in own]
    assert [(row["data"]["timestamp"], row["data"]["httpStatus"]) for row in printed] == [
        (iso(row.at_ms), row.key.http_status) for row in own
    ]
    assert summary["recordsReturned"] == len(own)
    assert summary["pagination"] == {"hasMore": False, "next": None}


async def test_the_continuation_of_a_limited_list_goes_on_where_it_ended(stage: Stage) -> None:
    words = ("logs", "requests", "--query", "httpStatus >= 500", "--since", "30m", "--json")
    whole = (await succeeding(stage, *words, "--limit", "1000")).stdout.splitlines()[:-1]
    first = (await succeeding(stage, *words, "--limit", "20", "--until", "now")).stdout.splitlines()
    token = json.loads(first[-1])["pagination"]["next"]
    second = (
        await succeeding(stage, "logs", "requests", "--next", token, "--json", "--limit", "20")
    ).stdout.splitlines()
    ids = [json.loads(line)["data"]["requestId"] for line in [*first[:-1], *second[:-1]]]
    assert ids == [json.loads(line)["data"]["requestId"] for line in whole][:40]


def own_counts(stage: Stage, start: str, end: str, *, by: str = "http_status") -> Counter[str]:
    """Return how often production of `web` answered what in [start, end), by the world's own rows."""
    rows = stage.world.traffic_of(stage.project).counts.rows
    production = (row for row in rows if row.key.environment == "production" and start <= iso(row.at_ms) < end)
    return Counter(str(getattr(row.key, by)) for row in production)


def outward(text: str, *, up: bool) -> str:
    """Return an instant rounded to the whole minute before, or after it."""
    at_ms = from_iso(text)
    return iso(-(-at_ms // MINUTE_MS) * MINUTE_MS if up else at_ms // MINUTE_MS * MINUTE_MS)


@pytest.mark.parametrize(
    ("version", "environment"), [(OLD, {}), ("64.0.2", {"FF_LEGACY_METRICS": "1"})], ids=["58.4.4", "64.0.2 legacy"]
)
async def test_metrics_of_the_older_dialect_are_exactly_the_worlds_counts(
    stage: Stage, version: str, environment: dict[str, str]
) -> None:
    words = ("metrics", "vercel.request.count", "--group-by", "http_status", "--prod", "--since", "30m", "--json")
    run = await succeeding(stage, *words, version=version, **environment)
    body = json.loads(run.stdout)
    window = asked(stage, "/v2/observability/query")
    own = own_counts(stage, outward(window["startTime"], up=False), outward(window["endTime"], up=True))
    assert {row["http_status"]: row["vercel_request_count_sum"] for row in body["summary"]} == own
    per_status: Counter[str] = Counter()
    for row in body["data"]:
        per_status[row["http_status"]] += row["vercel_request_count_sum"]
    assert per_status == own
    assert {"500", "504"} <= set(own)


async def test_metrics_of_today_are_exactly_the_worlds_counts(stage: Stage) -> None:
    words = ("metrics", "vercel.request.count", "--group-by", "httpStatus", "--prod", "--since", "30m", "--json")
    body = json.loads((await succeeding(stage, *words)).stdout)
    window = asked(stage, "/metrics/v1")["timeRange"]
    own = own_counts(stage, window["start"], window["end"])
    assert {row["httpStatus"]: row["vercel_request_count_count"] for row in body["summary"]} == own
    per_minute: Counter[tuple[str, str]] = Counter()
    for row in stage.world.traffic_of(stage.project).counts.rows:
        if row.key.environment == "production" and window["start"] <= iso(row.at_ms) < window["end"]:
            per_minute[outward(iso(row.at_ms), up=False), str(row.key.http_status)] += 1
    printed = {(row["timestamp"], row["httpStatus"]): row["vercel_request_count_count"] for row in body["data"]}
    assert {key: count for key, count in printed.items() if count} == per_minute


async def test_metrics_of_errors_are_exactly_the_worlds_errors(stage: Stage) -> None:
    words = ("metrics", "vercel.request.count", "-f", "httpStatus >= 500", "--prod", "--since", "5m", "--json")
    body = json.loads((await succeeding(stage, *words)).stdout)
    window = asked(stage, "/metrics/v1")["timeRange"]
    own = errors(stage, since_ms=from_iso(window["start"]), until_ms=from_iso(window["end"]))
    assert body["summary"] == [{"vercel_request_count_count": len(own)}]


async def test_metrics_of_the_whole_team_tell_its_projects_apart(stage: Stage) -> None:
    words = ("metrics", "vercel.request.count", "--all", "--group-by", "projectId", "--since", "30m", "--json")
    body = json.loads((await succeeding(stage, *words)).stdout)
    window = asked(stage, "/metrics/v1")["timeRange"]
    own = {
        project.id: sum(
            window["start"] <= iso(row.at_ms) < window["end"] for row in stage.world.traffic_of(project).counts.rows
        )
        for project in stage.world.projects.values()
    }
    assert {row["projectId"]: row["vercel_request_count_count"] for row in body["summary"]} == own
    assert len(own) == 2


async def test_a_team_that_has_not_paid_reads_logs_but_no_counts(stage: Stage) -> None:
    team = replace(stage.world.team, observability_plus=False)
    stage.world.team = team
    stage.world.teams = {team.id: team}
    for words in (("metrics", "vercel.request.count", "--json"), ("logs", "requests")):
        run = await stage.cli.run(*words)
        assert run.exit_code == 1
        assert "Observability Plus" in run.stdout + run.stderr
    assert (await succeeding(stage, "logs", "--since", "30m", "--json")).stdout.count('"type":"log"') > 10


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("logs", "requests", "--query", "nobody:x"), 2),
        (("logs", "--query", "level:"), 2),
        (("metrics", "vercel.request.count", "-f", "nobody:x", "--json"), 1),
        (("metrics", "vercel.nothing.count", "--json"), 1),
    ],
    ids=["requests", "runtime", "metrics", "metric"],
)
async def test_a_question_that_makes_no_sense_is_refused_with_a_reason(
    stage: Stage, words: tuple[str, ...], code: int
) -> None:
    run = await stage.cli.run(*words)
    assert run.exit_code == code, run.stdout + run.stderr
    assert re.search(r"nobody|level|vercel\.nothing", run.stdout + run.stderr)


async def test_alerts_tell_of_an_outage_and_of_its_end(stage: Stage) -> None:
    assert "No alerts found" in (await succeeding(stage, "alerts")).stderr
    began = stage.world.now_ms
    clock = stage.world.clock
    assert isinstance(clock, ManualClock)
    await outage(stage, clock, minutes=6)
    (group,) = json.loads((await succeeding(stage, "alerts", "--json", "--since", "24h")).stdout)["groups"]
    assert group["status"] == "active"
    assert began - MINUTE_MS < group["recordedStartedAt"] < began + 2 * MINUTE_MS
    shown = await succeeding(stage, "alerts", "inspect", group["id"])
    assert "5xx errors on" in shown.stderr
    assert "error_anomaly" in (await succeeding(stage, "alerts", "--since", "24h")).stderr
    assert "All anomalies" in (await succeeding(stage, "alerts", "rules", "ls")).stderr


async def outage(stage: Stage, clock: ManualClock, *, minutes: int) -> None:
    """Let every request fail for a while."""
    stage.world.start_outage(stage.project, FailureSpec(ratio=0.9, status=503))
    clock.advance(60 * minutes)
    stage.world.advance()


def from_iso(text: str) -> int:
    return instant_ms(text, "test")
