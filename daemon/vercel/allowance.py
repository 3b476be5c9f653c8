"""What the headers of an answer say of how many requests are left. Pure, and tolerant: no document promises them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RESET_SECONDS_MAX = 3600.0
"""A renewal later than this is no rate limit's: the header means something else."""
_DIGITS_MAX = 12


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many requests are left until it is renewed. `limit` is None where the headers do not say it."""

    remaining: int
    resets_in_seconds: float
    limit: int | None = None


def read_allowance(headers: Mapping[str, str]) -> Allowance | None:
    """Return what `x-ratelimit-*` say; None when one is missing or makes no sense, which then slows nothing down.

    The renewal is told as a Unix second of the server's clock, so it is read against the server's own `date`.
    Source: none of Vercel's; third parties report `x-ratelimit-limit`, `-remaining` and `-reset` (Unix seconds).
    """
    remaining, reset = _read_count(headers.get("x-ratelimit-remaining")), _read_count(headers.get("x-ratelimit-reset"))
    sent = read_date(headers.get("date"))
    if remaining is None or reset is None or sent is None:
        return None
    seconds = reset - sent.timestamp()
    if not 0 < seconds <= RESET_SECONDS_MAX:
        return None
    return Allowance(remaining, seconds, _read_count(headers.get("x-ratelimit-limit")))


def read_date(value: str | None) -> datetime | None:
    """Return the aware time of an HTTP date; None when it is absent or unreadable. Source: RFC 9110, section 5.6.7."""
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_count(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else None
