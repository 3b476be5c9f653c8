"""Buckets in the daemon's SQL store: every delivery is one short transaction, every read one statement."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Executable, bindparam, case, delete, func, select, tuple_
from sqlalchemy.dialects.sqlite import insert as upsert

from daemon.core.facts import DeploymentId, ProjectId
from daemon.ports.buckets import BucketCount, Buckets, Delivery, Gap, GapReason, Heard, RouteCount, Standing
from daemon.stores.database_thread import DatabaseThread
from daemon.stores.migration import refuse_other_revision
from daemon.stores.schema import drain_counts, drain_gaps, drain_heard, drain_receivers
from daemon.stores.sqlite import sqlite_engine

_PRUNE_BATCH_ROWS = 5_000
_ALL_PROJECTS = ""
"""Stands for no project in particular, where NULL cannot stand."""

_NUMBER = select(drain_receivers.c.number).where(drain_receivers.c.receiver == bindparam("receiver"))
_sign_of_life = upsert(drain_receivers)
_SIGN_OF_LIFE = _sign_of_life.on_conflict_do_update(
    index_elements=drain_receivers.primary_key,
    set_={"number": _sign_of_life.excluded.number, "alive_at": _sign_of_life.excluded.alive_at},
)
_count = upsert(drain_counts)
_ADD_UP = _count.on_conflict_do_update(
    index_elements=drain_counts.primary_key,
    set_={"requests": drain_counts.c.requests + _count.excluded.requests},
)
_heard = upsert(drain_heard)
_HEAR = _heard.on_conflict_do_update(
    index_elements=drain_heard.primary_key,
    set_={
        "newest_at": func.max(drain_heard.c.newest_at, _heard.excluded.newest_at),
        "heard_at": _heard.excluded.heard_at,
        "delay_seconds": _heard.excluded.delay_seconds,
    },
)
_gap = upsert(drain_gaps)
_NOTE_GAP = _gap.on_conflict_do_update(index_elements=drain_gaps.primary_key, set_={"end_at": _gap.excluded.end_at})

_LIVES = select(
    func.min(drain_receivers.c.began_at).label("began"), func.max(drain_receivers.c.alive_at).label("alive")
)
_HEARD = select(drain_heard)
_GAPS = select(drain_gaps).order_by(drain_gaps.c.start_at)

_start, _end = (bindparam(name, type_=drain_counts.c.start_at.type) for name in ("start", "end"))
_is_within = (drain_counts.c.start_at >= _start) & (drain_counts.c.start_at < _end)
_TOTALS = (
    select(
        drain_counts.c.start_at,
        drain_counts.c.project,
        drain_counts.c.deployment,
        func.sum(drain_counts.c.requests).label("requests"),
        func.sum(case((drain_counts.c.status_class == 5, drain_counts.c.requests), else_=0)).label("errors"),
    )
    .where(_is_within)
    .group_by(drain_counts.c.start_at, drain_counts.c.project, drain_counts.c.deployment)
    .order_by(drain_counts.c.start_at, drain_counts.c.project, drain_counts.c.deployment)
)
_ROUTES = (
    select(drain_counts)
    .where(_is_within, drain_counts.c.project == bindparam("project"))
    .order_by(*drain_counts.primary_key)
)

_before = bindparam("before", type_=drain_counts.c.start_at.type)
_key = tuple_(*drain_counts.primary_key)
_PRUNE_COUNTS = delete(drain_counts).where(
    _key.in_(select(*drain_counts.primary_key).where(drain_counts.c.start_at < _before).limit(bindparam("limit")))
)
_PRUNE_GAPS = delete(drain_gaps).where(drain_gaps.c.end_at < _before)
_PRUNE_RECEIVERS = delete(drain_receivers).where(drain_receivers.c.alive_at < _before)


async def open_sqlite_buckets(path: Path) -> "SqlBuckets":
    """Open the buckets in the store *path*, on a connection of their own, so that no commit queues behind them.

    The file must be there already, with this program's tables. Raises StoreUnavailable.
    """
    name = f"store {path}"
    database = DatabaseThread(sqlite_engine(path), name=name)
    try:
        await database.read("open", lambda connection: refuse_other_revision(connection, name=name))
    except BaseException:
        await database.close()
        raise
    return SqlBuckets(database)


class SqlBuckets(Buckets):
    """Buckets in an SQL database; see `daemon.ports.buckets.Buckets` for what each method promises."""

    def __init__(self, database: DatabaseThread) -> None:
        self._database = database

    async def add(self, delivery: Delivery) -> None:
        """Add counts up in one transaction with the rest, unless this delivery was taken before."""
        await self._database.write("add counts", lambda connection: _add(connection, delivery))

    async def standing(self) -> Standing | None:
        """Return how the receivers are; None where there is none."""

        def read(connection: Connection) -> Standing | None:
            # Three statements: the gaps come last, so that nothing is told as heard without the gap before it.
            lives = connection.execute(_LIVES).one()
            if lives.alive is None:
                return None
            heard = [
                Heard(
                    row.stream, row.project or None, row.newest_at, row.heard_at, timedelta(seconds=row.delay_seconds)
                )
                for row in connection.execute(_HEARD)
            ]
            gaps = [
                Gap(row.start_at, row.end_at, GapReason(row.reason), row.project or None)
                for row in connection.execute(_GAPS)
            ]
            return Standing(began=lives.began, alive=lives.alive, heard=heard, gaps=gaps)

        return await self._database.read("read the receivers' standing", read)

    async def totals(self, *, start: datetime, end: datetime) -> Sequence[BucketCount]:
        """Return the counts of every deployment in the buckets of [start, end), in order of time."""

        def read(connection: Connection) -> Sequence[BucketCount]:
            return [
                BucketCount(
                    ProjectId(row.project), DeploymentId(row.deployment), row.start_at, row.requests, row.errors
                )
                for row in connection.execute(_TOTALS, {"start": start, "end": end})
            ]

        return await self._database.read("read counts", read)

    async def routes(self, project: ProjectId, *, start: datetime, end: datetime) -> Sequence[RouteCount]:
        """Return the counts of one project by route and status class, in order of time."""

        def read(connection: Connection) -> Sequence[RouteCount]:
            values = {"start": start, "end": end, "project": project}
            return [
                RouteCount(project, row.deployment, row.start_at, row.route, row.status_class, row.requests)
                for row in connection.execute(_ROUTES, values)
            ]

        return await self._database.read(f"read routes of {project}", read)

    async def prune(self, *, before: datetime) -> int:
        """Delete old rows, counts in batches of 5,000, so that a commit never waits long; return how many went."""
        pruned = await self._delete(_PRUNE_GAPS, before) + await self._delete(_PRUNE_RECEIVERS, before)
        while True:
            batch = await self._delete(_PRUNE_COUNTS, before, limit=_PRUNE_BATCH_ROWS)
            pruned += batch
            if batch < _PRUNE_BATCH_ROWS:
                return pruned

    async def close(self) -> None:
        """Close the connection; whatever is asked afterwards raises StoreUnavailable."""
        await self._database.close()

    async def _delete(self, statement: Executable, before: datetime, **values: object) -> int:
        return await self._database.write(
            "prune counts", lambda connection: connection.execute(statement, {"before": before, **values}).rowcount
        )


def _add(connection: Connection, delivery: Delivery) -> None:
    taken = connection.execute(_NUMBER, {"receiver": delivery.receiver}).scalar_one_or_none()
    if taken is not None and taken >= delivery.number:
        return
    life = {"receiver": delivery.receiver, "number": delivery.number}
    connection.execute(_SIGN_OF_LIFE, {**life, "began_at": delivery.began, "alive_at": delivery.at})
    if delivery.counts:
        connection.execute(_ADD_UP, [_count_row(one) for one in delivery.counts])
    if delivery.heard:
        connection.execute(_HEAR, [_heard_row(one) for one in delivery.heard])
    if delivery.gaps:
        connection.execute(_NOTE_GAP, [_gap_row(one) for one in delivery.gaps])


def _count_row(one: RouteCount) -> dict[str, object]:
    return {
        "start_at": one.start,
        "project": one.project,
        "deployment": one.deployment,
        "route": one.route,
        "status_class": one.status_class,
        "requests": one.requests,
    }


def _heard_row(one: Heard) -> dict[str, object]:
    return {
        "stream": one.stream,
        "project": one.project or _ALL_PROJECTS,
        "newest_at": one.newest,
        "heard_at": one.at,
        "delay_seconds": one.delay.total_seconds(),
    }


def _gap_row(one: Gap) -> dict[str, object]:
    return {
        "start_at": one.start,
        "reason": one.reason.value,
        "project": one.project or _ALL_PROJECTS,
        "end_at": one.end,
    }
