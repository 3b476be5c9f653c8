"""The client within the budget of its token: reads wait their turn, the executor never; a 429 holds its route."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from daemon.ports.errors import RateLimited, Refused, Unavailable
from daemon.vercel.budget import RateBudget
from daemon.vercel.transport import Limits, VercelTransport
from tests.fakes.clock import VirtualClock, settle
from tests.unit.vercel.fakes import a_reader, a_transport, an_error

BURST = 12
"""What the budget of these tests, 60 a minute, lets go at once; then one every 1.25 s."""


def ok(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={})


class Token:
    """One token: its budget, and two clients that share it, each with a script of its own."""

    def __init__(self, group: asyncio.TaskGroup, *steps: Any, limits: Limits | None = None) -> None:
        self.clock = VirtualClock()
        self.budget = RateBudget(clock=self.clock, jitter=lambda: 0.0, requests_per_minute_max=60)
        shared = {"clock": self.clock, "budget": self.budget, "jitter": lambda: 0.0, "limits": limits or Limits()}
        self.retried: list[str] = []
        self.reader, self.asked, _ = a_reader(*steps or (ok,), **shared, on_retry=self.retried.append)
        self.actor, self.acted, _ = a_transport(lambda _request: httpx.Response(201), **shared)
        self._group = group

    async def start(self, count: int = 1, *, by: VercelTransport | None = None, route: str = "project") -> list[Any]:
        async def read() -> object:
            try:
                return await (by or self.reader).read("GET", "/v9/projects/p", route=route, what="project p")
            except (Unavailable, Refused) as error:
                return error

        tasks = [self._group.create_task(read()) for _ in range(count)]
        await settle()
        return tasks

    async def write(self) -> int:
        return await self.actor.write_once("POST", "/v1/rollback", route="rollback", what="rollback of p to y")


@asynccontextmanager
async def a_token(*steps: Any, **settings: Any) -> AsyncIterator[Token]:
    async with asyncio.TaskGroup() as group:
        yield Token(group, *steps, **settings)


async def test_reads_beyond_the_budget_wait_before_they_are_sent() -> None:
    async with a_token() as token:
        await token.start(BURST + 2)
        assert len(token.asked.requests) == BURST
        await token.clock.advance(1.25)
        assert len(token.asked.requests) == BURST + 1
        await token.clock.advance(1.25)
        assert len(token.asked.requests) == BURST + 2


async def test_two_clients_of_one_token_share_its_budget() -> None:
    async with a_token() as token:
        other, asked, _ = a_reader(ok, clock=token.clock, budget=token.budget)
        await token.start(BURST)
        await token.start(by=other)
        assert asked.requests == []
        await token.clock.advance(1.25)
        assert len(asked.requests) == 1


async def test_a_client_without_a_shared_budget_has_one_of_its_own() -> None:
    reader, asked, clock = a_reader(ok)
    for _ in range(61):
        await reader.read("GET", "/v9/projects/p", route="project", what="project p")
    assert (len(asked.requests), clock.slept) == (61, [pytest.approx(0.25)])


async def test_every_try_is_charged() -> None:
    async with a_token(an_error(500), an_error(500), ok) as token:
        (read,) = await token.start()
        await token.clock.advance(5)
        assert read.result() == {}
        assert token.retried == ["project", "project"]
        assert token.budget.left == pytest.approx(BURST)
        await token.start()
        assert token.budget.left == pytest.approx(BURST - 1)


async def test_a_read_that_the_budget_has_no_room_for_is_told_so_and_not_tried_again() -> None:
    async with a_token(limits=replace(Limits(), retry_total_seconds=2.0)) as token:
        await token.start(BURST)
        first, second = await token.start(2)
        error = second.result()
        assert isinstance(error, RateLimited)
        assert str(error).startswith("project p: not sent: our own budget of 60 requests a minute is used up")
        assert error.retry_after_seconds == pytest.approx(2.5)
        await token.clock.advance(1.25)
        assert first.result() == {}
        assert len(token.asked.requests) == BURST + 1
        assert token.retried == []


async def test_the_wait_for_the_budget_counts_as_time_of_the_read() -> None:
    # It waits 1.25 s, fails, and would wait again for longer than is left.
    limits = replace(Limits(), retry_total_seconds=1.5, retry_first_wait_seconds=0.5)
    async with a_token(*[ok] * BURST, an_error(500), limits=limits) as token:
        await token.start(BURST)
        (read,) = await token.start()
        await token.clock.advance(1.25)
        await token.clock.advance(0.25)
        assert isinstance(read.result(), RateLimited)
        assert len(token.asked.requests) == BURST + 1


# The executor


async def test_a_rollback_goes_ahead_when_nothing_is_left_and_reads_wait_in_its_place() -> None:
    async with a_token() as token:
        await token.start(BURST + 1)
        assert await token.write() == 201
        await token.clock.advance(2.4)
        assert len(token.asked.requests) == BURST
        await token.clock.advance(0.2)
        assert len(token.asked.requests) == BURST + 1


async def test_urgent_reads_wait_neither_for_the_budget_nor_for_a_pause() -> None:
    async with a_token() as token:
        token.budget.pause("project", 60)
        token.budget.pause("deployments", 60)
        (held,) = await token.start()
        assert isinstance(held.result(), RateLimited)
        (urgent,) = await token.start(by=token.reader.urgent)
        assert urgent.result() == {}
        assert await token.write() == 201


async def test_urgent_reads_are_charged() -> None:
    async with a_token() as token:
        await token.start(3, by=token.reader.urgent)
        assert token.budget.left == BURST - 3


async def test_urgent_reads_have_slots_of_their_own() -> None:
    never = asyncio.Event()

    async def stalls(_request: httpx.Request) -> httpx.Response:
        await never.wait()
        return httpx.Response(200, json={})

    limits = replace(Limits(), concurrency_max=2, connections_max=3)
    async with a_token(stalls, stalls, ok, limits=limits) as token:
        await token.start(5)
        assert len(token.asked.requests) == 2, "the slots are taken"
        (urgent,) = await token.start(by=token.reader.urgent)
        assert urgent.result() == {}
        never.set()


async def test_the_urgent_view_is_one_and_the_same_client() -> None:
    async with a_token() as token:
        urgent = token.reader.urgent
        assert urgent is token.reader.urgent
        assert urgent._client is token.reader._client
        assert (urgent.team_id, urgent.base_url) == (token.reader.team_id, token.reader.base_url)
        assert (token.reader.is_urgent, urgent.is_urgent, token.actor.is_urgent) == (False, True, True)
        assert not hasattr(urgent, "write_once"), "it is no way to write either"
        await token.reader.close()


# A 429 is heard by all who read that route


async def test_a_429_on_one_route_holds_its_reads_for_every_transport_and_no_other_read_or_rollback() -> None:
    refusal = an_error(429, **{"retry-after": "20"})
    async with a_token(refusal, ok) as token:
        (first,) = await token.start(route="observability")
        assert isinstance(first.result(), RateLimited), "longer than one read waits"
        other, asked, _ = a_reader(ok, clock=token.clock, budget=token.budget)
        await token.start(route="observability", by=other)
        (free,) = await token.start(route="deployments")
        assert free.result() == {}
        assert await token.write() == 201
        await token.clock.advance(19.9)
        assert asked.requests == []
        await token.clock.advance(3)
        assert len(asked.requests) == 1


async def test_a_429_on_two_routes_holds_every_read_of_the_token_but_no_rollback() -> None:
    refusal = an_error(429, **{"retry-after": "20"})
    async with a_token(refusal, refusal, ok) as token:
        await token.start(route="observability")
        await token.clock.advance(1)
        await token.start(route="project")
        await token.start(route="deployments")
        assert await token.write() == 201
        await token.clock.advance(19.9)
        assert len(token.asked.requests) == 2
        await token.clock.advance(3)
        assert len(token.asked.requests) == 3


async def test_the_read_that_was_answered_429_is_tried_again_after_the_pause() -> None:
    async with a_token(an_error(429, **{"retry-after": "4"}), ok) as token:
        (read,) = await token.start()
        await token.clock.advance(3.9)
        assert len(token.asked.requests) == 1
        await token.clock.advance(1.0)
        assert read.result() == {}
        assert token.retried == ["project"]


async def test_a_429_on_a_rollback_pauses_neither_reads_nor_the_next_rollback() -> None:
    async with a_token() as token:
        token.acted.steps = [an_error(429, **{"retry-after": "20"}), httpx.Response(201)]
        with pytest.raises(RateLimited):
            await token.write()
        await token.clock.advance(5)
        (read,) = await token.start()
        assert read.result() == {}
        assert await token.write() == 201


async def test_a_503_that_says_how_long_to_wait_pauses_nobody_else() -> None:
    async with a_token(an_error(503, **{"retry-after": "20"}), ok) as token:
        (first,) = await token.start()
        assert isinstance(first.result(), RateLimited)
        (second,) = await token.start(route="deployments")
        assert second.result() == {}


async def test_a_wait_until_a_date_is_read_on_the_servers_own_clock() -> None:
    headers = {"retry-after": "Sat, 21 Nov 2026 20:21:04 GMT", "date": "Sat, 21 Nov 2026 20:21:00 GMT"}
    async with a_token(an_error(429, **headers), ok) as token:
        (read,) = await token.start()
        await token.clock.advance(3.9)
        assert not read.done()
        await token.clock.advance(1.1)
        assert read.result() == {}


# What headers say


def an_answer(remaining: int, *, limit: int = 500) -> httpx.Response:
    headers = {
        "date": "Sat, 21 Nov 2026 20:21:00 GMT",
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": "1795292470",
    }
    return httpx.Response(200, json={}, headers=headers)


async def test_reads_of_a_route_wait_for_the_renewal_of_its_allowance_and_others_do_not() -> None:
    async with a_token(an_answer(11), an_answer(10), ok) as token:
        await token.start(2)
        await token.start(route="project")
        await token.start(route="deployments")
        assert len(token.asked.requests) == 3
        (urgent,) = await token.start(by=token.reader.urgent)
        assert urgent.result() == {}
        await token.clock.advance(9.9)
        assert len(token.asked.requests) == 4
        await token.clock.advance(0.2)
        assert len(token.asked.requests) == 5


async def test_an_answer_that_is_no_good_still_says_what_is_left() -> None:
    refused = an_answer(0)
    refused.status_code = 403
    async with a_token(refused, ok) as token:
        (first,) = await token.start()
        assert isinstance(first.result(), Refused)
        await token.start()
        assert len(token.asked.requests) == 1
        await token.clock.advance(11)
        assert len(token.asked.requests) == 2
