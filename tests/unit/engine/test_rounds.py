"""Work in the background: when it is due, never twice at once, and again after a bug."""

import asyncio

from daemon.engine.rounds import Rounds
from daemon.engine.supervisor import Supervisor
from tests.fakes.clock import VirtualClock, settle


class Work:
    """Counts its rounds; `gate` holds them up, `trouble` breaks the next."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.trouble: Exception | None = None

    async def run(self) -> None:
        self.begun += 1
        await self.gate.wait()
        if self.trouble:
            raise self.trouble
        self.ended += 1


async def test_a_round_begins_at_once_then_every_so_often_and_never_beside_another() -> None:
    clock, work = VirtualClock(), Work()
    async with Supervisor(reraise=True) as supervisor:
        rounds = Rounds(work.run, every_seconds=60, name="work", clock=clock, supervisor=supervisor)
        for seconds, begun in ((0, 1), (59, 1), (1, 2)):
            await clock.advance(seconds)
            rounds.begin_when_due()
            await settle()
            assert work.begun == begun
        work.gate.clear()
        for seconds, begun in ((60, 3), (600, 3)):
            await clock.advance(seconds)
            rounds.begin_when_due()
            await settle()
            assert (work.begun, work.ended) == (begun, 2)
        work.gate.set()
        await settle()
        rounds.begin_when_due()
        await settle()
        assert work.ended == 4, "it was overdue"


async def test_a_bug_ends_one_round_and_the_next_is_tried_when_it_is_due() -> None:
    clock, work = VirtualClock(), Work()
    work.trouble = ZeroDivisionError("a bug")
    async with Supervisor() as supervisor:
        rounds = Rounds(work.run, every_seconds=60, name="work", clock=clock, supervisor=supervisor)
        rounds.begin_when_due()
        await settle()
        work.trouble = None
        rounds.begin_when_due()
        await settle()
        assert (work.begun, work.ended) == (1, 0)
        await clock.advance(60)
        rounds.begin_when_due()
        await settle()
        assert (work.begun, work.ended) == (2, 1)
