"""Long work in portions: what is due elsewhere, such as the request of a rollback, must not wait for a whole fleet."""

import types
from collections.abc import AsyncIterator, Generator, Iterable
from typing import TypeVar

PORTION = 50
"""So many items hold the event loop at once: some hundredths of a second."""

Item = TypeVar("Item")


@types.coroutine
def next_turn() -> Generator[None, None, None]:
    """Let everything else that is ready run once."""
    yield


async def unhurried(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield *items*, and let everything else that is ready run after each PORTION of them."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % PORTION == 0:
            await next_turn()
