"""What every Store promises, in one body of tests, over plain memory and over a SQLite file."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.core.facts import Instant, ProjectId
from daemon.ports.errors import Conflict, LeaseLost
from daemon.ports.store import Lease, Store, StoredProject
from daemon.stores.memory import MemoryStore
from daemon.stores.sqlite import open_sqlite
from tests.unit.stores.builders import BLOG, SHOP, START, TTL_SECONDS, a_lease, an_entry, moment_after, save


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else await open_sqlite(tmp_path / "lastgood.db")
    yield store
    await store.close()


async def _everything(store: Store) -> list[object]:
    """What a reader can see of a store, to prove that something did or did not change it."""
    answers: list[object] = [await store.load_all(), await store.newest_moment()]
    for project in (SHOP, BLOG):
        answers += [
            await store.journal(project),
            await store.unfinished_commands(project),
            await store.pending_requests(project),
        ]
    return answers


# Projects and versions


async def test_a_new_store_is_empty(store: Store) -> None:
    assert await store.load(SHOP) is None
    assert await _everything(store) == [[], None, [], [], [], [], [], []]


async def test_a_committed_state_is_read_back_as_it_was(store: Store) -> None:
    await save(store, version=1, seconds=1.5)
    assert await store.load(SHOP) == StoredProject(SHOP, version=1, state="state 1", saved=moment_after(1.5))


async def test_versions_count_commits_from_one(store: Store) -> None:
    for version in (1, 2, 3):
        await save(store, version=version)
        stored = await store.load(SHOP)
        assert stored is not None
        assert (stored.version, stored.state) == (version, f"state {version}")


@pytest.mark.parametrize("expected_version", [0, 1, 3])
async def test_any_other_expected_version_is_a_conflict_and_writes_nothing(store: Store, expected_version: int) -> None:
    lease = await a_lease(store)
    await save(store, version=1)
    await save(store, version=2)
    before = await _everything(store)
    with pytest.raises(Conflict, match=f"version 2 .* expected {expected_version}"):
        await save(store, version=expected_version + 1, lease=lease, entries=[an_entry()], commands=["roll back"])
    assert await _everything(store) == before


async def test_a_project_never_seen_has_version_zero(store: Store) -> None:
    with pytest.raises(Conflict, match=r"version 0 .* expected 4"):
        await save(store, version=5)
    assert await store.load_all() == []


async def test_projects_do_not_touch_each_other(store: Store) -> None:
    await save(store, SHOP, version=1, entries=[an_entry("A")])
    await save(store, BLOG, version=1, entries=[an_entry("B")])
    await save(store, SHOP, version=2, entries=[an_entry("C")])
    assert [(stored.project, stored.version) for stored in await store.load_all()] == [(BLOG, 1), (SHOP, 2)]
    assert [stored.entry.kind for stored in await store.journal(BLOG)] == ["B"]


async def test_moments_keep_microseconds_and_come_back_in_utc(store: Store) -> None:
    berlin = datetime.fromisoformat("2026-03-01T13:00:00.000001+01:00")
    moment = Instant(at=berlin, elapsed=0.1 + 0.2)
    await store.commit(
        SHOP, expected_version=0, lease=None, entries=[], state="", commands=[], taken_requests=[], moment=moment
    )
    stored = await store.load(SHOP)
    assert stored is not None
    assert stored.saved == moment
    assert stored.saved.at.tzinfo is not None


async def test_the_newest_moment_is_the_one_with_most_elapsed_even_when_the_wall_clock_stepped_back(
    store: Store,
) -> None:
    await save(store, SHOP, version=1, seconds=10)
    stepped_back = Instant(at=START - timedelta(hours=1), elapsed=moment_after(20).elapsed)
    await store.commit(
        BLOG, expected_version=0, lease=None, entries=[], state="", commands=[], taken_requests=[], moment=stepped_back
    )
    assert await store.newest_moment() == stepped_back
    await save(store, SHOP, version=2, seconds=30)
    assert await store.newest_moment() == moment_after(30)


# Journal


async def test_the_journal_is_told_oldest_first_and_its_sequence_grows_over_all_projects(store: Store) -> None:
    await save(store, SHOP, version=1, entries=[an_entry("A"), an_entry("B")])
    await save(store, BLOG, version=1, entries=[an_entry("C")])
    await save(store, SHOP, version=2, entries=[an_entry("D")])
    shop, blog = await store.journal(SHOP), await store.journal(BLOG)
    assert [(stored.entry.kind, stored.version, stored.project) for stored in shop] == [
        ("A", 1, SHOP),
        ("B", 1, SHOP),
        ("D", 2, SHOP),
    ]
    sequences = [stored.sequence for stored in (*shop[:2], *blog, shop[2])]
    assert sequences == sorted(set(sequences))


async def test_a_journal_entry_is_read_back_as_it_was(store: Store) -> None:
    entry = an_entry("IncidentOpened", seconds=7.25, incident="inc_1")
    await save(store, version=1, entries=[entry])
    assert [stored.entry for stored in await store.journal(SHOP)] == [entry]


@pytest.mark.parametrize(("limit", "kinds"), [(1, "E"), (4, "BCDE"), (5, "ABCDE"), (6, "ABCDE")])
async def test_a_limit_keeps_the_newest_entries(store: Store, limit: int, kinds: str) -> None:
    await save(store, version=1, entries=[an_entry(kind) for kind in "ABCDE"])
    assert "".join(stored.entry.kind for stored in await store.journal(SHOP, limit=limit)) == kinds


async def test_the_journal_of_one_incident_leaves_out_the_rest(store: Store) -> None:
    entries = [an_entry(kind, incident=incident) for kind, incident in zip("ABCDE", "1x1x1", strict=True)]
    await save(store, SHOP, version=1, entries=[*entries, an_entry("F")])
    await save(store, BLOG, version=1, entries=[an_entry("G", incident="1")])
    assert [stored.entry.kind for stored in await store.journal(SHOP, incident="1")] == ["A", "C", "E"]
    assert [stored.entry.kind for stored in await store.journal(SHOP, incident="1", limit=2)] == ["C", "E"]
    assert await store.journal(SHOP, incident="none") == []


async def _paged(store: Store, *, limit: int, since: datetime = START) -> list[list[str]]:
    """Read the journal of SHOP page by page, to the empty one."""
    pages, after = [], 0
    while page := await store.journal_page(SHOP, after=after, since=since, limit=limit):
        pages.append([stored.entry.kind for stored in page])
        after = page[-1].sequence
    return pages


@pytest.mark.parametrize(
    ("limit", "pages"), [(1, ["A", "B", "D", "E"]), (3, ["ABD", "E"]), (4, ["ABDE"]), (5, ["ABDE"])]
)
async def test_pages_tell_the_whole_journal_of_one_project_oldest_first(
    store: Store, limit: int, pages: list[str]
) -> None:
    await save(store, SHOP, version=1, entries=[an_entry("A"), an_entry("B")])
    await save(store, BLOG, version=1, entries=[an_entry("C")])
    await save(store, SHOP, version=2, entries=[an_entry("D"), an_entry("E")])
    assert ["".join(page) for page in await _paged(store, limit=limit)] == pages


async def test_pages_begin_at_the_moment_asked_for(store: Store) -> None:
    await save(store, version=1, entries=[an_entry(kind, seconds=at) for at, kind in enumerate("ABCD")])
    assert await _paged(store, limit=2, since=START + timedelta(seconds=1)) == [["B", "C"], ["D"]]
    assert await _paged(store, limit=2, since=START + timedelta(seconds=4)) == []


async def test_pruning_between_two_pages_shifts_none(store: Store) -> None:
    await save(store, version=1, entries=[an_entry(kind, seconds=at) for at, kind in enumerate("ABCD")])
    first = await store.journal_page(SHOP, after=0, since=START, limit=2)
    await store.prune(before=START + timedelta(seconds=2))
    rest = await store.journal_page(SHOP, after=first[-1].sequence, since=START, limit=2)
    assert [stored.entry.kind for stored in (*first, *rest)] == ["A", "B", "C", "D"]


# Outbox


async def test_commands_are_returned_and_wait_in_their_order_until_finished(store: Store) -> None:
    lease = await a_lease(store)
    first = await save(store, version=1, lease=lease, commands=["roll back", "notify", "notify"])
    second = await save(store, version=2, lease=lease, commands=["poll"])
    assert [command.document for command in first] == ["roll back", "notify", "notify"]
    assert {command.project for command in first} == {SHOP}
    assert await store.unfinished_commands(SHOP) == [*first, *second]
    assert await store.unfinished_commands(BLOG) == []

    await store.finish_command(first[1].id)
    assert await store.unfinished_commands(SHOP) == [first[0], first[2], *second]


async def test_finishing_a_command_twice_or_an_unknown_one_changes_nothing(store: Store) -> None:
    lease = await a_lease(store)
    first, second = await save(store, version=1, lease=lease, commands=["roll back", "notify"])
    for command_id in (first.id, first.id, second.id + 1000):
        await store.finish_command(command_id)
    assert await store.unfinished_commands(SHOP) == [second]


async def test_a_commit_without_a_lease_carries_no_commands(store: Store) -> None:
    with pytest.raises(AssertionError, match="commands need a lease"):
        await save(store, version=1, lease=None, commands=["roll back"])
    assert await store.load(SHOP) is None


# Lease


async def _take(store: Store, holder: str, *, seconds: float) -> Lease | None:
    return await store.take_lease(holder, now=START + timedelta(seconds=seconds), ttl_seconds=TTL_SECONDS)


async def test_the_first_to_ask_takes_the_lease(store: Store) -> None:
    lease = await _take(store, "a", seconds=0)
    assert lease == Lease(holder="a", token=1, expires_at=START + timedelta(seconds=TTL_SECONDS))


async def test_renewing_moves_the_expiry_and_keeps_the_token(store: Store) -> None:
    first = await a_lease(store, "a")
    renewed = await a_lease(store, "a", seconds=30)
    assert renewed == Lease(holder="a", token=first.token, expires_at=START + timedelta(seconds=90))
    await save(store, version=1, lease=first, commands=["the token counts, not the expiry"])


@pytest.mark.parametrize(("seconds", "is_taken"), [(59.999999, False), (60, True), (60.000001, True)])
async def test_another_holder_takes_the_lease_only_once_it_expired(
    store: Store, seconds: float, *, is_taken: bool
) -> None:
    first = await a_lease(store, "a")
    second = await _take(store, "b", seconds=seconds)
    assert (second is not None) == is_taken
    if second is not None:
        assert (second.holder, second.token) == ("b", first.token + 1)


async def test_a_refused_holder_does_not_disturb_the_lease(store: Store) -> None:
    lease = await a_lease(store, "a")
    assert await _take(store, "b", seconds=1) is None
    assert await a_lease(store, "a", seconds=2) == Lease("a", lease.token, START + timedelta(seconds=62))


async def test_a_holder_whose_lease_expired_unnoticed_goes_on_with_its_token(store: Store) -> None:
    lease = await a_lease(store, "a")
    assert (await a_lease(store, "a", seconds=600)).token == lease.token


async def test_the_token_grows_whenever_the_holder_changes(store: Store) -> None:
    tokens = [
        (await a_lease(store, holder, seconds=seconds)).token
        for holder, seconds in (("a", 0), ("b", 60), ("b", 70), ("a", 130), ("c", 190))
    ]
    assert tokens == [1, 2, 2, 3, 4]


async def test_a_released_lease_is_free_at_once_and_its_token_is_dead(store: Store) -> None:
    lease = await a_lease(store, "a")
    await store.release_lease(lease)
    with pytest.raises(LeaseLost):
        await save(store, version=1, lease=lease)
    assert (await a_lease(store, "b", seconds=1)).token == lease.token + 1


async def test_taking_the_lease_again_after_releasing_it_gives_a_new_token(store: Store) -> None:
    lease = await a_lease(store, "a")
    await store.release_lease(lease)
    assert (await a_lease(store, "a", seconds=1)).token == lease.token + 1


async def test_releasing_a_lease_that_was_taken_over_leaves_the_new_holder_alone(store: Store) -> None:
    stale = await a_lease(store, "a")
    lease = await a_lease(store, "b", seconds=60)
    await store.release_lease(stale)
    assert await _take(store, "a", seconds=61) is None
    await save(store, version=1, lease=lease)


async def test_releasing_an_older_lease_of_ours_keeps_the_newer_one(store: Store) -> None:
    older = await a_lease(store, "a")
    await store.release_lease(older)
    newer = await a_lease(store, "a", seconds=1)
    await store.release_lease(older)
    assert await _take(store, "b", seconds=2) is None
    await save(store, version=1, lease=newer)


async def test_an_overtaken_lease_commits_nothing(store: Store) -> None:
    stale = await a_lease(store, "a")
    await save(store, version=1, lease=stale, commands=["roll back"])
    await a_lease(store, "b", seconds=60)
    before = await _everything(store)
    with pytest.raises(LeaseLost, match=r"a's lease 1 .* \(b has 2\)"):
        await save(store, version=2, lease=stale, entries=[an_entry()], commands=["roll back"])
    assert await _everything(store) == before


async def test_a_lost_lease_is_told_before_a_conflict(store: Store) -> None:
    stale = await a_lease(store, "a")
    await a_lease(store, "b", seconds=60)
    with pytest.raises(LeaseLost):
        await save(store, version=7, lease=stale)


async def test_a_lease_from_another_store_is_lost(store: Store) -> None:
    with pytest.raises(LeaseLost, match="nobody"):
        await save(store, version=1, lease=Lease("a", 1, START))


async def test_an_observer_commits_while_another_holds_the_lease(store: Store) -> None:
    await a_lease(store, "a")
    await save(store, version=1, lease=None, entries=[an_entry()])
    assert len(await store.journal(SHOP)) == 1


# Operator requests


async def _ask(store: Store, document: str, *, project: ProjectId | None) -> int:
    return await store.ask(document, project=project, requested_at=START, requested_by="ada")


async def test_a_request_for_one_project_waits_until_that_project_takes_it(store: Store) -> None:
    request = await _ask(store, "pause", project=SHOP)
    (pending,) = await store.pending_requests(SHOP)
    assert (pending.id, pending.project, pending.document) == (request, SHOP, "pause")
    assert (pending.requested_at, pending.requested_by) == (START, "ada")
    assert await store.pending_requests(BLOG) == []

    await save(store, version=1, taken_requests=[request])
    assert await store.pending_requests(SHOP) == []


async def test_a_request_for_all_projects_is_taken_once_by_each(store: Store) -> None:
    request = await _ask(store, "pause", project=None)
    await save(store, SHOP, version=1, taken_requests=[request])
    assert await store.pending_requests(SHOP) == []
    assert [pending.id for pending in await store.pending_requests(BLOG)] == [request]
    await save(store, BLOG, version=1, taken_requests=[request])
    assert await store.pending_requests(BLOG) == []


async def test_requests_come_oldest_first(store: Store) -> None:
    asked = [await _ask(store, f"{number}", project=SHOP if number % 2 else None) for number in range(4)]
    assert [pending.id for pending in await store.pending_requests(SHOP)] == asked


async def test_an_overtaken_commit_takes_no_request(store: Store) -> None:
    request = await _ask(store, "pause", project=SHOP)
    await save(store, version=1)
    with pytest.raises(Conflict):
        await save(store, version=1, taken_requests=[request])
    assert [pending.id for pending in await store.pending_requests(SHOP)] == [request]


@pytest.mark.parametrize("mistake", ["unknown", "twice", "taken before", "another project's"])
async def test_a_request_that_is_not_there_to_take_is_a_bug_and_the_whole_commit_is_undone(
    store: Store, mistake: str
) -> None:
    lease = await a_lease(store)
    taken = await _ask(store, "pause", project=SHOP)
    await save(store, version=1, taken_requests=[taken])
    shops, blogs = await _ask(store, "resume", project=SHOP), await _ask(store, "resume", project=BLOG)
    requests = {
        "unknown": [shops, blogs + 1000],
        "twice": [shops, shops],
        "taken before": [shops, taken],
        "another project's": [shops, blogs],
    }[mistake]
    before = await _everything(store)
    with pytest.raises(AssertionError, match=r"takes (requests|a request)"):
        await save(store, version=2, lease=lease, entries=[an_entry()], commands=["roll back"], taken_requests=requests)
    assert await _everything(store) == before


# Pruning


async def test_pruning_deletes_old_entries_and_finished_commands_only(store: Store) -> None:
    lease = await a_lease(store)
    old = await save(store, version=1, lease=lease, entries=[an_entry("A", seconds=0)], commands=["done", "waiting"])
    await save(store, version=2, lease=lease, entries=[an_entry("B", seconds=9.999999), an_entry("C", seconds=10)])
    new = await save(store, version=3, lease=lease, commands=["done"], seconds=10)
    await store.finish_command(old[0].id)
    await store.finish_command(new[0].id)

    assert await store.prune(before=START + timedelta(seconds=10)) == 3
    assert [stored.entry.kind for stored in await store.journal(SHOP)] == ["C"]
    assert [command.document for command in await store.unfinished_commands(SHOP)] == ["waiting"]
    assert await store.prune(before=START + timedelta(seconds=10)) == 0
    assert await store.prune(before=datetime(2100, 1, 1, tzinfo=UTC)) == 2


async def test_pruning_goes_on_until_nothing_old_is_left(store: Store) -> None:
    await save(store, version=1, entries=[an_entry()] * 5_001)
    assert await store.prune(before=START + timedelta(seconds=1)) == 5_001
    assert await store.journal(SHOP) == []


async def test_pruning_keeps_states_versions_and_what_is_pending(store: Store) -> None:
    lease = await a_lease(store)
    await _ask(store, "pause", project=SHOP)
    await save(store, version=1, lease=lease, entries=[an_entry()], commands=["waiting"])
    before = [await store.load_all(), await store.pending_requests(SHOP), await store.unfinished_commands(SHOP)]
    assert await store.prune(before=datetime(2100, 1, 1, tzinfo=UTC)) == 1
    after = [await store.load_all(), await store.pending_requests(SHOP), await store.unfinished_commands(SHOP)]
    assert after == before
    await save(store, version=2, lease=lease)


async def test_numbers_are_never_used_again_even_when_the_newest_rows_were_pruned(store: Store) -> None:
    lease = await a_lease(store)
    (first,) = await save(store, version=1, lease=lease, entries=[an_entry()], commands=["roll back"])
    (entry,) = await store.journal(SHOP)
    await store.finish_command(first.id)
    await store.prune(before=datetime(2100, 1, 1, tzinfo=UTC))
    (second,) = await save(store, version=2, lease=lease, entries=[an_entry()], commands=["roll back"])
    (later_entry,) = await store.journal(SHOP)
    assert second.id > first.id
    assert later_entry.sequence > entry.sequence
