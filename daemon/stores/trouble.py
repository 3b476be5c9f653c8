"""Turns what goes wrong in a database into the errors of the port, with a sentence on what to do now."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
)

from daemon.ports.errors import StoreUnavailable

_BUGS = (DataError, InterfaceError, NotSupportedError, ProgrammingError)

# The low byte of a result code is its primary code. Source: sqlite.org, "Result and Error Codes", section 2.
_PRIMARY_CODE_MASK = 0xFF
_REPAIR = "stop the daemon, keep a copy of the file, and restore a backup or start with a new file"
_WHAT_NOW = {
    sqlite3.SQLITE_FULL: "free space on its disk",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for the daemon's user",
    sqlite3.SQLITE_PERM: "give the daemon's user access to the file",
    sqlite3.SQLITE_BUSY: "look for another program that keeps the file locked",
    sqlite3.SQLITE_LOCKED: "look for another program that keeps the file locked",
    sqlite3.SQLITE_IOERR: "check its disk and the kernel's log",
    sqlite3.SQLITE_CANTOPEN: "check that the file and its folder exist and can be opened by the daemon's user",
    sqlite3.SQLITE_CORRUPT: _REPAIR,
    sqlite3.SQLITE_NOTADB: _REPAIR,
}
_WHAT_NOW_OTHERWISE = "see the cause, then look at the file and its disk"


@contextmanager
def store_trouble(doing: str, *, name: str) -> Iterator[None]:
    """Raise StoreUnavailable in place of a database's or the system's error while *doing* something in store *name*.

    A broken rule of the schema becomes an AssertionError, and errors in our own SQL pass unchanged: those are bugs.
    """
    try:
        yield
    except IntegrityError as error:
        raise AssertionError(f"{doing} in {name} breaks a rule of the schema: {error.orig}") from error
    except _BUGS:
        raise
    except (DBAPIError, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StoreUnavailable(f"cannot {doing} in {name}: {cause}; {_what_now(cause)}") from error


def _what_now(cause: BaseException | None) -> str:
    code = getattr(cause, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return _WHAT_NOW_OTHERWISE
    return _WHAT_NOW.get(code & _PRIMARY_CODE_MASK, _WHAT_NOW_OTHERWISE)
