"""What may be wrong with an answer, in the words of each server."""

import asyncio
import functools
import gzip
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.integration.corruptions.meddling import Answer, Edit
from tests.integration.virtual_time import EPOCH

JSON = {"content-type": "application/json"}
COUNT = "vercel_request_count_sum"
Document = Any
Row = dict[str, Any]


def document(change: Callable[[Document], Document]) -> Edit:
    """Let another JSON value be answered; *change* may change the one that it gets, and returns the one to send."""

    def edit(_request: httpx.Request, answer: Answer) -> Answer:
        return answer.saying(change(answer.document)) if answer.status == 200 else answer

    return edit


def body(content: bytes, **headers: str) -> Edit:
    """Let other bytes be answered."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, answer: Answer(answer.status, answer.headers | named, content)


def body_of(content: Callable[[], bytes], **headers: str) -> Edit:
    """Let bytes be answered that are made when they are needed, for they are many."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, answer: Answer(answer.status, answer.headers | named, content())


@functools.cache
def deflated(megabytes: int) -> bytes:
    """Return a few bytes that inflate to many."""
    return gzip.compress(b" " * (megabytes * 1_000_000), mtime=0)


def status(code: int, **headers: str) -> Edit:
    """Let another status be answered, with an error in nobody's envelope."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, _answer: Answer(code, JSON | named, b'{"error": "as asked"}')


def reset(request: httpx.Request, _answer: Answer) -> Answer:
    raise httpx.ReadError("as asked", request=request)


def cut(_request: httpx.Request, answer: Answer) -> Answer:
    """Let the text of the answer end in its middle, as if it were whole."""
    return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])


def bomb(megabytes: int) -> Edit:
    """Let a few bytes be answered that inflate to many."""
    return body_of(lambda: deflated(megabytes), content_encoding="gzip")


def overlong(megabytes: int) -> Edit:
    """Let more be answered than anybody should read."""
    return body_of(lambda: b" " * (megabytes * 1_000_000))


# Counts


def rows_of(found: Document) -> list[Row]:
    """Return every row of an answer that counts something, whichever server gave it."""
    if "rows" in found:
        return list(found["rows"])
    if "series" in found:
        return [*found["series"], *found["summary"]]
    return [*found["data"], *found["summary"]]


def parts_of(found: Document) -> list[Row]:
    """Return the list whose rows have a time."""
    rows: list[Row] = found["rows"] if "rows" in found else found["series"] if "series" in found else found["data"]
    return rows


def _place(row: Row) -> tuple[Row, str]:
    """Return where a row holds its number: a count, or the status of a request."""
    if "values" in row:
        return row["values"], "value"
    return row, COUNT if COUNT in row else "statusCode"


def each_number(change: Callable[[Any], Any]) -> Edit:
    """Let every number be another one."""

    def changed(found: Document) -> Document:
        for row in rows_of(found):
            place, name = _place(row)
            place[name] = change(place[name])
        return found

    return document(changed)


def without_number(found: Document) -> Document:
    for row in rows_of(found):
        place, name = _place(row)
        del place[name]
    return found


def without_deployment(found: Document) -> Document:
    for row in rows_of(found):
        row.get("dimensions", row).pop("deployment_id" if "deployment_id" in row else "deploymentId")
    return found


def twice(found: Document) -> Document:
    """Let every row with a time be there twice."""
    parts = parts_of(found)
    parts += [dict(row) for row in parts]
    return found


def backwards(found: Document) -> Document:
    parts_of(found).reverse()
    return found


def half_the_parts(found: Document) -> Document:
    """Let every second row with a time be missing, though the sums still hold all."""
    del parts_of(found)[::2]
    return found


def nothing_but_zeros(found: Document) -> Document:
    for row in rows_of(found):
        place, name = _place(row)
        place[name] = 0
    return found


def no_rows(found: Document) -> Document:
    parts_of(found).clear()
    if "summary" in found:
        found["summary"].clear()
    return found


def five_hundred_groups(found: Document) -> Document:
    """Let there be as many groups as an answer can hold, so that nobody knows how many more there are."""
    for row in found["summary"][:1]:
        for number in range(500):
            group = row.get("dimensions", row)
            name = "deployment_id" if "deployment_id" in row else "deploymentId"
            copied = (
                {**row, "dimensions": {**group, name: f"dpl_{number}"}}
                if "dimensions" in row
                else {
                    **row,
                    name: f"dpl_{number}",
                }
            )
            found["summary"].append(copied)
    return found


def moved(seconds: int) -> Callable[[Document], Document]:
    """Let every row with a time be of another time, whatever is echoed."""

    def changed(found: Document) -> Document:
        for row in parts_of(found):
            row["timestamp"] = _shift(row["timestamp"], seconds)
        return found

    return changed


def _shift(moment: str, seconds: int) -> str:
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def more_errors_than_requests(request: httpx.Request, answer: Answer) -> Answer:
    """Let the answer about errors alone count a thousandfold."""
    if b"599" not in request.content or answer.status != 200:
        return answer
    found = answer.document
    for row in rows_of(found):
        place, name = _place(row)
        place[name] *= 1000
    return answer.saying(found)


def without_open_minute(request: httpx.Request, answer: Answer) -> Answer:
    """Let the minute that is not over yet be missing, rows and sums alike."""
    if answer.status != 200:
        return answer
    found = answer.document
    parts = parts_of(found)
    now = EPOCH + timedelta(seconds=asyncio.get_running_loop().time())
    keep = [row for row in parts if datetime.fromisoformat(row["timestamp"]) + timedelta(minutes=1) <= now]
    sums: dict[str, int] = {}
    for row in keep:
        place, name = _place(row)
        key = _group(row)
        sums[key] = sums.get(key, 0) + place[name]
    parts[:] = keep
    for row in found["summary"]:
        place, name = _place(row)
        place[name] = sums.get(_group(row), 0)
    return answer.saying(found)


def _group(row: Row) -> str:
    known = row.get("dimensions", row)
    return repr(sorted((name, value) for name, value in known.items() if name not in ("timestamp", COUNT)))


def an_unknown_field(found: Document) -> Document:
    for row in rows_of(found):
        row["newInThisRelease"] = {"a": [1, 2]}
    found["alsoNew"] = True
    return found


def of_preview(found: Document) -> Document:
    for row in rows_of(found):
        row["environment"] = "preview"
    return found


def promising_more(request: httpx.Request, answer: Answer) -> Answer:
    """Let every page after the first promise more, and hold nothing."""
    if answer.status != 200:
        return answer
    found = answer.document
    return answer.saying({**found, "rows": [], "hasMoreRows": True})


def every_row_twice_on_the_page(found: Document) -> Document:
    found["rows"] = [row for row in found["rows"] for _ in range(2)]
    return found


def others_missing_from_all(request: httpx.Request, answer: Answer) -> Answer:
    """Let the list of all requests lack the failed ones, which the list of failures holds."""
    query = parse_qs(request.url.query.decode())
    if "statusCode" in query or answer.status != 200:
        return answer
    found = answer.document
    return answer.saying({**found, "rows": [row for row in found["rows"] if row["statusCode"] < 500]})


# Prometheus


def each_series(change: Callable[[Row], Row]) -> Edit:
    """Let every series be another one."""

    def changed(found: Document) -> Document:
        found["data"]["result"] = [change(one) for one in found["data"]["result"]]
        return found

    return document(changed)


def each_value(change: Callable[[float, str], list[Any]], *, mark: str | None = None) -> Edit:
    """Let every value be another one, or those of one expression alone."""

    def changed(series: Row) -> Row:
        if mark not in (None, series["metric"]["lastgood_count"]):
            return series
        return {**series, "values": [change(at, value) for at, value in series["values"]]}

    return each_series(changed)


def without_label(name: str) -> Edit:
    """Let every series lack a label."""
    return each_series(
        lambda series: {**series, "metric": {key: value for key, value in series["metric"].items() if key != name}}
    )


def series_twice(found: Document) -> Document:
    found["data"]["result"] *= 2
    return found


def without_errors(found: Document) -> Document:
    found["data"]["result"] = [one for one in found["data"]["result"] if one["metric"]["lastgood_count"] == "requests"]
    return found


def without_newest(series: Row) -> Row:
    return {**series, "values": series["values"][:-1]}


def newest_again(series: Row) -> Row:
    """Let a value come after the newest that is no newer."""
    return {**series, "values": [*series["values"], *series["values"][-1:]]}


def adding(**keys: object) -> Edit:
    """Let the answer say more than it did."""
    return document(lambda found: {**found, **keys})


# A site


def unnamed(_request: httpx.Request, answer: Answer) -> Answer:
    return Answer(
        answer.status, {name: value for name, value in answer.headers.items() if "deployment" not in name}, b""
    )


def named(deployment: str) -> Edit:
    """Let every answer name that deployment."""
    return lambda _request, answer: Answer(answer.status, answer.headers | {"x-deployment-id": deployment}, answer.body)
