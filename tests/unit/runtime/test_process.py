"""The life of the process: SIGTERM lets what is under way end, and hands the lease to the next daemon."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from daemon.core.incident import State
from daemon.ports.errors import Misconfigured
from daemon.runtime.clock import SystemClock
from daemon.runtime.process import WebServer, ask_on_hangup, listen, run_until_stopped, stop_on_signals
from daemon.runtime.scheduler import Bell
from tests.builders import GOOD
from tests.fakes.clock import settle
from tests.fakes.daemon import TTL_SECONDS, FakeDaemon, World, a_daemon

NEVER = 3600.0


class FakeWeb:
    """A web server that serves until it should exit, or gives up at once. Remembers who led while it still served."""

    def __init__(self, daemon: FakeDaemon, *, gives_up: bool = False) -> None:
        self.daemon = daemon
        self.gives_up = gives_up
        self.should_exit = False
        self.was_leader_at_the_end: bool | None = None

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Serve."""
        assert sockets
        while not (self.should_exit or self.gives_up):
            await SystemClock().sleep(0.001)
        self.was_leader_at_the_end = self.daemon.leadership.lease is not None


@asynccontextmanager
async def a_running(daemon: FakeDaemon, *, web_gives_up: bool = False) -> AsyncIterator[asyncio.Event]:
    """Run *daemon* as the process does, until the event that is yielded is set; wait for its end."""
    stop = asyncio.Event()
    bell = Bell(daemon.poller.run_cycle, interval_seconds=NEVER, clock=daemon.world.clock)
    web = FakeWeb(daemon, gives_up=web_gives_up)
    with listen("127.0.0.1", 0) as listener:
        running = run_until_stopped(
            bell=bell,
            web=web,  # type: ignore[arg-type]
            listener=listener,
            leadership=daemon.leadership,
            supervisor=daemon.supervisor,
            stop=stop,
            grace_seconds=20.0,
        )
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(running)
            yield stop
    assert web.was_leader_at_the_end is False, "metrics and health are shown to the last"


async def test_it_polls_at_once_and_on_sigterm_gives_the_lease_up() -> None:
    world = World()
    async with a_daemon(world, holder="one") as one:
        async with a_running(one) as stop:
            while one.poller.last_completed is None:
                await SystemClock().sleep(0.001)
            stop.set()
        assert one.state.serving == GOOD
        assert one.leadership.lease is None
    async with a_daemon(world, holder="two") as two:
        assert await two.leadership.renew(), "nobody has to wait for the lease to run out"


async def test_a_request_under_way_may_end_and_its_outcome_is_committed() -> None:
    world = World()
    gate, began = asyncio.Event(), asyncio.Event()

    async def take_long() -> None:
        began.set()
        await gate.wait()

    async with a_daemon(world) as daemon:
        async with a_running(daemon) as stop:
            while daemon.poller.last_completed is None:
                await SystemClock().sleep(0.001)
            world.hosting.before_answer = take_long
            await daemon.breach()
            assert began.is_set()
            world.hosting.move_seconds = NEVER
            stop.set()
            await settle()
            assert daemon.leadership.lease is not None, "the lease is kept while a request is under way"
            gate.set()
            await settle()
            assert [one.entry.kind for one in await world.store.journal(daemon.project.id)][-1] == "rollback_accepted"
            # What would only wait for production to move is left to the next daemon.
            await daemon.supervisor.finish(grace_seconds=0)
        assert daemon.leadership.lease is None
    async with a_daemon(world, holder="two") as two:
        await two.poll()
        assert two.incident.state is State.MITIGATING
    assert world.hosting.sent == [GOOD.id]


async def test_I_24_a_poll_that_outlasts_the_lease_does_not_lose_it() -> None:
    """Vercel hangs: the counts come after the lease would have run out, had only cycles renewed it."""
    world = World()
    gate = asyncio.Event()
    world.source.before_answer = gate.wait  # type: ignore[assignment]
    async with a_daemon(world, holder="one") as one, a_daemon(world, holder="two") as two:
        async with a_running(one) as stop:
            while not world.source.asked_since:
                await SystemClock().sleep(0.001)
            await world.clock.advance(3 * TTL_SECONDS)
            assert not await two.leadership.renew(), "it is held for as long as the process lives"
            gate.set()
            while one.poller.last_completed is None:
                await SystemClock().sleep(0.001)
            assert one.state.serving == GOOD
            stop.set()
        assert await two.leadership.renew(), "once given up it is not renewed again"


async def test_a_store_that_fails_at_the_end_does_not_keep_the_process_alive() -> None:
    world = World()

    async with a_daemon(world) as daemon:
        async with a_running(daemon) as stop:
            while daemon.poller.last_completed is None:
                await SystemClock().sleep(0.001)
            world.store.broken = {"release_lease", "commit", "take_lease"}
            stop.set()
        assert daemon.leadership.lease is None


async def test_a_web_server_that_gives_up_ends_the_process() -> None:
    async with a_daemon(World()) as daemon:
        async with a_running(daemon, web_gives_up=True):
            pass
        assert daemon.leadership.lease is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_both_signals_ask_to_stop(number: signal.Signals) -> None:
    stop = stop_on_signals()
    try:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            await stop.wait()
    finally:
        for one in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(one)


async def test_hangup_asks_for_the_configuration_and_ends_nothing() -> None:
    asked = asyncio.Event()
    ask_on_hangup(asked.set)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(5):
            await asked.wait()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


def test_a_port_that_is_taken_is_said_in_words_and_one_that_is_free_is_had() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert port > 0
        with pytest.raises(Misconfigured, match=rf"cannot listen on 127\.0\.0\.1:{port} .*web\.port"):
            listen("127.0.0.1", port)


@pytest.mark.slow
async def test_the_web_server_serves_and_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    web = WebServer(uvicorn.Config(Starlette(), lifespan="off", log_config=None))
    with listen("127.0.0.1", 0) as listener:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(web.serve([listener]))
            while not web.started:
                await SystemClock().sleep(0.001)
            assert signal.getsignal(signal.SIGTERM) is before
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")).status_code == 404
            web.should_exit = True
