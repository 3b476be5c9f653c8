"""Commits to a store until somebody kills it, telling each commit on standard output once it is acknowledged."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from daemon.stores.sqlite import open_sqlite
from tests.unit.stores.builders import a_lease, an_entry, save


async def write_until_killed(path: Path) -> None:
    store = await open_sqlite(path)
    lease = await a_lease(store)
    for version in count(start=1):
        await save(store, version=version, lease=lease, entries=[an_entry(), an_entry()], commands=["roll back"])
        print(version, flush=True)


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1])))
