"""Polls merged into buckets: at least 50 requests or 60 seconds, so that a rate means something.

Dirty counts are made possible ones first: errors beyond the requests, and corrections below zero, wait for the next
poll. No count is ever lost or counted twice.
"""

from typing import NamedTuple

BUCKET_REQUESTS = 50
BUCKET_SECONDS = 60.0
_SLACK_SECONDS = 1e-6


class Poll(NamedTuple):
    """Counts of whatever served production over [start, end), in seconds of event time.

    `is_missed` says that nobody counted in this time: the clock goes on, and nothing may be decided by it.
    """

    start: float
    end: float
    requests: int
    errors: int
    is_missed: bool = False


class Owed(NamedTuple):
    """What the next poll has to make up for: errors without requests, or corrections below zero."""

    requests: int = 0
    errors: int = 0


NOTHING_OWED = Owed()


def settle(owed: Owed, requests: int, errors: int) -> tuple[int, int, Owed]:
    """Return requests and errors that can be, 0 <= errors <= requests, and what is owed to the next poll."""
    requests += owed.requests
    errors += owed.errors
    if 0 <= errors <= requests:
        return requests, errors, NOTHING_OWED
    counted = max(0, requests)
    failed = min(max(0, errors), counted)
    return counted, failed, Owed(requests - counted, errors - failed)


class Bucket(NamedTuple):
    """Counts over [start, end), in seconds, of what went live with activation `number`.

    `poll` is the length of the newest poll counted in it, in seconds. There are requests in every bucket: a
    poll without traffic opens none.
    """

    start: float
    end: float
    requests: int
    errors: int
    number: int
    poll: float

    @property
    def rate(self) -> float:
        """Errors by requests, 0..1."""
        return self.errors / self.requests


def merge(opened: Bucket | None, poll: Poll, number: int) -> Bucket | None:
    """Return the bucket with the settled counts of *poll*; None where none is open and nobody came."""
    if opened is None:
        length = poll.end - poll.start
        return Bucket(poll.start, poll.end, poll.requests, poll.errors, number, length) if poll.requests else None
    length = opened.poll if poll.is_missed else poll.end - poll.start
    return Bucket(
        opened.start, poll.end, opened.requests + poll.requests, opened.errors + poll.errors, opened.number, length
    )


def is_full(bucket: Bucket) -> bool:
    """Return whether the bucket closes: it has requests enough, or has been open for long enough."""
    return bucket.requests >= BUCKET_REQUESTS or bucket.end - bucket.start >= BUCKET_SECONDS - _SLACK_SECONDS
