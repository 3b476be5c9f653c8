"""Every expected failure of a database becomes StoreUnavailable with advice; bugs stay bugs."""

import sqlite3

import pytest
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError, ProgrammingError

from daemon.ports.errors import Conflict, StoreUnavailable
from daemon.stores.trouble import store_trouble


def _sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("the cause")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (sqlite3.SQLITE_FULL, "free space"),
        (sqlite3.SQLITE_READONLY, "writable"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "writable"),
        (sqlite3.SQLITE_PERM, "access"),
        (sqlite3.SQLITE_BUSY, "another program"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "another program"),
        (sqlite3.SQLITE_LOCKED, "another program"),
        (sqlite3.SQLITE_IOERR_FSYNC, "check its disk"),
        (sqlite3.SQLITE_CANTOPEN, "can be opened"),
        (sqlite3.SQLITE_CORRUPT, "restore a backup"),
        (sqlite3.SQLITE_NOTADB, "restore a backup"),
        (sqlite3.SQLITE_NOMEM, "see the cause"),
    ],
)
def test_each_failure_is_told_with_its_cause_and_what_to_do_now(code: int, advice: str) -> None:
    error = OperationalError("SELECT 1", {}, _sqlite_error(code))
    with (
        pytest.raises(StoreUnavailable, match=f"^cannot load prj_1 in store x: the cause; .*{advice}") as caught,
        store_trouble("load prj_1", name="store x"),
    ):
        raise error
    assert caught.value.__cause__ is error
    assert "SELECT" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        DatabaseError("SELECT 1", {}, sqlite3.DatabaseError("malformed")),
        PermissionError(13, "Permission denied"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_without_a_code_is_told_too(error: Exception) -> None:
    with pytest.raises(StoreUnavailable, match="cannot load"), store_trouble("load", name="store x"):
        raise error


def test_a_broken_rule_of_the_schema_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="UNIQUE"), store_trouble("commit", name="store x"):
        raise IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed"))


@pytest.mark.parametrize(
    "error", [ProgrammingError("SELECT", {}, sqlite3.ProgrammingError("bad")), Conflict("reload"), ValueError("bug")]
)
def test_other_errors_pass_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, store_trouble("load", name="store x"):
        raise error
    assert caught.value is error
