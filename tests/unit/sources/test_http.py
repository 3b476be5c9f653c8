"""Reads from other servers: bounded in every way, and every trouble one of the ports' errors."""

import asyncio
import gzip
import os

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from daemon.core.signal import SignalReason
from daemon.ports.errors import RateLimited, Refused, Unavailable, Unintelligible
from daemon.sources.http import (
    HEADERS_FILE_BYTES_MAX,
    Answer,
    HeadersFile,
    HttpReader,
    ServerUrl,
    check_secrecy,
    read_json,
)
from daemon.vercel.fields import AbsolutePath
from tests.unit.sources.serving import text
from tests.unit.vercel.fakes import NOW, BrokenBody, Script

SECRET = "tok_secret_0123456789"


def a_reader(*steps, **changes) -> tuple[HttpReader, Script]:
    script = Script(*steps)
    settings = {"timeout_seconds": 5.0, "body_bytes_max": 100, "user_agent": "lastgood", "network": script}
    return HttpReader("https://metrics.example.com", **settings | changes), script


async def ask(reader: HttpReader, url: str = "https://metrics.example.com/x", **parts) -> Answer:
    async with reader.connect() as connection:
        return await connection.ask("GET", url, what="the metrics", **parts)


# Sending and receiving


async def test_an_answer_of_any_status_is_an_answer():
    reader, script = a_reader(text("no", 503, Retry_After="7", X_Other="y"))
    answer = await ask(reader, headers={"x-mine": "1"})
    assert (answer.status, answer.body, answer.is_overlong) == (503, b"no", False)
    assert (answer.headers["retry-after"], answer.headers["x-other"]) == ("7", "y")
    sent = script.requests[0].headers
    assert (sent["user-agent"], sent["x-mine"], sent["accept-encoding"]) == ("lastgood", "1", "identity")


async def test_a_form_is_sent_as_one():
    reader, script = a_reader(text("ok"))
    async with reader.connect() as connection:
        await connection.ask("POST", "https://metrics.example.com/q", what="it", form={"query": 'a{b="c"}'})
    assert script.requests[0].content == b"query=a%7Bb%3D%22c%22%7D"


@pytest.mark.parametrize(("size", "is_overlong"), [(99, False), (100, False), (101, True), (5000, True)])
async def test_no_more_of_a_body_is_kept_than_the_bound(size, is_overlong):
    reader, _ = a_reader(text("x" * size))
    answer = await ask(reader)
    assert (len(answer.body), answer.is_overlong) == (min(size, 100), is_overlong)


async def test_a_body_without_end_is_not_read_to_its_end():
    pieces = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                pieces.append(1)
                yield b"x" * 30

    reader, _ = a_reader(httpx.Response(200, stream=Endless()))
    assert (await ask(reader)).is_overlong
    assert len(pieces) == 4


async def test_a_compressed_body_that_nobody_asked_for_is_not_inflated():
    bomb = gzip.compress(b"0" * 50_000)
    reader, _ = a_reader(text(bomb, content_encoding="gzip", content_type="application/json"))
    answer = await ask(reader)
    assert answer.body == bomb[:100]


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError(f"cannot reach it with {SECRET}"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
        httpx.Response(200, stream=BrokenBody(b"half", trouble=httpx.ReadError("reset"))),
    ],
)
async def test_no_answer_is_unavailable_and_quotes_nothing(trouble):
    reader, _ = a_reader(trouble)
    with pytest.raises(Unavailable, match="the metrics: connection trouble") as caught:
        await ask(reader)
    assert SECRET not in str(caught.value)
    assert caught.value.reason is SignalReason.UNREACHABLE


async def test_a_server_that_drips_is_given_up_in_time():
    class Dripping(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield b"x"
            await asyncio.Event().wait()

    reader, _ = a_reader(httpx.Response(200, stream=Dripping()), timeout_seconds=0.01)
    with pytest.raises(Unavailable, match=r"no answer in 0\.01 s"):
        await ask(reader)


async def test_redirects_are_not_followed_and_cookies_not_kept():
    moved = text("", 302, Location="https://elsewhere.example.com/", Set_Cookie="session=1; Path=/")
    reader, script = a_reader(moved)
    async with reader.connect() as connection:
        for _ in range(2):
            assert (await connection.ask("GET", "https://metrics.example.com/x", what="it")).status == 302
    assert [request.url.host for request in script.requests] == ["metrics.example.com"] * 2
    assert "cookie" not in script.requests[1].headers


@pytest.mark.parametrize(("url", "is_used"), [("http://127.0.0.1:9", False), ("http://metrics.example.com", True)])
async def test_a_proxy_of_the_environment_is_not_used_to_reach_this_machine(url, is_used):
    reader = HttpReader(url, timeout_seconds=1.0, body_bytes_max=1, user_agent="lastgood")
    async with reader.connect() as connection:
        assert connection._client.trust_env is is_used


# Addresses and files


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://prometheus:9090", "http://prometheus:9090"),
        ("https://mimir.example.com/prometheus/", "https://mimir.example.com/prometheus"),
        ("http://[::1]:9090/", "http://[::1]:9090"),
    ],
)
def test_an_address_of_a_server_may_have_a_path(url, kept):
    assert TypeAdapter(ServerUrl).validate_python(url) == kept


@pytest.mark.parametrize(
    "url",
    ["prometheus:9090", "ftp://a", "https://", "https://me:secret@a", "https://a/?q=1", "https://a/#x", "https://a:b"],
)
def test_what_is_no_address_of_a_server_is_refused(url):
    with pytest.raises(ValidationError, match="is not the address of a server"):
        TypeAdapter(ServerUrl).validate_python(url)


@pytest.mark.parametrize("url", ["https://a.example.com", "http://127.0.0.1:9", "http://localhost:9", "http://prom:9"])
def test_secret_headers_may_travel_encrypted_or_nearby(tmp_path, url):
    check_secrecy(url, tmp_path)


@pytest.mark.parametrize("url", ["http://a.example.com", "http://10.0.0.1:9", "http://[fe80::1]"])
def test_secret_headers_may_not_travel_far_in_the_clear(tmp_path, url):
    with pytest.raises(ValueError, match="headers_file would travel in clear text"):
        check_secrecy(url, tmp_path)
    check_secrecy(url, None)


def test_a_path_is_absolute():
    with pytest.raises(ValidationError, match="begins with /"):
        TypeAdapter(AbsolutePath).validate_python("headers")


def test_headers_are_read_as_the_file_has_them_now(tmp_path):
    path = tmp_path / "headers"
    path.write_text(f"Authorization: Bearer {SECRET}\r\n\nX-Scope-OrgID:\t shop \n")
    headers = HeadersFile(path)
    assert headers.read() == {"authorization": f"Bearer {SECRET}", "x-scope-orgid": "shop"}
    path.write_text("authorization: other")
    assert headers.read() == {"authorization": "other"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        f"Bearer {SECRET}".encode(),
        f"Authorization Bearer {SECRET}".encode(),
        f"Authorization: {SECRET}\nno header {SECRET}".encode(),
        f"Authorization: {SECRET}\x00".encode(),
        f"Authorization: {SECRET}\xe9".encode(),
        b"Authorization:",
        b"x: " + b"y" * HEADERS_FILE_BYTES_MAX,
    ],
)
def test_a_broken_file_of_headers_gives_none_and_is_not_quoted(tmp_path, content):
    path = tmp_path / "headers"
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="is not a list of headers; write `Name: value`") as caught:
        HeadersFile(path).read()
    assert SECRET not in str(caught.value)


def test_a_file_of_headers_that_is_missing_or_none_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="cannot be read"):
        HeadersFile(tmp_path / "missing").read()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unavailable, match="is no file"):
        HeadersFile(tmp_path / "pipe").read()


# Meaning


def an_answer(body: bytes = b"{}", status: int = 200, **headers: str) -> Answer:
    named = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, body)


def test_json_is_what_it_says():
    assert read_json(an_answer(b'{"a": [1]}'), what="it", now=NOW) == {"a": [1]}


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (an_answer(status=400), Refused, SignalReason.REFUSED),
        (an_answer(status=401), Refused, SignalReason.UNAUTHORIZED),
        (an_answer(status=402), Refused, SignalReason.REFUSED),
        (an_answer(status=403), Refused, SignalReason.UNAUTHORIZED),
        (an_answer(status=404), Refused, SignalReason.REFUSED),
        (an_answer(status=408), Unavailable, SignalReason.UNREACHABLE),
        (an_answer(status=422), Unavailable, SignalReason.UNREACHABLE),
        (an_answer(status=429), RateLimited, SignalReason.RATE_LIMITED),
        (an_answer(status=500), Unavailable, SignalReason.UNREACHABLE),
        (an_answer(status=503), Unavailable, SignalReason.UNREACHABLE),
        (an_answer(status=503, retry_after="9"), RateLimited, SignalReason.RATE_LIMITED),
        (an_answer(status=302), Unintelligible, SignalReason.SCHEMA_DRIFT),
        (an_answer(b"<html>", content_type="text/html"), Unintelligible, SignalReason.SCHEMA_DRIFT),
        (an_answer(b"<html>"), Unintelligible, SignalReason.SCHEMA_DRIFT),
        (an_answer(b""), Unintelligible, SignalReason.SCHEMA_DRIFT),
        (an_answer(b'{"a": NaN}'), Unintelligible, SignalReason.SCHEMA_DRIFT),
        (Answer(200, {}, b"{}"), Unintelligible, SignalReason.SCHEMA_DRIFT),
        (
            Answer(200, {"content-type": "application/json"}, b"{}", is_overlong=True),
            Unintelligible,
            SignalReason.TRUNCATED,
        ),
    ],
)
def test_everything_else_is_an_error_with_a_reason(answer, error, reason):
    with pytest.raises(error) as caught:
        read_json(answer, what="the metrics", now=NOW)
    assert type(caught.value) is error
    assert caught.value.reason is reason
    assert str(caught.value).startswith("the metrics: ")


def test_the_servers_own_words_are_told_and_bounded():
    long = b'{"status": "error", "errorType": "bad_data", "error": "1:5: parse\\nerror ' + b"x" * 500 + b'"}'
    with pytest.raises(Refused, match="answered 400: 1:5: parse error x") as caught:
        read_json(an_answer(long, 400), what="it", now=NOW)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("body", [b"[1]", b'{"error": 7}', b"oops"])
def test_words_of_another_form_are_no_reason(body):
    with pytest.raises(Refused, match="no reason given"):
        read_json(an_answer(body, 400), what="it", now=NOW)


def test_a_wait_is_honoured():
    with pytest.raises(RateLimited) as caught:
        read_json(an_answer(status=429, retry_after="12"), what="it", now=NOW)
    assert caught.value.retry_after_seconds == 12
