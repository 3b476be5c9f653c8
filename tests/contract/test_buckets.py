"""What every Buckets promises, in one body of tests, over plain memory and over a SQLite file."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.core.facts import DeploymentId, ProjectId
from daemon.ports.buckets import BUCKET, BucketCount, Buckets, Delivery, Gap, GapReason, Heard, RouteCount
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.stores.sql_buckets import open_sqlite_buckets
from daemon.stores.sqlite import open_sqlite
from tests.builders import START

SHOP, BLOG = ProjectId("prj_shop"), ProjectId("prj_blog")
OLD, NEW = DeploymentId("dpl_old"), DeploymentId("dpl_new")
LATER = START + BUCKET
LONG = timedelta(days=1)


@pytest.fixture(params=["memory", "sqlite"])
async def buckets(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Buckets]:
    if request.param == "memory":
        yield MemoryBuckets()
        return
    path = tmp_path / "lastgood.db"
    await (await open_sqlite(path)).close()
    opened = await open_sqlite_buckets(path)
    yield opened
    await opened.close()


def a_count(requests: int = 1, **changes: Any) -> RouteCount:
    count = RouteCount(SHOP, NEW, START, route="/cart", status_class=2, requests=requests)
    return replace(count, **changes)


def a_delivery(number: int = 1, **changes: Any) -> Delivery:
    return replace(Delivery("receiver_1", number, began=START, at=START + timedelta(seconds=number)), **changes)


def heard(project: ProjectId | None = None, *, newest: float = 0, at: float = 0, stream: str = "team") -> Heard:
    newest_at, arrived = START + timedelta(seconds=newest), START + timedelta(seconds=at)
    return Heard(stream, project, newest_at, arrived, delay=timedelta(milliseconds=1500))


async def totals(buckets: Buckets, start: datetime = START - LONG, end: datetime = START + LONG) -> list[BucketCount]:
    return list(await buckets.totals(start=start, end=end))


async def test_nothing_is_known_before_the_first_delivery(buckets: Buckets) -> None:
    assert await buckets.standing() is None
    assert await totals(buckets) == []


async def test_counts_add_up(buckets: Buckets) -> None:
    await buckets.add(a_delivery(1, counts=[a_count(3), a_count(1, status_class=5)]))
    await buckets.add(a_delivery(2, counts=[a_count(2), a_count(4, route="/"), a_count(1, status_class=4)]))
    assert await totals(buckets) == [BucketCount(SHOP, NEW, START, requests=11, errors=1)]


async def test_what_moved_to_another_class_is_taken_from_where_it_was(buckets: Buckets) -> None:
    await buckets.add(a_delivery(1, counts=[a_count(3)]))
    await buckets.add(a_delivery(2, counts=[a_count(-1), a_count(1, status_class=5)]))
    assert await totals(buckets) == [BucketCount(SHOP, NEW, START, requests=3, errors=1)]


async def test_projects_deployments_and_buckets_are_kept_apart_and_come_in_order_of_time(buckets: Buckets) -> None:
    counts = [
        a_count(1, start=LATER),
        a_count(2),
        a_count(3, deployment=OLD),
        a_count(4, project=BLOG, deployment=DeploymentId("dpl_blog")),
    ]
    await buckets.add(a_delivery(counts=counts))
    assert [(one.start, one.project, one.deployment, one.requests) for one in await totals(buckets)] == [
        (START, BLOG, "dpl_blog", 4),
        (START, SHOP, NEW, 2),
        (START, SHOP, OLD, 3),
        (LATER, SHOP, NEW, 1),
    ]


async def test_a_stretch_of_time_holds_its_first_bucket_and_not_the_one_at_its_end(buckets: Buckets) -> None:
    await buckets.add(a_delivery(counts=[a_count(start=START), a_count(start=LATER)]))
    assert [one.start for one in await totals(buckets, START, LATER)] == [START]
    assert [one.start for one in await totals(buckets, LATER, LATER + BUCKET)] == [LATER]
    assert await totals(buckets, LATER, LATER) == []


async def test_routes_and_classes_of_one_project_can_be_told_apart(buckets: Buckets) -> None:
    counts = [a_count(5), a_count(2, status_class=5), a_count(1, route="/"), a_count(9, project=BLOG)]
    await buckets.add(a_delivery(counts=counts))
    found = await buckets.routes(SHOP, start=START, end=LATER)
    assert list(found) == [counts[2], counts[0], counts[1]]


async def test_a_delivery_that_is_handed_over_again_is_taken_once(buckets: Buckets) -> None:
    delivery = a_delivery(2, counts=[a_count(3)])
    await buckets.add(delivery)
    await buckets.add(delivery)
    await buckets.add(a_delivery(1, counts=[a_count(100)]))
    assert [one.requests for one in await totals(buckets)] == [3]
    await buckets.add(a_delivery(3, counts=[a_count(3)]))
    assert [one.requests for one in await totals(buckets)] == [6]


async def test_each_receiver_counts_its_own_deliveries(buckets: Buckets) -> None:
    await buckets.add(a_delivery(7, counts=[a_count(1)]))
    await buckets.add(a_delivery(1, receiver="receiver_2", counts=[a_count(1)]))
    assert [one.requests for one in await totals(buckets)] == [2]


async def test_the_receivers_lived_from_the_first_beginning_to_the_last_sign_of_life(buckets: Buckets) -> None:
    await buckets.add(a_delivery(5))
    began = START + timedelta(seconds=2)
    await buckets.add(Delivery("receiver_2", 1, began=began, at=began))
    standing = await buckets.standing()
    assert standing is not None
    assert (standing.began, standing.alive) == (START, START + timedelta(seconds=5))
    assert (list(standing.heard), list(standing.gaps)) == ([], [])


async def test_of_what_was_heard_the_newest_stays(buckets: Buckets) -> None:
    await buckets.add(a_delivery(1, heard=[heard(newest=10, at=12), heard(SHOP, newest=10, at=12)]))
    await buckets.add(a_delivery(2, heard=[heard(newest=4, at=13), heard(newest=1, at=13, stream="other")]))
    standing = await buckets.standing()
    assert standing is not None
    assert sorted(standing.heard, key=str) == sorted(
        [heard(newest=10, at=13), heard(SHOP, newest=10, at=12), heard(newest=1, at=13, stream="other")], key=str
    )


async def test_a_gap_grows_and_keeps_its_place(buckets: Buckets) -> None:
    first = Gap(START, START, GapReason.OVERFLOW)
    others = [Gap(START, LATER, GapReason.UNREADABLE, SHOP), Gap(LATER, LATER, GapReason.OVERFLOW)]
    await buckets.add(a_delivery(1, gaps=[first, *others]))
    await buckets.add(a_delivery(2, gaps=[replace(first, end=LATER)]))
    standing = await buckets.standing()
    assert standing is not None
    assert [one.start for one in standing.gaps] == [START, START, LATER]
    assert set(standing.gaps) == {replace(first, end=LATER), *others}


async def test_pruning_deletes_what_is_older_and_nothing_else(buckets: Buckets) -> None:
    gaps = [Gap(START, START, GapReason.OVERFLOW), Gap(START, LATER, GapReason.RESTART)]
    await buckets.add(a_delivery(1, counts=[a_count()]))
    await buckets.add(
        a_delivery(20, receiver="receiver_2", counts=[a_count(start=LATER)], heard=[heard(newest=1)], gaps=gaps)
    )
    assert await buckets.prune(before=LATER) == 3
    assert [one.start for one in await totals(buckets)] == [LATER]
    standing = await buckets.standing()
    assert standing is not None
    assert list(standing.gaps) == [gaps[1]]
    assert list(standing.heard) == [heard(newest=1)]
    assert await buckets.prune(before=LATER) == 0


async def test_pruning_goes_on_until_nothing_old_is_left(buckets: Buckets) -> None:
    counts = [a_count(route=f"/{number}") for number in range(5_001)]
    await buckets.add(a_delivery(counts=counts))
    assert await buckets.prune(before=START + timedelta(hours=1)) == 5_002
    assert await totals(buckets) == []
