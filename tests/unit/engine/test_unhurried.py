"""Long work in portions, between which everybody else has a turn."""

import asyncio

from daemon.engine.unhurried import PORTION, unhurried


async def test_everything_is_given_in_order_and_others_run_after_each_portion() -> None:
    given: list[int] = []
    given_before_the_other: list[int] = []

    async def work() -> None:
        async for number in unhurried(range(2 * PORTION + 1)):
            given.append(number)  # noqa: PERF401 - what was given so far is looked at meanwhile

    async def other() -> None:
        given_before_the_other.extend(given)

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        group.create_task(other())
    assert len(given_before_the_other) == PORTION
    assert given == list(range(2 * PORTION + 1))
