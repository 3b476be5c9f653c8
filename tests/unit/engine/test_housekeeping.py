"""The journal stays bounded, and tidying up never gets in the way."""

from datetime import UTC, datetime, timedelta

from daemon.core.facts import Instant, ProjectId
from daemon.engine.housekeeping import Housekeeping
from daemon.ports.errors import StoreUnavailable
from daemon.ports.store import JournalEntry
from daemon.stores.memory import MemoryStore

START = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


class StandingClock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


async def _store_with_entries(*ages_days: int) -> MemoryStore:
    store = MemoryStore()
    lease = await store.take_lease("me", now=START, ttl_seconds=60)
    for version, days in enumerate(ages_days):
        moment = Instant(START - timedelta(days=days), float(version))
        await store.commit(
            ProjectId("prj_1"),
            expected_version=version,
            lease=lease,
            entries=[JournalEntry("cycle_ended", "{}", "nothing", moment)],
            state="{}",
            commands=[],
            taken_requests=[],
            moment=moment,
        )
    return store


async def test_only_what_is_older_than_the_operator_keeps_is_removed() -> None:
    store = await _store_with_entries(31, 29)
    assert await Housekeeping(store, StandingClock(), keep=timedelta(days=30)).tidy() == 1
    assert len(await store.journal(ProjectId("prj_1"))) == 1


async def test_it_tidies_once_an_hour() -> None:
    store, clock = await _store_with_entries(31), StandingClock()
    housekeeping = Housekeeping(store, clock, keep=timedelta(days=40))
    assert await housekeeping.tidy() == 0
    clock.elapsed = 3599.0
    housekeeping._keep = timedelta(days=30)
    assert await housekeeping.tidy() == 0
    clock.elapsed = 3600.0
    assert await housekeeping.tidy() == 1


async def test_a_store_in_trouble_can_wait() -> None:
    class BrokenStore(MemoryStore):
        async def prune(self, *, before: datetime) -> int:
            raise StoreUnavailable("the disk is full")

    assert await Housekeeping(BrokenStore(), StandingClock(), keep=timedelta(days=30)).tidy() == 0
