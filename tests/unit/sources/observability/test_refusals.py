"""Which answers are refused, in either dialect, and whose trouble they are."""

import httpx
import pytest

from daemon.core.signal import SignalReason
from daemon.ports.errors import Unintelligible
from daemon.vercel.wire import to_iso
from tests.unit.sources.observability.serving import MINUTE, PROJECT, SECOND, START, Counts, Watcher
from tests.unit.vercel.fakes import an_error

END = START + 2 * MINUTE
NOW = END + 75 * SECOND
V2, V1 = "v2", "metrics_v1"
BOTH = pytest.mark.parametrize("dialect", [V2, V1])


def some_counts() -> Counts:
    counts = Counts()
    counts.show(0, 90)
    counts.show(1, 80)
    counts.show(0, 7, status=500)
    counts.show(0, 3, status=503)
    counts.show(0, 2, status=500, code="INTERNAL_UNEXPECTED_ERROR")
    counts.show(1, 5, deployment="dpl_b")
    return counts


# What is refused: the same of both, each in its own words


async def refused(counts: Counts, dialect: str, **settings) -> Unintelligible:
    with pytest.raises(Unintelligible) as caught:
        await Watcher(counts, dialect=dialect, **settings).read(NOW)
    return caught.value


def rows(answer, part):
    return answer[{"buckets": "data" if "data" in answer else "series"}.get(part, part)]


def put(row, field, value):
    """Put *value* into a column, named as the public dialect names it."""
    if "dimensions" not in row:
        row[field] = value
    elif field == "vercel_request_count_sum":
        row["values"]["value"] = value
    elif field == "timestamp":
        row[field] = value
    else:
        camel = "".join(word.title() if at else word for at, word in enumerate(field.split("_")))
        row["dimensions"][camel] = value


@BOTH
@pytest.mark.parametrize("count", [-1, 1.0, 1.5, "5", None, True, [], 2**80 + 0.5])
@pytest.mark.parametrize("part", ["buckets", "summary"])
async def test_I_08_a_count_that_is_no_count_is_refused(dialect, part, count):
    counts = some_counts()
    counts.bend = lambda answer: put(rows(answer, part)[0], "vercel_request_count_sum", count) or answer
    assert "value" in str(error := await refused(counts, dialect)) or "count_sum" in str(error)
    assert error.reason is SignalReason.SCHEMA_DRIFT


@BOTH
async def test_I_08_not_a_number_is_refused(dialect):
    counts = some_counts()
    body = b'{"query":{},"data":[{"vercel_request_count_sum":NaN}],"series":[],"summary":[]}'
    counts.bend = lambda _: httpx.Response(200, content=body, headers={"content-type": "application/json"})
    assert (await refused(counts, dialect)).reason is SignalReason.SCHEMA_DRIFT


@BOTH
@pytest.mark.parametrize("status", ["5xx", "-1", "50", "5000", "099", "²00", 500.0, True, "OK", [500]])
async def test_a_status_that_is_no_status_is_refused(dialect, status):
    counts = some_counts()
    counts.bend = lambda answer: put(rows(answer, "buckets")[0], "http_status", status) or answer
    message = str(await refused(counts, dialect, resolution="fine"))
    assert "http_status" in message or "httpStatus" in message


@BOTH
@pytest.mark.parametrize("timestamp", ["2026-11-21T20:10:30.000Z", "2026-11-21T20:10:00.000", 1795291800000, "now"])
async def test_a_bucket_that_does_not_begin_with_a_minute_is_refused(dialect, timestamp):
    counts = some_counts()
    counts.bend = lambda answer: put(rows(answer, "buckets")[0], "timestamp", timestamp) or answer
    assert (await refused(counts, dialect)).reason is SignalReason.SCHEMA_DRIFT


@pytest.mark.parametrize("column", ["timestamp", "project_id", "deployment_id", "http_status", "error_code"])
async def test_a_missing_column_is_refused_and_named(column):
    counts = some_counts()
    counts.bend = lambda answer: (
        answer | {"data": [{k: v for k, v in row.items() if k != column} for row in answer["data"]]}
    )
    assert column in str(await refused(counts, V2, resolution="fine"))


@pytest.mark.parametrize("column", ["projectId", "deploymentId", "httpStatus", "errorCode"])
async def test_a_missing_dimension_is_refused_and_named(column):
    counts = some_counts()

    def without(answer):
        for row in answer["series"]:
            row["dimensions"] = {key: value for key, value in row["dimensions"].items() if key != column}
        return answer

    counts.bend = without
    assert column in str(await refused(counts, V1, resolution="fine"))


@pytest.mark.parametrize(
    ("dialect", "key"), [(V2, "query"), (V2, "data"), (V2, "summary"), (V1, "series"), (V1, "summary")]
)
async def test_a_missing_part_is_refused_and_named(dialect, key):
    counts = some_counts()
    counts.bend = lambda answer: {name: part for name, part in answer.items() if name != key}
    assert key in str(await refused(counts, dialect))


@BOTH
async def test_a_group_that_is_counted_twice_in_a_bucket_is_refused(dialect):
    counts = some_counts()
    counts.bend = lambda answer: rows(answer, "buckets").append(rows(answer, "buckets")[0]) or answer
    error = await refused(counts, dialect)
    assert (error.reason, "twice" in str(error)) == (SignalReason.INCONSISTENT, True)


@BOTH
@pytest.mark.parametrize("difference", [-1, 1])
async def test_a_summary_that_does_not_add_up_is_refused(dialect, difference):
    counts = some_counts()

    def off(answer):
        row = answer["summary"][0]
        known = row["values"]["value"] if "values" in row else row["vercel_request_count_sum"]
        put(row, "vercel_request_count_sum", known + difference)
        return answer

    counts.bend = off
    error = await refused(counts, dialect)
    assert (error.reason, "summary" in str(error)) == (SignalReason.INCONSISTENT, True)


@BOTH
@pytest.mark.parametrize("part", ["buckets", "summary"])
async def test_a_group_in_only_one_of_both_parts_is_refused(dialect, part):
    counts = some_counts()
    counts.bend = lambda answer: rows(answer, part).clear() or answer
    assert (await refused(counts, dialect)).reason is SignalReason.INCONSISTENT


@BOTH
async def test_more_errors_than_requests_are_refused(dialect):
    counts = some_counts()

    def without_requests(answer):
        for row in (*rows(answer, "buckets"), *rows(answer, "summary")):
            if not {"http_status", "httpStatus"} & row.get("dimensions", row).keys():
                put(row, "vercel_request_count_sum", 0)
        return answer

    counts.bend = without_requests
    error = await refused(counts, dialect)
    assert (error.reason, "errors of 0 requests" in str(error)) == (SignalReason.INCONSISTENT, True)


@BOTH
@pytest.mark.parametrize("minutes", [-60, -2, 4, 60])
async def test_a_bucket_far_beside_the_window_is_refused(dialect, minutes):
    counts = some_counts()
    counts.bend = lambda answer: (
        put(rows(answer, "buckets")[0], "timestamp", to_iso(START + minutes * MINUTE)) or answer
    )
    error = await refused(counts, dialect)
    assert (error.reason, "shifted window" in str(error)) == (SignalReason.SHIFTED_WINDOW, True)


@pytest.mark.parametrize(("start", "end"), [(1, 0), (0, 1), (-60, -60), (60, 60)])
async def test_a_window_that_is_echoed_otherwise_is_refused(start, end):
    counts = some_counts()
    moved = {"startTime": to_iso(START + start * MINUTE), "endTime": to_iso(END + end * MINUTE)}
    counts.bend = lambda answer: answer | {"query": answer["query"] | moved}
    assert (await refused(counts, V2)).reason is SignalReason.SHIFTED_WINDOW


async def test_an_echo_in_another_zone_is_the_same_window():
    counts = some_counts()

    def elsewhere(answer):
        for name in ("startTime", "endTime"):
            answer["query"][name] = answer["query"][name].replace("T20", "T22").replace("Z", "+02:00")
        return answer

    counts.bend = elsewhere
    assert (await Watcher(counts, dialect=V2).read(NOW)).samples


@pytest.mark.parametrize("minute", [-1, 2])
@pytest.mark.parametrize("in_summary", [True, False])
async def test_the_public_route_may_round_the_window_out_by_a_bucket_that_is_left_out(minute, in_summary):
    counts = some_counts()

    def rounded_out(answer):
        if len(answer["query"]["groupBy"]) == 4:
            extra = {"http_status": "500", "error_code": ""}
            row = {"project_id": PROJECT, "deployment_id": "dpl_a", "vercel_request_count_sum": 3} | extra
            answer["data"].append(row | {"timestamp": to_iso(START + minute * MINUTE)})
            known = next(one for one in answer["summary"] if one.items() >= extra.items())
            known["vercel_request_count_sum"] += 3 * in_summary
        return answer

    counts.bend = rounded_out
    reading = await Watcher(counts, dialect=V2).read(NOW)
    assert [one.errors for one in reading.samples] == [10, 0, 0]


@pytest.mark.parametrize("filtered", ["", "environment eq 'production'", None])
async def test_a_filter_that_was_not_applied_is_refused(filtered):
    counts = some_counts()
    counts.bend = lambda answer: answer | {"query": answer["query"] | {"filter": filtered}}
    assert "filter" in str(await refused(counts, V2))


@BOTH
async def test_other_statuses_among_the_5xx_are_refused(dialect):
    counts = some_counts()

    def bend(answer):
        for row in rows(answer, "buckets"):
            put(row, "http_status", "404")
        return answer

    counts.bend = bend
    assert "status 404 among the 5xx" in str(await refused(counts, dialect))


@pytest.mark.parametrize(
    ("groups", "limit", "is_refused"),
    [(499, 500, False), (500, 500, True), (9, 10, False), (10, 10, True), (0, 0, True)],
)
async def test_I_01_a_truncated_answer_is_refused(groups, limit, is_refused):
    counts = Counts()
    for number in range(groups):
        counts.show(0, 1, deployment=f"dpl_{number}")
    counts.bend = lambda answer: answer | {"query": answer["query"] | {"limit": limit}}
    if not is_refused:
        assert len((await Watcher(counts, dialect=V2).read(NOW)).samples) == groups
        return
    error = await refused(counts, V2)
    assert (error.reason, "truncated" in str(error)) == (SignalReason.TRUNCATED, True)


async def test_groups_are_counted_in_the_summary_not_in_the_buckets():
    counts = Counts()
    for number in range(300):
        counts.show(0, 1, deployment=f"dpl_{number}")
        counts.show(1, 1, deployment=f"dpl_{number}")
    assert len((await Watcher(counts, dialect=V2).read(NOW)).samples) == 600


@BOTH
async def test_html_is_no_answer(dialect):
    counts = some_counts()
    counts.bend = lambda _: httpx.Response(200, html="<html>")
    assert (await refused(counts, dialect)).reason is SignalReason.SCHEMA_DRIFT


@BOTH
async def test_an_empty_answer_counts_nothing_and_moves_nothing(dialect):
    reading = await Watcher(Counts(), dialect=dialect).read(NOW)
    assert (list(reading.samples), reading.complete_until) == ([], START)


# Trouble with one project is its own


@BOTH
@pytest.mark.parametrize("count", [-4, "4"])
async def test_a_row_that_cannot_be_read_is_the_trouble_of_its_project_alone(dialect, count):
    counts = some_counts()
    counts.show(0, 40, project="prj_other", deployment="dpl_o")

    def bend(answer):
        for row in rows(answer, "buckets"):
            if "prj_other" in str(row):
                put(row, "vercel_request_count_sum", count)
        return answer

    counts.bend = bend
    entries = await Watcher(counts, dialect=dialect).ask(NOW, PROJECT, "prj_other")
    assert isinstance(entries["prj_other"], Unintelligible)
    assert [one.requests for one in entries[PROJECT].samples] == [102, 80, 5]


@BOTH
async def test_counts_that_contradict_themselves_are_the_trouble_of_their_project_alone(dialect):
    counts = some_counts()
    counts.show(0, 40, project="prj_other", deployment="dpl_o")

    def bend(answer):
        for row in answer["summary"]:
            if "prj_other" in str(row):
                put(row, "vercel_request_count_sum", 41)
        return answer

    counts.bend = bend
    entries = await Watcher(counts, dialect=dialect).ask(NOW, PROJECT, "prj_other")
    assert entries["prj_other"].reason is SignalReason.INCONSISTENT
    assert [one.requests for one in entries[PROJECT].samples] == [102, 80, 5]


@BOTH
async def test_a_row_that_cannot_be_read_and_names_no_project_spoils_the_answer(dialect):
    counts = some_counts()
    counts.bend = lambda answer: put(rows(answer, "buckets")[0], "project_id", 7) or answer
    entries = await Watcher(counts, dialect=dialect).ask(NOW, PROJECT, "prj_other")
    assert {type(entry) for entry in entries.values()} == {Unintelligible}


async def test_a_part_that_contradicts_itself_and_names_no_project_spoils_the_answer():
    counts = some_counts()

    def bend(answer):
        answer["data"].append(answer["data"][0] | {"project_id": "", "vercel_request_count_sum": 3})
        return answer

    counts.bend = bend
    entries = await Watcher(counts, dialect=V2).ask(NOW, PROJECT, "prj_other")
    assert {entry.reason for entry in entries.values()} == {SignalReason.INCONSISTENT}


@BOTH
async def test_counts_of_projects_that_nobody_asked_for_are_left_alone(dialect):
    counts = some_counts()
    for number in range(5):
        counts.show(0, 40, project=f"prj_other{number}", status=500)
    entries = await Watcher(counts, dialect=dialect).ask(NOW, PROJECT, *[f"prj_{number}" for number in range(20)])
    assert [one.requests for one in entries[PROJECT].samples] == [102, 80, 5]
    assert set(entries) == {PROJECT, *[f"prj_{number}" for number in range(20)]}


async def test_a_body_that_is_too_long_for_one_project_is_its_trouble():
    counts = some_counts()
    counts.bend = lambda _: an_error(413, "result_too_large")
    entries = await Watcher(counts, dialect=V2).ask(NOW, PROJECT)
    assert entries[PROJECT].status == 413
