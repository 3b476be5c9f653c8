"""The endpoint: it proves to be ours, believes only what was signed, and turns away what is more than it can take."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from daemon.ports.buckets import GapReason
from daemon.ports.drain import BatchOutcome
from daemon.web.drain import receiver as receiver_module
from daemon.web.drain.secrets import Secret
from tests.fakes.clock import VirtualClock
from tests.unit.web.drain.receiving import (
    OTHER_SECRET,
    SECRET,
    STREAM,
    Reception,
    an_entry,
    lines,
    requests,
    signature,
)

BATCH = lines(requests(3))


@pytest.fixture
async def reception() -> AsyncIterator[Reception]:
    reception = Reception(VirtualClock(), body_bytes_max=64 * 1024, inflated_bytes_max=256 * 1024)
    async with reception.client:
        yield reception


async def refused(reception: Reception, answer: httpx.Response, status: int, outcome: BatchOutcome) -> bool:
    """Whether a batch was refused so, and nothing of it counted."""
    assert answer.status_code == status
    assert reception.record.batches == {outcome: 1}
    assert "x-vercel-verify" not in answer.headers
    assert len(answer.text.strip()) > 10
    return await reception.counted() == (0, 0)


# The handshake


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_it_proves_to_be_ours(reception: Reception, method: str) -> None:
    answer = await reception.client.request(method, "/drain")
    assert (answer.status_code, answer.headers["x-vercel-verify"]) == (200, "code-1")


async def test_a_batch_that_was_taken_is_answered_with_the_proof_too(reception: Reception) -> None:
    answer = await reception.post(BATCH)
    assert (answer.status_code, answer.headers["x-vercel-verify"], answer.content) == (200, "code-1", b"")


@pytest.mark.parametrize("body", [b"", b"[]"])
async def test_a_probe_with_an_empty_batch_is_taken(reception: Reception, body: bytes) -> None:
    assert (await reception.post(body)).status_code == 200
    assert await reception.counted() == (0, 0)


async def test_without_a_code_there_is_no_proof() -> None:
    reception = Reception(VirtualClock(), verify_code=None)
    answer = await reception.client.get("/drain")
    assert (answer.status_code, "x-vercel-verify" in answer.headers) == (200, False)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_told_which_ones_there_are(reception: Reception, method: str) -> None:
    answer = await reception.client.request(method, "/drain")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


# The signature


async def test_a_signed_batch_is_counted(reception: Reception) -> None:
    assert (await reception.post(BATCH)).status_code == 200
    assert await reception.counted() == (3, 0)
    assert reception.record.batches == {BatchOutcome.TAKEN: 1}


@pytest.mark.parametrize(
    "wrong", ["", "0" * 40, signature(BATCH, b"nobody's"), signature(BATCH + b"x"), signature(BATCH).upper()]
)
async def test_a_wrong_signature_is_forbidden(reception: Reception, wrong: str) -> None:
    answer = await reception.post(BATCH, x_vercel_signature=wrong)
    assert await refused(reception, answer, 403, BatchOutcome.WRONG_SIGNATURE)
    assert await reception.gaps() == [], "nobody but the drain can make us blind"


async def test_nothing_is_inflated_or_decoded_before_the_signature_was_found_good(reception: Reception) -> None:
    bomb = gzip.compress(b"\0" * 5_000_000)
    answer = await reception.post(bomb, content_encoding="gzip", x_vercel_signature="0" * 40)
    assert await refused(reception, answer, 403, BatchOutcome.WRONG_SIGNATURE)


async def test_the_signature_is_over_the_body_as_it_is_sent(reception: Reception) -> None:
    body = gzip.compress(BATCH)
    wrong = await reception.post(body, content_encoding="gzip", x_vercel_signature=signature(BATCH))
    right = await reception.post(body, content_encoding="gzip")
    assert (wrong.status_code, right.status_code) == (403, 200)


async def test_every_drain_has_a_secret_of_its_own_and_it_may_be_rotated(reception: Reception) -> None:
    reception.secrets = [Secret(STREAM, b"newer"), Secret(STREAM, SECRET), Secret("other", OTHER_SECRET)]
    for number, secret in enumerate((SECRET, b"newer", OTHER_SECRET)):
        body = lines(requests(1, first=number))
        assert (await reception.post(body, x_vercel_signature=signature(body, secret))).status_code == 200
    assert {one.stream for one in (await reception.standing()).heard} == {STREAM, "other"}
    reception.secrets = reception.secrets[:1]
    assert (await reception.post(BATCH)).status_code == 403


async def test_without_a_secret_nothing_is_believed_and_the_drain_is_asked_to_come_again(reception: Reception) -> None:
    reception.secrets = []
    answer = await reception.post(BATCH)
    assert await refused(reception, answer, 503, BatchOutcome.NO_SECRET)
    assert await reception.gaps() == [(GapReason.OVERFLOW, None)]


# The body


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip "])
async def test_gzip_is_inflated(reception: Reception, encoding: str) -> None:
    assert (await reception.post(gzip.compress(BATCH), content_encoding=encoding)).status_code == 200
    assert await reception.counted() == (3, 0)


@pytest.mark.parametrize("encoding", ["", "identity"])
async def test_no_encoding_is_plain_text(reception: Reception, encoding: str) -> None:
    assert (await reception.post(BATCH, content_encoding=encoding)).status_code == 200
    assert await reception.counted() == (3, 0)


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "gz\xfcp"])
async def test_an_encoding_that_a_drain_has_not_is_told(reception: Reception, encoding: str) -> None:
    answer = await reception.post(BATCH, content_encoding=encoding.encode("latin-1"))  # type: ignore[arg-type]
    assert await refused(reception, answer, 415, BatchOutcome.UNKNOWN_ENCODING)


@pytest.mark.parametrize("form", ["array", "lines", "objects"])
async def test_every_form_of_a_batch_is_counted(reception: Reception, form: str) -> None:
    entries = requests(4)
    bodies = {"array": json.dumps(entries).encode(), "lines": lines(entries)}
    bodies["objects"] = ",\n".join(json.dumps(one, indent=2) for one in entries).encode()
    assert (await reception.post(bodies[form])).status_code == 200
    assert await reception.counted() == (4, 0)


async def test_a_body_at_its_bound_is_taken_and_one_byte_more_is_not(reception: Reception) -> None:
    at_bound = BATCH + b" " * (64 * 1024 - len(BATCH))
    assert (await reception.post(at_bound)).status_code == 200
    assert (await reception.post(at_bound + b" ")).status_code == 413
    assert reception.record.batches == {BatchOutcome.TAKEN: 1, BatchOutcome.TOO_LARGE: 1}
    assert await reception.gaps() == [], "nobody knows whether it was signed"


async def test_a_body_that_is_larger_than_it_said_is_cut_off(reception: Reception) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    answer = await reception.client.post("/drain", content=chunks(), headers={"content-length": "10"})
    assert await refused(reception, answer, 413, BatchOutcome.TOO_LARGE)


@pytest.mark.parametrize("length", ["", "-1", "ten", "9" * 30, "²"])
async def test_a_length_that_makes_no_sense_is_not_believed(reception: Reception, length: str) -> None:
    headers: Any = {"content-length": length.encode(), "x-vercel-signature": signature(BATCH)}
    assert (await reception.client.post("/drain", content=BATCH, headers=headers)).status_code == 200


async def test_a_gzip_bomb_is_too_large_and_counted(reception: Reception) -> None:
    bomb = gzip.compress(b" " * 256 * 1024 + b" ")
    answer = await reception.post(bomb, content_encoding="gzip")
    assert await refused(reception, answer, 413, BatchOutcome.INFLATES_TOO_FAR)
    assert await reception.gaps() == [(GapReason.OVERFLOW, None)]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(BATCH[:-30], ""), (gzip.compress(BATCH)[:-9], "gzip"), (BATCH, "gzip"), (b"<html>", ""), (b'{"id":', "")],
    ids=["json", "gzip", "plain as gzip", "html", "key"],
)
async def test_a_torn_batch_is_told_and_leaves_a_gap(reception: Reception, body: bytes, encoding: str) -> None:
    answer = await reception.post(body, content_encoding=encoding)
    assert answer.status_code == 400
    assert reception.record.batches == {BatchOutcome.TORN: 1}
    assert await reception.gaps() == [(GapReason.UNREADABLE, None)]


# Bounds of everything together


class Slow:
    """Bodies of which a part is there and the rest comes when a test says so."""

    def __init__(self, reception: Reception, body: bytes) -> None:
        self.go_on = asyncio.Event()
        self._reception = reception
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body[:10]
        await self.go_on.wait()
        yield self._body[10:]

    def headers(self) -> dict[str, str]:
        return {"x-vercel-signature": signature(self._body), "content-length": str(len(self._body))}


async def asgi_post(reception: Reception, slow: Slow) -> int:
    """Post without a client that would gather the whole body first."""
    chunks, answers = slow.chunks(), []

    async def receive() -> dict[str, Any]:
        try:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        answers.append(message.get("status"))

    headers = [(name.encode(), value.encode()) for name, value in slow.headers().items()]
    await reception.receiver({"type": "http", "method": "POST", "headers": headers}, receive, send)
    return int(answers[0])


async def test_bodies_on_their_way_in_are_bounded_together_and_the_bound_is_given_back() -> None:
    reception = Reception(VirtualClock(), body_bytes_max=64 * 1024, queue_bytes_max=128 * 1024)
    body = BATCH + b" " * (60 * 1024 - len(BATCH))
    first, second = Slow(reception, body), Slow(reception, body)
    async with asyncio.TaskGroup() as group:
        posts = [group.create_task(asgi_post(reception, one)) for one in (first, second)]
        await asyncio.wait(posts, timeout=0.01)
        answer = await reception.post(body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        first.go_on.set()
        await asyncio.wait([posts[0]])
        assert (await reception.post(body)).status_code == 200
        second.go_on.set()
    assert [post.result() for post in posts] == [200, 200]
    assert reception.record.batches[BatchOutcome.OVERFLOW] == 1
    assert await reception.gaps() == [(GapReason.OVERFLOW, None)]
    assert reception.receiver._queued_bytes == 0


async def test_many_small_bodies_are_bounded_as_well() -> None:
    reception = Reception(VirtualClock(), body_bytes_max=64 * 1024, queue_bytes_max=64 * 1024)
    slow = [Slow(reception, BATCH) for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        posts = [group.create_task(asgi_post(reception, one)) for one in slow]
        await asyncio.wait(posts, timeout=0.01)
        assert (await reception.post(BATCH)).status_code == 503
        for one in slow:
            one.go_on.set()
    assert {post.result() for post in posts} == {200}


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # The bound is half a minute of real time, which no test waits for.
    monkeypatch.setattr(receiver_module, "BODY_SECONDS_MAX", 0.01)
    reception = Reception(VirtualClock())
    assert await asgi_post(reception, Slow(reception, BATCH)) == 408
    assert reception.record.batches == {BatchOutcome.TOO_SLOW: 1}
    assert reception.receiver._queued_bytes == 0


async def test_a_sender_that_hangs_up_leaves_nothing_behind(reception: Reception) -> None:
    messages = iter([{"type": "http.request", "body": BATCH, "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(_message: Any) -> None:
        """Nobody listens."""

    await reception.receiver({"type": "http", "method": "POST", "headers": []}, receive, send)
    assert reception.record.batches == {BatchOutcome.TOO_SLOW: 1}
    assert reception.receiver._queued_bytes == 0
    assert await reception.counted() == (0, 0)


async def test_a_full_queue_of_events_is_told_and_empties_again() -> None:
    reception = Reception(VirtualClock(), queue_events_max=1000)
    assert await reception.deliver(requests(1000)) == 200
    assert reception.intake.queued == 1000
    assert await reception.deliver(requests(1, first=5000)) == 503
    assert reception.intake.queued == 1000, "it never grows over its bound by more than a batch"
    assert await reception.counted() == (1000, 0)
    assert await reception.deliver(requests(1, first=5000)) == 200
    assert await reception.counted() == (1001, 0)
    assert await reception.gaps() == [(GapReason.OVERFLOW, None)]


# What it tells


async def test_trouble_is_logged_when_it_begins_and_then_counted(
    reception: Reception, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        await reception.post(BATCH, x_vercel_signature="0" * 40)
    await reception.post(BATCH)
    await reception.post(BATCH, x_vercel_signature="0" * 40)
    told = capsys.readouterr().out + caplog.text
    assert told.count("batch.refused") == 2
    assert SECRET.decode() not in told
    assert reception.record.batches == {BatchOutcome.WRONG_SIGNATURE: 4, BatchOutcome.TAKEN: 1}


async def test_a_crash_in_the_middle_of_a_batch_is_counted_with_the_rest(reception: Reception) -> None:
    assert await reception.deliver([*requests(3), an_entry("crashed", statusCode=-1)]) == 200
    assert await reception.counted() == (4, 1)
