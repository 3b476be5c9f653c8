"""A whole fleet at once: bounded where it meets the store, and never in the way of a project that needs something."""

import asyncio
from typing import Any

import pytest

from daemon.core.facts import ProjectId
from daemon.engine.cycle import _TOLD_AT_ONCE
from daemon.ports.store import StoredCommand
from tests.builders import BAD
from tests.fakes.clock import next_turn, settle
from tests.fakes.daemon import INTERVAL_SECONDS, World, a_daemon
from tests.fakes.source import FakeSource
from tests.fakes.store import FaultyStore

FLEET = [ProjectId(f"prj_{number}") for number in range(_TOLD_AT_ONCE + 2)]
SICK = FLEET[-1]

pytestmark = pytest.mark.slow


class SlowStore(FaultyStore):
    """Takes a turn for each commit, and for a calm project's as long as `may_go_on` is not set.

    `at_once` is the most commits that were under way together; `committed` are the projects.
    """

    def __init__(self) -> None:
        super().__init__()
        self.under_way = self.at_once = 0
        self.committed: set[ProjectId] = set()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def commit(self, project: ProjectId, **changes: Any) -> list[StoredCommand]:  # type: ignore[override]
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        await next_turn()
        if project != SICK:
            await self.may_go_on.wait()
        self.under_way -= 1
        self.committed.add(project)
        return list(await super().commit(project, **changes))


async def test_so_many_are_resumed_and_committed_at_once_and_no_more() -> None:
    store = SlowStore()
    world = World(store=store)
    world.source.is_fleet_wide = True
    async with a_daemon(world, projects=FLEET) as daemon:
        store.may_go_on.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(daemon.poll())
            await settle()
            assert store.under_way == _TOLD_AT_ONCE, "resumed"
            store.may_go_on.set()
        await world.clock.advance(60)
        store.at_once = 0
        await daemon.poll()
        assert store.at_once == _TOLD_AT_ONCE, "told"


async def test_a_project_with_an_incident_does_not_wait_until_a_calm_fleet_is_committed() -> None:
    store = SlowStore()
    world = World(store=store)
    calm, sick = FakeSource(world.hosting), FakeSource(world.hosting, ratios={BAD.id: 0.3})
    calm.is_fleet_wide = True
    async with a_daemon(
        world, projects=FLEET, sources={one: [sick if one == SICK else calm] for one in FLEET}
    ) as daemon:
        await daemon.poll()
        world.hosting.release(BAD)
        while not (daemon.projects[-1].state and daemon.projects[-1].state.incident):
            await world.clock.advance(INTERVAL_SECONDS)
            await daemon.poll()
        await world.clock.advance(60)
        store.committed.clear()
        store.may_go_on.clear()
        async with asyncio.TaskGroup() as group:
            poll = group.create_task(daemon.poller.run_cycle())
            await settle()
            assert store.under_way == _TOLD_AT_ONCE
            assert store.committed == {SICK}
            store.may_go_on.set()
            await poll
        assert store.committed == set(FLEET)
