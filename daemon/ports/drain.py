"""What a receiver of log drains tells of its work, for whoever counts it."""

from enum import StrEnum
from typing import Protocol


class EntryOutcome(StrEnum):
    """What became of an entry of a batch: label values of a metric, so closed."""

    COUNTED = "counted"
    REPEATED = "repeated"
    """Another entry of a request that is counted: more log lines of it, or a batch that came twice."""
    NOT_PRODUCTION = "not_production"
    BACKGROUND = "background"
    DENIED = "denied"
    """The firewall answered, so that no deployment can be blamed."""
    NO_REQUEST = "no_request"
    """A build's output, or something else that names no request, deployment or status."""
    LATE = "late"
    """Older than what is remembered of requests: it might be counted twice."""
    AHEAD = "ahead"
    """From too far in the future."""
    UNUSABLE = "unusable"
    """Not of the promised form."""


class BatchOutcome(StrEnum):
    """What became of a batch: label values of a metric, so closed."""

    TAKEN = "taken"
    WRONG_SIGNATURE = "wrong_signature"
    NO_SECRET = "no_secret"  # noqa: S105 - a word for a trouble
    """No secret could be read, so that nothing can be believed."""
    UNKNOWN_ENCODING = "unknown_encoding"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    INFLATES_TOO_FAR = "inflates_too_far"
    """A gzip bomb, or a batch over `inflated_bytes_max`."""
    TORN = "torn"
    OVERFLOW = "overflow"


class Recorder(Protocol):
    """Counts; never fails and never waits."""

    def note_batch(self, outcome: BatchOutcome, *, body_bytes: int) -> None:
        """Note that a batch of *body_bytes*, as sent, ended so."""

    def note_entries(self, outcome: EntryOutcome, count: int) -> None:
        """Note that so many more entries ended so."""

    def note_delay(self, seconds: float) -> None:
        """Note how far the newest entry of a batch lay behind the clock when it arrived; negative: ahead of it."""

    def note_handover(self, *, is_saved: bool, waiting: int) -> None:
        """Note that counts were handed to the store or could not be; *waiting* requests are not handed over yet."""
