"""The database's thread: whole or not at all, in order, never waited for without end, and closed for good."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine

from daemon.ports.errors import StoreUnavailable
from daemon.stores.database_thread import SHARED_MAX, DatabaseThread
from tests.unit.stores.builders import next_turn


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[DatabaseThread]:
    database = DatabaseThread(create_engine(f"sqlite:///{tmp_path / 'test.db'}"), name="store x")
    await database.write("create", lambda connection: connection.exec_driver_sql("CREATE TABLE words (word)").close())
    yield database
    await database.close()


class _Gate:
    """A body that tells when it has begun and goes on when told to."""

    def __init__(self, word: str) -> None:
        self._word = word
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self, connection: Connection) -> str:
        self.has_begun.set()
        assert self.may_go_on.wait(timeout=10)
        _say(connection, self._word)
        return self._word


def _say(connection: Connection, word: str) -> None:
    connection.exec_driver_sql("INSERT INTO words VALUES (?)", (word,))


async def _words(database: DatabaseThread) -> list[str]:
    return await database.read(
        "read", lambda connection: list(connection.exec_driver_sql("SELECT word FROM words").scalars())
    )


async def test_what_a_body_returns_is_the_answer_and_its_writes_stay(database: DatabaseThread) -> None:
    gate = _Gate("yes")
    gate.may_go_on.set()
    assert await database.write("say", gate) == "yes"
    assert await _words(database) == ["yes"]


async def test_a_body_that_raises_writes_nothing(database: DatabaseThread) -> None:
    def say_and_fail(connection: Connection) -> None:
        _say(connection, "no")
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await database.write("say", say_and_fail)
    assert await _words(database) == []


async def test_a_body_that_has_begun_is_finished_although_its_task_is_cancelled(database: DatabaseThread) -> None:
    gate = _Gate("begun")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(database.write("say", gate))
        assert await asyncio.to_thread(gate.has_begun.wait, 10)
        task.cancel()
    assert task.cancelled()
    gate.may_go_on.set()
    assert await _words(database) == ["begun"]


async def test_a_body_that_waits_for_its_turn_is_dropped_when_its_task_is_cancelled(database: DatabaseThread) -> None:
    first, second = _Gate("first"), _Gate("second")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.write("say", first))
        waiting = tasks.create_task(database.write("say", second))
        assert await asyncio.to_thread(first.has_begun.wait, 10)
        waiting.cancel()
        await asyncio.wait([waiting])
        first.may_go_on.set()
    assert await _words(database) == ["first"]
    assert not second.has_begun.is_set()


async def test_bodies_run_in_the_order_in_which_they_were_asked_for(database: DatabaseThread) -> None:
    words = [f"{number}" for number in range(20)]
    await asyncio.gather(
        *(database.write("say", lambda connection, word=word: _say(connection, word)) for word in words)
    )
    assert await _words(database) == words


async def test_no_answer_in_time_is_told_and_the_store_goes_on_when_its_disk_does(database: DatabaseThread) -> None:
    gate = _Gate("late")
    with pytest.raises(StoreUnavailable, match=r"cannot say in store x: no answer within 0\.01 s; check its disk"):
        await database.write("say", gate, patience_seconds=0.01)
    gate.may_go_on.set()
    assert await _words(database) in (["late"], [])


async def test_closing_finishes_what_was_asked_for_and_refuses_what_comes_later(database: DatabaseThread) -> None:
    gate = _Gate("last")
    async with asyncio.TaskGroup() as tasks:
        asked_before = tasks.create_task(database.write("say", gate))
        assert await asyncio.to_thread(gate.has_begun.wait, 10)
        tasks.create_task(database.close())
        await next_turn()
        with pytest.raises(StoreUnavailable, match="it was closed"):
            await _words(database)
        gate.may_go_on.set()
    assert asked_before.result() == "last"
    await database.close()


async def test_closing_ends_the_thread(database: DatabaseThread) -> None:
    assert _store_threads() == 1
    await database.close()
    assert _store_threads() == 0


def _store_threads() -> int:
    return sum(thread.name.startswith("lastgood-store") for thread in threading.enumerate())


async def test_those_who_wait_at_the_same_moment_share_a_transaction_and_each_gets_its_own_answer(
    database: DatabaseThread,
) -> None:
    transactions: set[object] = set()

    def say(connection: Connection, word: str) -> str:
        transactions.add(connection.get_transaction())
        _say(connection, word)
        return word.upper()

    gate = _Gate("first")
    words = [f"w{number}" for number in range(SHARED_MAX + 1)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.write("say", gate))
        assert await asyncio.to_thread(gate.has_begun.wait, 10)
        said = [tasks.create_task(database.write_shared("say", partial(say, word=word))) for word in words]
        await next_turn()
        gate.may_go_on.set()
    assert [task.result() for task in said] == [word.upper() for word in words]
    assert await _words(database) == ["first", *words]
    assert len(transactions) == 2, "as many as may share one, and one more"


async def test_one_that_raises_spoils_nothing_for_those_that_shared_with_it(database: DatabaseThread) -> None:
    def say_and_fail(connection: Connection) -> None:
        _say(connection, "no")
        raise KeyError("bug")

    gate = _Gate("first")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.write("say", gate))
        assert await asyncio.to_thread(gate.has_begun.wait, 10)
        before = tasks.create_task(database.write_shared("say", lambda connection: _say(connection, "before")))
        failing = asyncio.gather(database.write_shared("fail", say_and_fail), return_exceptions=True)
        after = tasks.create_task(database.write_shared("say", lambda connection: _say(connection, "after")))
        await next_turn()
        gate.may_go_on.set()
        (error,) = await failing
    assert isinstance(error, KeyError)
    assert (before.exception(), after.exception()) == (None, None)
    assert sorted(await _words(database)) == ["after", "before", "first"]


async def test_a_shared_write_that_is_alone_raises_what_its_body_raises_and_is_not_run_twice(
    database: DatabaseThread,
) -> None:
    runs: list[Connection] = []

    def fail(connection: Connection) -> None:
        runs.append(connection)
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await database.write_shared("fail", fail)
    assert len(runs) == 1


async def test_a_cancelled_task_takes_nothing_from_those_that_share_with_it(database: DatabaseThread) -> None:
    gate = _Gate("first")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.write("say", gate))
        assert await asyncio.to_thread(gate.has_begun.wait, 10)
        leaving = tasks.create_task(database.write_shared("say", lambda connection: _say(connection, "leaving")))
        staying = tasks.create_task(database.write_shared("say", lambda connection: _say(connection, "staying")))
        await next_turn()
        leaving.cancel()
        gate.may_go_on.set()
        await staying
    assert await _words(database) == ["first", "leaving", "staying"]


async def test_a_shared_write_is_not_waited_for_without_end_and_is_refused_after_closing(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    database = DatabaseThread(engine, name="store x", patience_seconds=0.01)
    gate = _Gate("late")
    with pytest.raises(StoreUnavailable, match=r"cannot say in store x: no answer within 0\.01 s; check its disk"):
        await database.write_shared("say", gate)
    gate.may_go_on.set()
    await database.close()
    with pytest.raises(StoreUnavailable, match="it was closed"):
        await database.write_shared("say", gate)


async def test_reads_that_wait_at_the_same_moment_share_a_turn_and_one_that_raises_spoils_nothing(
    database: DatabaseThread,
) -> None:
    seen: list[Connection] = []

    def look(connection: Connection) -> int:
        seen.append(connection)
        return connection.exec_driver_sql("SELECT 7").scalar_one()  # type: ignore[no-any-return]

    def fail(_connection: Connection) -> int:
        raise KeyError("bug")

    gate = _Gate("first")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.write("say", gate))
        assert await asyncio.to_thread(gate.has_begun.wait, 10)
        sharing = asyncio.gather(database.read("look", look), database.read("look", look))
        await next_turn()
        gate.may_go_on.set()
        assert await sharing == [7, 7]
        assert seen[0] is seen[1]
    answers = await asyncio.gather(
        database.read("look", look), database.read("fail", fail), database.read("look", look), return_exceptions=True
    )
    assert [answers[0], answers[2], type(answers[1])] == [7, 7, KeyError]
