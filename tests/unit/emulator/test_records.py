"""Single records of requests and log lines: what is found, how pages join, who may ask."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.emulator.counts import CellKey, Request
from daemon.emulator.routes import records
from tests.unit.emulator.driving import Driver, driving
from tests.unit.emulator.observing import a_failing_scenario, ask_records


@pytest.fixture
async def vercel() -> AsyncIterator[Driver]:
    async with driving(a_failing_scenario()) as driver:
        yield driver


def rows(driver: Driver) -> list[Request]:
    """Return the world's own rows, newest first."""
    return list(reversed(driver.world.traffic_of(driver.world.project("web")).counts.rows))


async def asked(driver: Driver, event: str = "vercel.proxy_response", **changes: Any) -> Any:
    answer = await ask_records(driver, event, **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_request_is_a_record_and_the_newest_comes_first(vercel: Driver) -> None:
    body = await asked(vercel, select=["requestId", "httpStatus", "requestHostname"])
    own = rows(vercel)
    assert [event["httpStatus"] for event in body["events"]] == [row.key.http_status for row in own]
    assert [event["requestHostname"] for event in body["events"]] == [row.domain for row in own]
    assert set(body["events"][0]) == {"timestamp", "requestId", "httpStatus", "requestHostname"}
    assert body["pagination"] == {"hasMore": False, "nextCursor": None}
    assert body["meta"]["excludedIntervals"] == []


async def test_the_filter_of_the_cli_leaves_production_errors_only(vercel: Driver) -> None:
    text = (
        '(environment:"production") AND (NOT pathType:"background_func") AND (httpStatus >= 500 AND httpStatus < 600)'
    )
    body = await asked(vercel, filter=text)
    own = [row for row in rows(vercel) if row.key.environment == "production" and row.key.http_status >= 500]
    assert len(own) > 10
    assert len(body["events"]) == len(own)


async def test_log_lines_are_records_of_their_own_and_can_be_searched(vercel: Driver) -> None:
    key = CellKey(vercel.id_of("good"), "production", "/", 200, "GET", "", "")
    loud = Request(
        vercel.clock.now_ms() - 1, 9_000, key, "www.example.com", "/", "serverless", "hello", 5, (("fatal", "Bye"),)
    )
    vercel.world.traffic_of(vercel.world.project("web")).counts.add([loud])
    body = await asked(vercel, "vercel.log", select=["level", "message", "stream", "requestId"], filter="bye OR hello")
    assert [(event["level"], event["message"], event["stream"]) for event in body["events"]] == [
        ("fatal", "Bye", "stderr"),
        ("info", "hello", "stdout"),
    ]
    errors = (await asked(vercel, "vercel.log", select=["message"], filter="level:error"))["events"]
    assert {event["message"] for event in errors} == {"TypeError: boom", "Error: preview build is broken"}


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_pages_join_without_a_gap_or_a_repetition(vercel: Driver, order: str) -> None:
    whole = [event["requestId"] for event in (await asked(vercel, order=order))["events"]]
    found: list[str] = []
    cursor = None
    while True:
        body = await asked(vercel, order=order, limit=97, cursor=cursor)
        found += [event["requestId"] for event in body["events"]]
        vercel.clock.advance(1)
        cursor = body["pagination"]["nextCursor"]
        assert body["pagination"]["hasMore"] == (cursor is not None)
        if cursor is None:
            break
    assert found == whole
    assert len(set(whole)) == len(whole) > 300


async def test_a_cursor_belongs_to_its_query_whatever_the_size_of_the_page(vercel: Driver) -> None:
    cursor = (await asked(vercel, limit=2))["pagination"]["nextCursor"]
    assert (await ask_records(vercel, limit=5, cursor=cursor)).status_code == 200
    for changes in ({"filter": "httpStatus:503"}, {"order": "asc"}, {"event": "vercel.log", "select": None}):
        assert (await ask_records(vercel, **changes, cursor=cursor)).status_code == 400
    assert (await ask_records(vercel, cursor="nonsense")).status_code == 400


async def test_a_page_that_is_too_large_is_refused_and_a_smaller_one_is_not(
    vercel: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four million characters would take a second to make.
    monkeypatch.setattr(records, "ANSWER_MAX_CHARACTERS", 10_000)
    answer = await ask_records(vercel)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "result_too_large")
    assert (await ask_records(vercel, limit=10)).status_code == 200


async def test_a_fault_makes_pages_smaller_than_asked(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "page", "rows": 2})
    body = await asked(vercel, limit=10)
    assert len(body["events"]) == 2
    assert body["pagination"]["hasMore"]
    page = (await vercel.rows()).json()
    assert (len(page["rows"]), page["hasMoreRows"]) == (2, True)


async def test_request_records_are_not_free_and_log_lines_are() -> None:
    async with driving(a_failing_scenario(team={"observability_plus": False})) as vercel:
        assert (await ask_records(vercel)).status_code == 402
        assert (await asked(vercel, "vercel.log", select=["message"]))["events"]


async def test_a_priority_project_has_request_records_without_the_addition() -> None:
    whole = a_failing_scenario(team={"observability_plus": False})
    scenario = whole.model_copy(update={"projects": (whole.projects[0].model_copy(update={"priority": True}),)})
    async with driving(scenario) as vercel:
        assert (await ask_records(vercel)).status_code == 200


@pytest.mark.parametrize(("plan", "hours"), [("hobby", 1), ("pro", 24), ("enterprise", 72)])
async def test_a_window_is_cut_to_what_the_plan_retains_and_the_answer_says_so(plan: str, hours: int) -> None:
    team = {"plan": plan, "observability_plus": False}
    async with driving(a_failing_scenario(team=team)) as vercel:
        early = {"start": "2026-11-01T00:00:00.000Z", "end": "2026-11-21T20:00:00.000Z"}
        body = await asked(vercel, "vercel.log", select=["message"], timeRange=early)
        (excluded,) = body["meta"]["excludedIntervals"]
        ends = {1: "2026-11-21T19:00:00.000Z", 24: "2026-11-20T20:00:00.000Z", 72: "2026-11-18T20:00:00.000Z"}
        assert excluded == {"start": early["start"], "end": ends[hours]}
        gone = {"start": "2026-11-01T00:00:00.000Z", "end": ends[hours]}
        answer = await ask_records(vercel, "vercel.log", select=["message"], timeRange=gone)
        assert answer.status_code == 400
        assert answer.json()["error"]["issues"][0]["path"] == "timeRange"


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "vercel.nothing"},
        {"scope": {}},
        {"timeRange": {}},
        {"select": ["nobody"]},
        {"select": "requestId"},
        {"order": "random"},
        {"limit": 0},
        {"limit": 1001},
        {"filter": "nobody:x"},
        {"filter": "boom"},
        {"filter": 5},
    ],
    ids=str,
)
async def test_a_malformed_question_is_refused_and_says_where(vercel: Driver, changes: dict[str, Any]) -> None:
    answer = await ask_records(vercel, **changes)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["issues"][0]["path"]


async def test_the_route_can_be_gone() -> None:
    async with driving(a_failing_scenario(knobs={"undocumented_routes": "gone"})) as vercel:
        assert (await ask_records(vercel)).status_code == 404
