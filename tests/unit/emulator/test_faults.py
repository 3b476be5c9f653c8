"""Faults: what each does to an answer, whether the write took effect, and when it fires."""

import asyncio
import os
import signal
import sys
from typing import Any

import httpx
import pytest

from daemon.emulator.errors import ApiError, ConnectionReset
from daemon.emulator.fault_specs import NotifyFault, StatusFault
from daemon.emulator.faults import Faults
from daemon.emulator.ledger import LedgerEntry
from tests.unit.emulator.driving import Driver, a_project, a_scenario, driving


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "unauthorized"),
        (402, "payment_required"),
        (403, "forbidden"),
        (404, "not_found"),
        (409, "conflict"),
        (422, "unprocessable_entity"),
        (429, "rate_limited"),
        (500, "internal_server_error"),
        (503, "internal_server_error"),
    ],
)
async def test_a_status_fault_answers_the_envelope_and_applies_nothing(vercel: Driver, status: int, code: str) -> None:
    await vercel.control("faults", {"kind": "status", "status": status, "route": "rollback"})
    response = await vercel.roll_back("v2")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    vercel.clock.advance(10)
    assert await vercel.serving() == "good"


async def test_a_429_carries_retry_after(vercel: Driver) -> None:
    fault = {"kind": "status", "status": 429, "route": "project", "retry_after_seconds": 7}
    await vercel.control("faults", fault)
    assert (await vercel.get("/v9/projects/web")).headers["retry-after"] == "7"
    assert (await vercel.get("/v2/user")).status_code == 200


async def test_a_500_after_the_write_hides_that_it_took_effect(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "status", "status": 500, "route": "rollback", "when": "after_apply"})
    assert (await vercel.roll_back("v2")).status_code == 500
    vercel.clock.advance(10)
    assert await vercel.serving() == "v2"


@pytest.mark.parametrize(
    ("when", "serving", "status"), [("before_apply", "good", "reset-before"), ("after_apply", "v2", "reset-after")]
)
async def test_a_reset_strikes_on_the_side_of_the_write_that_was_asked_for(
    vercel: Driver, when: str, serving: str, status: str
) -> None:
    await vercel.control("faults", {"kind": "reset", "route": "rollback", "when": when, "count": 1})
    with pytest.raises(ConnectionReset):
        await vercel.roll_back("v2")
    vercel.clock.advance(10)
    assert await vercel.serving() == serving
    assert vercel.world.ledger.mutating()[-1].status == status
    assert (vercel.world.ledger.mutating()[-1].applied is not None) == (serving == "v2")


async def test_a_reset_without_a_socket_raises_what_the_test_asks_for(vercel: Driver) -> None:
    vercel.app._reset_error = httpx.ReadError
    await vercel.control("faults", {"kind": "reset"})
    with pytest.raises(httpx.ReadError):
        await vercel.get("/v2/user")


async def test_a_slow_answer_lets_emulated_time_pass_before_or_after_the_write(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "slow", "delay": "20s", "route": "rollback", "when": "before_apply"})
    await vercel.roll_back("v2")
    started = vercel.world.start_ms
    assert vercel.world.project("web").jobs[-1].requested_at_ms == started + 20_000
    assert vercel.clock.now_ms() == started + 20_000


async def test_a_body_may_come_without_a_content_type(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "no-content-type", "route": "project", "count": 1})
    response = await vercel.get("/v9/projects/web")
    assert response.status_code == 200
    assert response.json()["name"] == "web"
    assert "content-type" not in response.headers
    assert (await vercel.get("/v9/projects/web")).headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("fault", [{"kind": "job", "route": "project"}, {"kind": "page", "rows": 1, "route": "user"}])
async def test_a_fault_that_could_never_strike_is_refused(vercel: Driver, fault: dict[str, Any]) -> None:
    response = await vercel.client.post("/__control/faults", json=fault)
    assert response.status_code == 400
    assert "this kind of fault does nothing there, only on *, " in response.json()["error"]["message"]
    assert vercel.world.faults.listed() == []


async def test_html_with_200_is_answered_in_place_of_the_effect(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "html", "route": "rollback"})
    response = await vercel.roll_back("v2")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")
    assert vercel.world.project("web").jobs == []


async def test_the_empty_201_can_be_given_the_content_type_that_breaks_the_cli(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "content-type", "route": "rollback"})
    response = await vercel.roll_back("v2")
    assert (response.status_code, response.content) == (201, b"")
    assert response.headers["content-type"].startswith("application/json")


async def test_a_stale_alias_request_shows_the_job_before_until_it_is_old_enough(vercel: Driver) -> None:
    await vercel.promote("v1")
    vercel.clock.advance(60)
    await vercel.control("faults", {"kind": "stale-alias-request", "route": "project", "seconds": 5})
    await vercel.roll_back("v2")
    vercel.clock.advance(4.9)
    assert (await vercel.project())["lastAliasRequest"]["type"] == "promote"
    assert await vercel.serving() == "v2"
    vercel.clock.advance(0.1)
    assert (await vercel.project())["lastAliasRequest"]["type"] == "rollback"


async def test_a_job_fault_changes_how_long_a_job_takes(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "job", "duration": "90s"})
    await vercel.roll_back("v2")
    vercel.clock.advance(89.9)
    assert (await vercel.project())["lastAliasRequest"]["jobStatus"] == "in-progress"
    vercel.clock.advance(0.1)
    assert await vercel.serving() == "v2"


async def test_a_fault_is_not_used_up_by_requests_on_which_it_means_nothing(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "job", "outcome": "failed", "count": 1})
    await vercel.project()
    await vercel.roll_back("v2")
    vercel.clock.advance(2)
    assert (await vercel.project())["lastAliasRequest"]["jobStatus"] == "failed"


async def total(vercel: Driver, **changes: Any) -> int:
    body = (await vercel.query(groupBy=[], **changes)).json()
    return int(body["summary"][0]["vercel_request_count_sum"])


async def test_ingest_lag_hides_more_of_the_counts_and_rows(vercel: Driver) -> None:
    vercel.clock.advance(150)
    before = await total(vercel)
    await vercel.control("faults", {"kind": "ingest-lag", "seconds": 120})
    assert 0 < await total(vercel) < before
    newest = (await vercel.rows()).json()["rows"][0]["timestamp"]
    assert newest < "2026-11-21T20:00:30"


async def test_a_shifted_window_is_answered_and_echoed(vercel: Driver) -> None:
    vercel.clock.advance(150)
    await vercel.control("faults", {"kind": "shifted-window", "seconds": -3600})
    body = (await vercel.query(groupBy=[])).json()
    assert body["query"]["startTime"] == "2026-11-21T19:00:00.000Z"
    assert body["query"]["endTime"] == "2026-11-21T19:05:00.000Z"
    assert body["summary"] == [{"vercel_request_count_sum": 0}]


async def test_truncation_keeps_the_largest_groups_and_the_echo_tells_the_limit(vercel: Driver) -> None:
    vercel.clock.advance(150)
    whole = (await vercel.query()).json()["summary"]
    await vercel.control("faults", {"kind": "truncate", "groups": 1})
    cut = (await vercel.query()).json()
    assert cut["summary"] == whole[:1] != whole
    assert cut["query"]["limit"] == 1


async def statuses(vercel: Driver, number: int, path: str = "/v2/user") -> list[int]:
    return [(await vercel.get(path)).status_code for _ in range(number)]


async def test_a_fault_skips_then_fires_as_often_as_it_says(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "status", "status": 500, "skip": 1, "count": 2})
    assert await statuses(vercel, 5) == [200, 500, 500, 200, 200]


async def test_a_fault_fires_with_its_probability_the_same_for_the_same_seed(vercel: Driver) -> None:
    fault = {"id": "dice", "kind": "status", "status": 500, "probability": 0.5, "seed": 3}
    await vercel.control("faults", fault)
    first = await statuses(vercel, 40)
    await vercel.control("faults", fault)
    assert await statuses(vercel, 40) == first
    assert 8 < first.count(500) < 32


async def test_a_fault_aims_at_a_method_a_route_and_a_project() -> None:
    async with driving(a_scenario(projects=[a_project(), a_project(name="docs", domains=[])])) as vercel:
        await vercel.control("faults", {"kind": "status", "status": 503, "route": "project", "project": "docs"})
        assert (await vercel.get("/v9/projects/web")).status_code == 200
        assert (await vercel.get("/v9/projects/docs")).status_code == 503
        await vercel.client.delete("/__control/faults")
        await vercel.control("faults", {"kind": "status", "status": 503, "method": "PATCH"})
        assert (await vercel.get("/v9/projects/docs")).status_code == 200
        assert (await vercel.client.patch("/v9/projects/docs", json={})).status_code == 503


async def test_a_cleared_fault_fires_no_more(vercel: Driver) -> None:
    set_up = await vercel.control("faults", {"kind": "status", "status": 500})
    assert await statuses(vercel, 1) == [500]
    listed = await vercel.control("faults")
    assert [(fault["id"], fault["fired"]) for fault in listed] == [(set_up["id"], 1)]
    assert (await vercel.client.delete(f"/__control/faults/{set_up['id']}")).json() == {"cleared": 1}
    assert await statuses(vercel, 1) == [200]


async def test_a_scenario_sets_and_clears_faults_at_its_times() -> None:
    happenings = [
        {"at": "10s", "fault": {"id": "down", "kind": "status", "status": 503}},
        {"at": "20s", "clear_fault": "down"},
    ]
    async with driving(a_scenario(happenings=happenings)) as vercel:
        seen = []
        for step in (9.9, 0.1, 9.9, 0.1):
            vercel.clock.advance(step)
            seen += await statuses(vercel, 1)
        assert seen == [200, 503, 503, 200]


@pytest.mark.parametrize("body", [{"kind": "status", "status": 200}, {"kind": "nonsense"}, {"kind": "slow"}, {}, 5])
async def test_a_malformed_fault_is_refused_and_sets_nothing(vercel: Driver, body: Any) -> None:
    response = await vercel.client.post("/__control/faults", json=body)
    assert response.status_code == 400
    assert vercel.world.faults.listed() == []


async def test_the_hook_sees_each_point_of_a_request_and_what_it_applied(vercel: Driver) -> None:
    seen: list[tuple[str, str | None]] = []

    def note(point: str, entry: LedgerEntry) -> None:
        seen.append((point, entry.applied))

    vercel.world.request_hook = note
    await vercel.roll_back("v2")
    applied = f"rollback good ({vercel.id_of('good')}) -> v2 ({vercel.id_of('v2')})"
    assert seen == [("before_apply", None), ("after_apply", applied), ("after_answer", applied)]


@pytest.mark.parametrize("pid", [-1, 0, 1])
async def test_notify_refuses_to_kill_the_first_process_and_groups(vercel: Driver, pid: int) -> None:
    response = await vercel.client.post("/__control/faults", json={"kind": "notify", "kill_pid": pid})
    assert response.status_code == 400


def test_notify_refuses_to_kill_the_emulator_itself() -> None:
    with pytest.raises(ApiError, match="refusing to kill"):
        Faults().set(NotifyFault(kill_pid=os.getpid()))


@pytest.mark.parametrize("when", ["before_apply", "after_apply", "after_answer"])
async def test_notify_kills_once_when_the_wanted_request_reaches_the_point(when: str) -> None:
    killed: list[tuple[int, int]] = []
    async with driving() as vercel:
        vercel.world.faults.kill = lambda pid, number: killed.append((pid, number))
        await vercel.control("faults", {"kind": "notify", "kill_pid": 99_999, "when": when, "on_request": 2})
        await statuses(vercel, 1)
        assert killed == []
        await statuses(vercel, 3)
        assert killed == [(99_999, signal.SIGKILL)]


@pytest.mark.slow
async def test_notify_really_kills_a_process_and_survives_its_death(vercel: Driver) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    await vercel.control("faults", {"kind": "notify", "kill_pid": process.pid})
    assert await statuses(vercel, 1) == [200]
    assert await process.wait() == -signal.SIGKILL
    await vercel.control("faults", {"kind": "notify", "kill_pid": process.pid})
    assert await statuses(vercel, 1) == [200]


def test_a_spent_fault_stays_listed_and_matches_nothing() -> None:
    faults = Faults()
    faults.set(StatusFault(status=500, count=1))
    for _ in range(3):
        faults.strike(route=StatusFault(status=500).route, method="GET", project=None)
    assert [(fault.matched, fault.fired, fault.is_spent) for fault in faults.listed()] == [(1, 1, True)]
