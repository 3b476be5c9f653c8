"""The client: patient with reads, never sending a write twice, bounded, and silent about its token."""

import asyncio
import gzip
import traceback
from dataclasses import replace

import httpx
import pytest

from daemon.ports.errors import OutcomeUnknown, PortError, RateLimited, Refused, Unavailable, Unintelligible
from daemon.vercel.transport import NO_ANSWER, ActingTransport, Limits, VercelTransport
from tests.unit.vercel.fakes import TEAM, TOKEN, BrokenBody, StillClock, a_transport, an_error

OK = {"id": "prj_1"}
JSON = {"content-type": "application/json"}


def ok() -> httpx.Response:
    return httpx.Response(200, json=OK)


async def read(transport: VercelTransport, **more) -> object:
    return await transport.read("GET", "/v9/projects/prj_1", route="project", what="project prj_1", **more)


async def write(transport: ActingTransport, **more) -> int:
    return await transport.write_once("POST", "/v1/x/rollback/y", route="rollback", what="rollback of x to y", **more)


async def never(_request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def a_turn() -> None:
    """Let every other task of the loop run once."""
    turn = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turn.set_result, None)
    await turn


# What is sent


async def test_every_call_carries_token_team_and_an_agent_but_no_cookie():
    transport, script, _ = a_transport(httpx.Response(200, json=OK, headers={"set-cookie": "a=b; Path=/"}), ok())
    assert await read(transport, params={"limit": 5}) == OK
    await read(transport)
    first, second = script.requests
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert str(first.url) == f"https://api.vercel.com/v9/projects/prj_1?limit=5&teamId={TEAM}"
    assert first.headers["user-agent"] == "lastgood"
    assert "cookie" not in second.headers


async def test_a_personal_account_sends_no_team():
    transport, script, _ = a_transport(ok(), team_id=None)
    await read(transport)
    assert "teamId" not in script.query()


async def test_another_origin_is_asked_with_the_same_path_and_token():
    transport, script, _ = a_transport(ok())
    await read(transport, origin="https://vercel.com")
    assert script.requests[0].url.host == "vercel.com"


async def test_a_read_by_post_sends_json():
    transport, script, _ = a_transport(ok())
    await transport.read("POST", "/v2/observability/query", route="o", what="counts", body={"limit": 500})
    assert script.body() == {"limit": 500}
    assert script.requests[0].headers["content-type"] == "application/json"


async def test_a_post_that_is_not_known_to_be_a_read_is_a_bug():
    transport, script, _ = a_transport(ok())
    with pytest.raises(AssertionError):
        await transport.read("POST", "/v1/projects/x/rollback/y", route="r", what="w")
    with pytest.raises(AssertionError):
        await transport.read("DELETE", "/v9/projects/prj_1", route="r", what="w")
    assert script.requests == []


def test_a_reading_transport_has_no_way_to_write():
    assert not hasattr(VercelTransport, "write_once")


async def test_a_write_sends_no_body_when_it_has_none():
    transport, script, _ = a_transport(httpx.Response(201))
    assert await write(transport, params={"description": "5xx & more"}) == 201
    assert script.requests[0].content == b""
    assert script.query() == {"description": "5xx & more", "teamId": TEAM}


async def test_a_rotated_token_is_used_without_a_restart():
    tokens = iter(["old\n", "new"])
    transport, script, _ = a_transport(ok(), token=lambda: next(tokens))
    await read(transport)
    await read(transport)
    assert [request.headers["authorization"] for request in script.requests] == ["Bearer old", "Bearer new"]


async def test_a_read_that_is_tried_again_reads_the_token_again():
    tokens = iter(["old", "new"])
    transport, script, _ = a_transport(an_error(500), ok(), token=lambda: next(tokens))
    await read(transport)
    assert script.requests[1].headers["authorization"] == "Bearer new"


@pytest.mark.parametrize("token", ["", " \n", "to ken", "tok\nen", "tök", "tok\x00en"])
@pytest.mark.parametrize("call", [read, write])
async def test_an_unusable_token_sends_nothing_and_is_not_shown(token, call):
    transport, script, _ = a_transport(ok(), token=lambda: token)
    with pytest.raises(Unavailable) as caught:
        await call(transport)
    assert script.requests == []
    assert not token.strip() or token not in str(caught.value)


@pytest.mark.parametrize("call", [read, write])
async def test_a_token_file_that_cannot_be_read_sends_nothing(call):
    def missing() -> str:
        raise FileNotFoundError("/run/secrets/token")

    transport, script, _ = a_transport(ok(), token=missing)
    with pytest.raises(Unavailable, match="FileNotFoundError"):
        await call(transport)
    assert script.requests == []


# Tokens stay in


def _chain(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize(
    "step",
    [
        an_error(403, code=TOKEN, message=f"token {TOKEN} is not allowed"),
        an_error(500, message=TOKEN),
        an_error(429, message=TOKEN),
        httpx.Response(302, headers={"location": f"https://x/?token={TOKEN}"}),
        httpx.Response(200, headers=JSON, text=f"<{TOKEN}"),
        httpx.ReadError(f"while sending {TOKEN}"),
        httpx.ConnectTimeout(""),
    ],
)
@pytest.mark.parametrize("call", [read, write])
async def test_no_error_shows_the_token(step, call):
    transport, _, _ = a_transport(step)
    # An accepted write does not look at the body, so that one of these is no error to it.
    outcome = await asyncio.gather(call(transport), return_exceptions=True)
    (error,) = outcome
    assert error == 200 or isinstance(error, PortError)
    assert TOKEN not in str(error) + repr(error) + getattr(error, "code", "")
    assert TOKEN not in repr(transport) + str(vars(transport))


async def test_no_traceback_of_a_refusal_shows_the_token():
    transport, _, _ = a_transport(an_error(403, message=TOKEN))
    with pytest.raises(Refused) as caught:
        await write(transport)
    assert TOKEN not in _chain(caught.value)


# Reads are tried again


@pytest.mark.parametrize(
    "trouble",
    [
        an_error(500),
        an_error(502),
        an_error(503),
        an_error(408),
        an_error(429),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.PoolTimeout("full"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("closed"),
    ],
)
async def test_a_read_survives_passing_trouble(trouble):
    transport, script, clock = a_transport(trouble, ok())
    assert await read(transport) == OK
    assert len(script.requests) == 2
    assert clock.slept == [0.5]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 413, 422])
async def test_a_refused_read_is_not_tried_again(status):
    transport, script, clock = a_transport(an_error(status))
    with pytest.raises(Refused) as caught:
        await read(transport)
    assert (caught.value.status, len(script.requests), clock.slept) == (status, 1, [])


@pytest.mark.parametrize(
    "step", [httpx.Response(200, html="<html>"), httpx.Response(302, headers={"location": "https://api.vercel.com/y"})]
)
async def test_an_unintelligible_read_is_not_tried_again_and_no_redirect_is_followed(step):
    transport, script, _ = a_transport(step)
    with pytest.raises(Unintelligible):
        await read(transport)
    assert len(script.requests) == 1


async def test_a_read_gives_up_after_its_tries_with_doubled_waits():
    transport, script, clock = a_transport(an_error(500), limits=replace(Limits(), tries_max=5))
    with pytest.raises(Unavailable):
        await read(transport)
    assert len(script.requests) == 5
    assert clock.slept == [0.5, 1.0, 2.0, 4.0]


async def test_waits_have_a_longest():
    limits = replace(Limits(), tries_max=8, retry_wait_seconds_max=3.0)
    transport, _, clock = a_transport(an_error(500), limits=limits)
    with pytest.raises(Unavailable):
        await read(transport)
    assert max(clock.slept) == 3.0


async def test_jitter_halves_the_wait_at_most():
    transport, _, clock = a_transport(an_error(500), ok(), jitter=lambda: 0.0)
    await read(transport)
    assert clock.slept == [0.25]


@pytest.mark.parametrize(("total", "tries"), [(1.5, 3), (1.49, 2), (0.5, 2), (0.49, 1)])
async def test_no_try_begins_after_the_total_time(total, tries):
    limits = replace(Limits(), tries_max=3, retry_total_seconds=total)
    transport, script, _ = a_transport(an_error(500), limits=limits)
    with pytest.raises(Unavailable):
        await read(transport)
    assert len(script.requests) == tries


@pytest.mark.parametrize("status", [429, 503])
async def test_a_read_waits_as_long_as_the_server_asks_and_a_little_more(status):
    transport, _, clock = a_transport(an_error(status, **{"retry-after": "4"}), ok())
    assert await read(transport) == OK
    assert clock.slept == [4.5]


async def test_a_read_waits_until_the_date_that_the_server_names():
    transport, _, clock = a_transport(an_error(429, **{"retry-after": "Sat, 21 Nov 2026 20:21:00 GMT"}), ok())
    await read(transport)
    assert clock.slept == [pytest.approx(4.876544 + 0.5)]


@pytest.mark.parametrize(("asked", "tries"), [("10", 2), ("11", 1), ("3600", 1)])
async def test_a_wait_beyond_the_longest_is_left_to_the_caller(asked, tries):
    transport, script, _ = a_transport(an_error(429, **{"retry-after": asked}), limits=replace(Limits(), tries_max=2))
    with pytest.raises(RateLimited) as caught:
        await read(transport)
    assert caught.value.retry_after_seconds == float(asked)
    assert len(script.requests) == tries


# Bounds


@pytest.mark.parametrize(("length", "is_read"), [(100, True), (101, False)])
async def test_a_body_over_the_bound_is_unintelligible(length, is_read):
    body = b'"' + b"x" * (length - 2) + b'"'
    transport, script, _ = a_transport(
        httpx.Response(200, headers=JSON, content=body), limits=replace(Limits(), body_bytes_max=100)
    )
    if is_read:
        assert await read(transport) == "x" * 98
    else:
        with pytest.raises(Unintelligible, match="longer than 100 bytes"):
            await read(transport)
    assert len(script.requests) == 1


async def test_the_bound_counts_what_a_compressed_body_becomes():
    body = gzip.compress(b'"' + b"x" * 10_000 + b'"')
    transport, _, _ = a_transport(
        httpx.Response(200, headers=JSON | {"content-encoding": "gzip"}, content=body),
        limits=replace(Limits(), body_bytes_max=1000),
    )
    with pytest.raises(Unintelligible):
        await read(transport)


async def test_an_error_page_over_the_bound_keeps_its_status():
    page = httpx.Response(502, html="x" * 5000)
    transport, _, _ = a_transport(page, limits=replace(Limits(), body_bytes_max=100, tries_max=1))
    with pytest.raises(Unavailable, match="502"):
        await read(transport)
    with pytest.raises(OutcomeUnknown, match="502"):
        await write(transport)


async def test_a_body_that_breaks_off_is_read_again():
    broken = httpx.Response(200, headers=JSON, stream=BrokenBody(b'{"id"', trouble=httpx.ReadError("reset")))
    transport, script, _ = a_transport(broken, ok())
    assert await read(transport) == OK
    assert len(script.requests) == 2


async def test_a_compression_that_is_wrong_is_no_answer():
    broken = httpx.Response(200, headers=JSON | {"content-encoding": "gzip"}, stream=BrokenBody(b"not gzip"))
    transport, _, _ = a_transport(broken, limits=replace(Limits(), tries_max=1))
    with pytest.raises(Unavailable):
        await read(transport)


@pytest.mark.slow
async def test_a_server_that_never_answers_is_unavailable_to_reads_and_unknown_to_writes():
    limits = replace(Limits(), connect_timeout_seconds=0.01, request_timeout_seconds=0.03, tries_max=1)
    transport, script, _ = a_transport(never, limits=limits)
    with pytest.raises(Unavailable, match=r"no answer in 0\.03 s"):
        await read(transport)
    with pytest.raises(OutcomeUnknown, match=r"no answer in 0\.03 s"):
        await write(transport)
    assert len(script.requests) == 2


async def test_no_more_requests_are_in_flight_than_the_bound():
    in_flight = 0
    most = 0

    async def counted(_request: httpx.Request) -> httpx.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        for _ in range(20):
            await a_turn()
        in_flight -= 1
        return ok()

    transport, script, _ = a_transport(counted, limits=replace(Limits(), concurrency_max=2, connections_max=3))
    await asyncio.gather(*(read(transport) for _ in range(5)))
    assert most == 2
    assert len(script.requests) == 5


@pytest.mark.slow
async def test_a_write_that_waits_for_a_slot_in_vain_was_surely_not_sent():
    limits = replace(
        Limits(), concurrency_max=1, connections_max=2, connect_timeout_seconds=0.01, request_timeout_seconds=0.03
    )
    transport, script, _ = a_transport(never, limits=limits)
    first, second = await asyncio.gather(write(transport), write(transport), return_exceptions=True)
    assert type(first) is OutcomeUnknown
    assert type(second) is Unavailable
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency_max": 20},
        {"concurrency_max": 0},
        {"connect_timeout_seconds": 15.0},
        {"tries_max": 0},
        {"body_bytes_max": 0},
    ],
)
def test_limits_that_contradict_each_other_are_a_bug(wrong):
    with pytest.raises(AssertionError):
        replace(Limits(), **wrong)


# Writes are sent once


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_write_returns_its_2xx_status(status):
    transport, script, _ = a_transport(httpx.Response(status))
    assert await write(transport) == status
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (an_error(400), Refused),
        (an_error(401), Refused),
        (an_error(402), Refused),
        (an_error(403), Refused),
        (an_error(404), Refused),
        (an_error(409), Refused),
        (an_error(422), Refused),
        (an_error(429, **{"retry-after": "1"}), RateLimited),
        (an_error(500), OutcomeUnknown),
        (an_error(503, **{"retry-after": "1"}), OutcomeUnknown),
        (an_error(504), OutcomeUnknown),
        (httpx.Response(307, headers={"location": "https://api.vercel.com/elsewhere"}), OutcomeUnknown),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
        (httpx.ReadError("reset"), OutcomeUnknown),
        (httpx.WriteError("reset"), OutcomeUnknown),
        (httpx.WriteTimeout("slow"), OutcomeUnknown),
        (httpx.RemoteProtocolError("closed"), OutcomeUnknown),
        (httpx.LocalProtocolError("confused"), OutcomeUnknown),
        (httpx.ConnectError("refused"), Unavailable),
        (httpx.ConnectTimeout("slow"), Unavailable),
        (httpx.PoolTimeout("full"), Unavailable),
        (httpx.ProxyError("no tunnel"), Unavailable),
    ],
)
async def test_I_22_every_fate_of_a_write_is_told_apart_and_none_is_sent_twice(step, kind):
    transport, script, clock = a_transport(step)
    with pytest.raises(kind) as caught:
        await write(transport)
    assert type(caught.value) is kind
    assert "rollback of x to y" in str(caught.value)
    assert len(script.requests) == 1
    assert clock.slept == []


async def test_a_write_whose_acceptance_came_before_the_reset_is_accepted():
    transport, _, _ = a_transport(httpx.Response(201, stream=BrokenBody(b"", trouble=httpx.ReadError("reset"))))
    assert await write(transport) == 201


async def test_a_cancelled_write_stays_cancelled():
    is_sent = asyncio.Event()

    async def stalls(request: httpx.Request) -> httpx.Response:
        is_sent.set()
        return await never(request)

    transport, _, _ = a_transport(stalls)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(write(transport))
        await is_sent.wait()
        task.cancel()
    assert task.cancelled()


# Metrics and the connections


async def test_every_try_is_reported_with_its_bounded_label():
    seen: list[tuple[str, int, float]] = []
    clock = StillClock()

    async def slow(_request: httpx.Request) -> httpx.Response:
        await clock.sleep(2.0)
        return ok()

    transport, _, _ = a_transport(
        an_error(500), httpx.ReadError("reset"), slow, clock=clock, on_response=lambda *args: seen.append(args)
    )
    await read(transport)
    assert seen == [("project", 500, 0.0), ("project", NO_ANSWER, 0.0), ("project", 200, 2.0)]


@pytest.mark.parametrize(
    ("base_url", "is_http2", "trusts_environment"),
    [
        ("https://api.vercel.com", True, True),
        ("http://127.0.0.1:4455", False, False),
        ("http://[::1]:4455/", False, False),
        ("http://localhost:4455", False, False),
    ],
)
async def test_https_may_use_http2_and_loopback_never_uses_a_proxy(base_url, is_http2, trusts_environment):
    async with VercelTransport(base_url, lambda: TOKEN, clock=StillClock(), jitter=lambda: 0.0) as transport:
        assert transport._client.trust_env is trusts_environment
        assert transport._client._transport._pool._http2 is is_http2
        assert transport._client.follow_redirects is False


async def test_connections_are_kept_for_reads_and_never_for_writes():
    for kind, kept in ((VercelTransport, Limits().connections_max), (ActingTransport, 0)):
        async with kind("https://api.vercel.com", lambda: TOKEN, clock=StillClock(), jitter=lambda: 0.0) as transport:
            assert transport._client._transport._pool._max_keepalive_connections == kept
            assert transport._client._transport._pool._max_connections == Limits().connections_max
