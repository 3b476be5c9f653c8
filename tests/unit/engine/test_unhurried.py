"""Long work in portions, between which everybody else has a turn."""

import asyncio

from daemon.engine.unhurried import PORTION, unhurried


async def test_everything_is_given_in_order_and_others_run_after_each_portion() -> None:
    seen: list[int | str] = []

    async def work() -> None:
        async for number in unhurried(range(2 * PORTION + 1)):
            seen.append(number)  # noqa: PERF401 - told one by one

    async def other() -> None:
        seen.append("other")

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        group.create_task(other())
    assert seen.index("other") == PORTION
    assert [one for one in seen if one != "other"] == list(range(2 * PORTION + 1))
