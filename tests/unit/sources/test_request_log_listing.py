"""What is refused: rows with missing or odd fields, and rows that cannot be what was asked for; each has its reason."""

import json
import math
from datetime import timedelta

import httpx
import pytest

from daemon.core.signal import SignalReason
from daemon.ports.errors import Unintelligible
from daemon.sources.request_log_rows import read_duration
from tests.unit.sources.request_log import PATH, RequestLog, a_log_row, a_source, collect, counted, read
from tests.unit.vercel.fakes import by_path


@pytest.mark.parametrize("field", ["requestId", "timestamp", "statusCode", "deploymentId"])
async def test_one_row_without_a_field_that_we_count_by_refuses_the_answer_and_names_the_field(field):
    row = a_log_row(2)
    del row[field]
    page = {"rows": [a_log_row(3), row, a_log_row(1)], "hasMoreRows": False}
    with pytest.raises(Unintelligible, match=rf"rows\.1\.{field}") as caught:
        await collect(by_path({PATH: [page]}))
    assert caught.value.reason is SignalReason.SCHEMA_DRIFT


@pytest.mark.parametrize("field", ["environment", "errorCode", "wafAction", "requestDurationMs", "logs", "events"])
async def test_a_row_without_any_other_field_is_counted(field):
    row = a_log_row(1)
    del row[field]
    assert counted((await collect(RequestLog([row]))).samples) == (1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"requestId": ""},
        {"requestId": 7},
        {"requestId": None},
        {"requestId": "x" * 513},
        {"timestamp": 1795291800000},
        {"timestamp": "2026-11-21T20:10:31"},
        {"timestamp": "soon"},
        {"deploymentId": 7},
        {"statusCode": "500"},
        {"statusCode": 500.0},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": 1000},
        {"statusCode": -2},
        {"environment": 7},
        {"environment": "x" * 101},
        {"errorCode": 7},
        {"wafAction": True},
    ],
)
async def test_a_row_with_a_field_of_the_wrong_kind_is_refused(changes):
    page = {"rows": [a_log_row(1) | changes], "hasMoreRows": False}
    with pytest.raises(Unintelligible, match=next(iter(changes))) as caught:
        await collect(by_path({PATH: [page]}))
    assert caught.value.reason is SignalReason.SCHEMA_DRIFT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(54, 0.054), (0, 0), (1.5, 0.0015), (1e300, 3600), (-1, None), (math.nan, None), (True, None), ("9", None)],
)
def test_a_duration_that_is_none_is_unknown_and_refuses_nothing(value, seconds):
    assert read_duration(value) == (None if seconds is None else timedelta(seconds=seconds))


async def test_a_status_that_is_no_number_is_refused():
    page = json.dumps({"rows": [a_log_row(1, status=math.nan)], "hasMoreRows": False})
    with pytest.raises(Unintelligible):
        await collect(httpx.Response(200, text=page, headers={"content-type": "application/json"}))


@pytest.mark.parametrize("answer", [{}, {"rows": []}, {"rows": [], "hasMoreRows": "no"}, {"hasMoreRows": False}, []])
async def test_a_page_that_is_no_page_is_refused(answer):
    with pytest.raises(Unintelligible) as caught:
        await collect(by_path({PATH: [answer]}))
    assert caught.value.reason is SignalReason.SCHEMA_DRIFT


async def test_a_page_that_promises_more_and_gives_nothing_is_refused():
    with pytest.raises(Unintelligible, match="promises more") as caught:
        await collect(by_path({PATH: [{"rows": [], "hasMoreRows": True}]}))
    assert caught.value.reason is SignalReason.TRUNCATED


async def test_an_empty_last_page_is_the_end_of_the_list():
    pages = [
        {"rows": [], "hasMoreRows": False},
        {"rows": [a_log_row(9)], "hasMoreRows": True},
        {"rows": [], "hasMoreRows": False},
    ]
    assert (await collect(by_path({PATH: pages}))).covered == 1.0


@pytest.mark.parametrize(("seconds", "is_refused"), [(-1.001, True), (-1, False), (61, False), (61.001, True)])
async def test_a_row_far_outside_of_the_window_is_refused(seconds, is_refused):
    log = RequestLog([a_log_row(seconds)])
    if is_refused:
        with pytest.raises(Unintelligible, match="shifted window") as caught:
            await collect(log)
        assert caught.value.reason is SignalReason.SHIFTED_WINDOW
    else:
        assert list((await collect(log)).samples) == []


async def test_rows_of_another_environment_are_refused():
    with pytest.raises(Unintelligible, match="preview") as caught:
        await collect(RequestLog([a_log_row(1, environment="preview")]))
    assert caught.value.reason is SignalReason.INCONSISTENT


@pytest.mark.parametrize("counts", ["ratio", "errors"])
async def test_a_filter_that_was_not_applied_is_refused(counts):
    log = RequestLog([a_log_row(1)], failed=[a_log_row(1)])
    with pytest.raises(Unintelligible, match="status 200 among the 5xx") as caught:
        await collect(log, counts=counts)
    assert caught.value.reason is SignalReason.INCONSISTENT


@pytest.mark.parametrize(("gap", "is_refused"), [(1.0, False), (1.001, True)])
async def test_rows_that_are_not_newest_first_are_refused(gap, is_refused):
    log = RequestLog([])
    log.rows = [a_log_row(10), a_log_row(10 + gap)]
    if is_refused:
        with pytest.raises(Unintelligible, match="newest first") as caught:
            await collect(log)
        assert caught.value.reason is SignalReason.INCONSISTENT
    else:
        assert counted((await collect(log)).samples) == (2, 0)


async def test_a_second_page_that_is_newer_than_the_first_is_refused():
    log = RequestLog([])
    log.rows = [a_log_row(30 - n / 10, number=n) for n in range(50)] + [a_log_row(40, number=999)]
    with pytest.raises(Unintelligible, match="newest first"):
        await collect(log)


async def test_an_answer_that_is_refused_changes_nothing_for_the_next_one():
    bad = httpx.Response(200, json={"rows": [{}], "hasMoreRows": False})
    source, _ = a_source(bad, RequestLog([a_log_row(n) for n in range(10)]))
    with pytest.raises(Unintelligible):
        await read(source)
    assert counted((await read(source)).samples) == (10, 0)
