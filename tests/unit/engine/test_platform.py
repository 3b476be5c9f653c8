"""When the provider tells of an incident, projects in trouble hear of it, and nobody else does."""

from collections import deque

import pytest
from structlog.testing import capture_logs

from daemon.engine.cycle import PlatformWatch
from daemon.ports.errors import PortError, Unavailable
from tests.fakes.daemon import FakeDaemon, World, a_daemon


class FakeStatusPage:
    """Says what a test put down, one after the other; the last for ever."""

    def __init__(self, *said: str | PortError) -> None:
        self.said = deque(said)

    async def read_incident(self) -> str:
        answer = self.said.popleft() if len(self.said) > 1 else self.said[0]
        if isinstance(answer, PortError):
            raise answer
        return answer


def watching(daemon: FakeDaemon, page: FakeStatusPage | None) -> PlatformWatch:
    return PlatformWatch(page, moments=daemon.moments, supervisor=daemon.supervisor)


def told(daemon: FakeDaemon) -> str:
    return daemon.state.platform.sentence if daemon.state.platform else ""


@pytest.mark.parametrize("is_in_trouble", [True, False])
async def test_an_incident_is_told_to_a_project_in_trouble(*, is_in_trouble: bool) -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.poll()
        if is_in_trouble:
            await daemon.breach()
        platform = watching(daemon, FakeStatusPage("Edge is down (major)"))
        await platform.check()
        await platform.tell(daemon.projects)
        assert told(daemon) == ("Vercel's status page says: Edge is down (major)" if is_in_trouble else "")


@pytest.mark.parametrize("page", [None, FakeStatusPage(""), FakeStatusPage(Unavailable("503"))])
async def test_no_word_and_no_page_stop_nothing(page: FakeStatusPage | None) -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.breach()
        platform = watching(daemon, page)
        await platform.check()
        await platform.tell(daemon.projects)
        assert told(daemon) == ""


async def test_an_incident_that_is_over_is_told_no_more_and_one_that_cannot_be_read_holds_for_a_while() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        platform = watching(daemon, FakeStatusPage("Edge (major)", "", "Edge (major)", Unavailable("503")))
        with capture_logs() as lines:
            for is_suspected in (True, False, True, True):
                await platform.check()
                assert (platform._incident != "") is is_suspected
            await world.clock.advance(1800)
            await platform.check()
            assert platform._incident != ""
            await world.clock.advance(1)
            await platform.check()
            assert platform._incident == ""
        events = [line["event"] for line in lines if line["event"].startswith(("platform.", "read.failed"))]
        told = ["platform.suspected", "platform.cleared"]
        assert events == [*told, "platform.suspected", "read.failed", "platform.cleared"]


async def test_trouble_that_goes_on_is_logged_once() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        platform = watching(daemon, FakeStatusPage(Unavailable("503")))
        with capture_logs() as lines:
            for _ in range(3):
                await platform.check()
        assert [line["error"] for line in lines if line["event"] == "read.failed"] == ["503"]
