"""One source serves the projects of every owner, and never asks for more than it must."""

import pytest

from daemon.core.facts import ProjectId
from daemon.ports.errors import Refused
from daemon.ports.source import Reading, Wanted
from daemon.sources.observability import ObservabilitySettings
from tests.unit.sources.observability.serving import MINUTE, PROJECT, SECOND, START, V2_PATH, Counts, Watcher
from tests.unit.vercel.emulated import EPOCH, emulated
from tests.unit.vercel.fakes import a_transport, an_error, answers, by_path
from tests.unit.vercel.shapes import a_project_body

NOW = START + 2 * MINUTE + 75 * SECOND


def some_counts() -> Counts:
    counts = Counts()
    counts.show(0, 90)
    counts.show(1, 80)
    return counts


async def test_one_instance_serves_a_fleet():
    transport, _, _ = a_transport(some_counts())
    source = ObservabilitySettings().open(transport)
    assert source.is_fleet_wide
    assert source.name == "observability"
    assert await source.collect([], now=NOW) == {}


async def test_a_personal_project_is_asked_for_under_its_owner():
    counts = some_counts()
    identity = by_path({f"/v9/projects/{PROJECT}": [a_project_body(accountId="usr_1")]})
    transport, script, _ = a_transport(
        lambda request: counts(request) if request.url.path == V2_PATH else identity(request), team_id=None
    )
    source = ObservabilitySettings().open(transport)
    wanted = [Wanted(ProjectId(PROJECT), START)]
    assert isinstance((await source.collect(wanted, now=NOW))[PROJECT], Reading)
    assert {body["scope"]["ownerId"] for body in counts.bodies} == {"usr_1"}
    assert len(script.requests) == 3


async def test_a_project_whose_owner_is_not_found_is_the_only_one_in_trouble():
    counts = some_counts()
    known = [a_project_body(accountId="usr_1")]
    identity = by_path({f"/v9/projects/{PROJECT}": known, "/v9/projects/prj_gone": [an_error(404, "not_found")]})
    transport, _, _ = a_transport(
        lambda request: counts(request) if request.url.path == V2_PATH else identity(request), team_id=None
    )
    wanted = [Wanted(ProjectId("prj_gone"), START), Wanted(ProjectId(PROJECT), START)]
    entries = await ObservabilitySettings().open(transport).collect(wanted, now=NOW)
    assert isinstance(entries["prj_gone"], Refused)
    assert isinstance(entries[PROJECT], Reading)


async def test_an_answer_that_is_no_object_is_trouble_and_nothing_is_raised():
    watcher = Watcher(answers(["no", "object"])[0])
    assert "the answer" in str((await watcher.ask(NOW))[PROJECT])


@pytest.mark.default_answers  # whether /metrics/v1 is there nobody knows
@pytest.mark.parametrize("dialect", ["v2", "metrics_v1"])
@pytest.mark.parametrize("resolution", ["closed", "fine"])
async def test_the_firewalls_answers_are_not_counted_and_the_platforms_are_kept_apart(dialect, resolution):
    outage = {"at": "0s", "outage": {"project": "web", "ratio": 0.3, "error_code": "INTERNAL_UNEXPECTED_ERROR"}}
    traffic = {"traffic": {"requests_per_second": 4, "baseline_error_ratio": 0.1, "firewall_denied_ratio": 0.5}}
    async with emulated(project=traffic, happenings=[outage]) as vercel:
        source = ObservabilitySettings(dialect=dialect, resolution=resolution).open(vercel.reader)
        since = vercel.now
        vercel.pass_time(300)
        reading = (await source.collect([Wanted(vercel.project, since)], now=vercel.now))[vercel.project]
        rows = [row for row in vercel.world.traffic_of(vercel.world.project("web")).counts.rows if row.at_ms >= 0]
        minutes = {one.start for one in reading.samples if one.end - one.start == MINUTE}
        served = [
            row.key for row in rows if row.key.waf_action != "deny" and EPOCH + row.at_ms // 60_000 * MINUTE in minutes
        ]
        whole = [one for one in reading.samples if one.start in minutes]
        assert len(minutes) >= 3
        assert sum(one.requests or 0 for one in whole) == len(served)
        assert sum(one.errors for one in whole) == sum(key.http_status == 500 and not key.error_code for key in served)
        platform = sum(key.error_code == "INTERNAL_UNEXPECTED_ERROR" for key in served)
        assert sum(one.platform_errors for one in whole) == platform > 50


# How many requests it takes, as the emulated Vercel's own ledger counts them


def a_fleet(count: int, *, requests_per_second: float) -> dict[str, object]:
    return {
        "history": "1s",
        "projects": [
            {
                "name": f"p{number:04}",
                "domains": [f"p{number}.example.com"],
                "deployments": [{"name": f"d{number:04}", "age": "20h"}],
                "traffic": {"requests_per_second": requests_per_second, "baseline_error_ratio": 0.05},
            }
            for number in range(count)
        ],
    }


@pytest.mark.parametrize(
    ("count", "rate", "polls"),
    [
        (1, 2, [2, 2, 2]),
        pytest.param(100, 0.5, [2, 2, 2], marks=pytest.mark.slow),
        # Once Vercel has said that 1,000 groups do not fit, four questions of 250 projects hold them; the 5xx of all
        # fit into one, until so many projects have any that they need two.
        pytest.param(1000, 0.2, [6, 8], marks=pytest.mark.slow),
    ],
)
async def test_what_a_closed_minute_of_a_team_costs(count, rate, polls):
    async with emulated(**a_fleet(count, requests_per_second=rate)) as vercel:
        ids = [ProjectId(vercel.world.project(f"p{number:04}").id) for number in range(count)]
        source, since = ObservabilitySettings().open(vercel.reader), dict.fromkeys(ids, vercel.now)
        vercel.pass_time(75)
        asked = []
        for _ in polls:
            vercel.pass_time(45)
            before = len(vercel.world.ledger.entries)
            for _poll in range(3):
                wanted = [Wanted(one, since[one]) for one in ids]
                entries = await source.collect(wanted, now=vercel.now)
                since = {one: entries[one].complete_until for one in ids}
                vercel.pass_time(5)
            asked.append(len(vercel.world.ledger.entries) - before)
        assert asked == polls
        assert len(set(since.values())) == 1


@pytest.mark.slow
async def test_looking_closely_costs_one_request_a_poll_for_the_projects_that_need_it():
    async with emulated(**a_fleet(12, requests_per_second=0.5)) as vercel:
        ids = [ProjectId(vercel.world.project(f"p{number:04}").id) for number in range(12)]
        source, since = ObservabilitySettings().open(vercel.reader), dict.fromkeys(ids, vercel.now)
        vercel.pass_time(125)
        asked = []
        for _ in range(12):
            before = len(vercel.world.ledger.entries)
            wanted = [Wanted(one, since[one], is_close_up=number < 3) for number, one in enumerate(ids)]
            entries = await source.collect(wanted, now=vercel.now)
            since = {one: entries[one].complete_until for one in ids}
            asked.append(len(vercel.world.ledger.entries) - before)
            vercel.pass_time(10)
        # Twelve polls in two minutes: one request each, and two more in the polls after a minute was closed.
        assert asked == [3, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1]
        assert since[ids[0]] > since[ids[11]]
