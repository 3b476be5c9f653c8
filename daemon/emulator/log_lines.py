"""What a request wrote to the runtime log, line by line."""

from typing import NamedTuple

from daemon.emulator.counts import Request

SEVERITY = ("info", "warning", "error", "fatal")
"""The levels, from harmless to severe. Source: Vercel CLI 58.4.4, logs --level."""


class LogLine(NamedTuple):
    """One printed line; ``level`` is one of ``SEVERITY``."""

    level: str
    message: str


def lines_of(row: Request) -> tuple[LogLine, ...]:
    """Return the lines of *row*, the message of its outcome first; a silent request has none."""
    more = tuple(LogLine(level, message) for level, message in row.more_lines)
    if row.message is None:
        return more
    return (LogLine("error" if row.key.http_status >= 500 else "info", row.message), *more)
