"""Expected trouble with the outside world, as a small tree that the shell acts on.

    PortError
    ├── Unavailable       no answer worth having: retry reads with jitter, bounded
    │   └── RateLimited   told to wait: honour `retry_after_seconds`
    ├── Refused           the far side said no, and will again: escalate
    ├── Unintelligible    an answer that cannot be trusted: treat as no answer, never as zero
    ├── OutcomeUnknown    a write may or may not have been applied: read before anything else
    ├── Misconfigured     the configuration contradicts what the far side says: refuse to start
    ├── Conflict          somebody else committed first: reload
    ├── StoreUnavailable  the store could not read or write: observe, do not act
    └── LeaseLost         another daemon owns the work: observe only

Bugs are assertions, not errors of this tree.
"""

from daemon.core.signal import SignalReason


class PortError(Exception):
    """Trouble that a port may raise. The message says what, with which values, and what now.

    `reason` is what it means for a signal when a read ends this way.
    """

    reason = SignalReason.UNREACHABLE


class Unavailable(PortError):
    """The far side gave no usable answer: time-out, connection trouble, 5xx on a read."""


class RateLimited(Unavailable):
    """The far side asked us to wait. `retry_after_seconds` is None when it did not say how long."""

    reason = SignalReason.RATE_LIMITED

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Refused(PortError):
    """The far side said no. `status` is the HTTP status, `code` its own word for the reason ('' when it gave none)."""

    def __init__(self, message: str, *, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.reason = _REFUSALS.get(status, SignalReason.REFUSED)


class Unintelligible(PortError):
    """An answer that our models refuse: schema drift, HTML with status 200, a shifted window, truncation."""

    def __init__(self, message: str, *, reason: SignalReason = SignalReason.SCHEMA_DRIFT) -> None:
        super().__init__(message)
        self.reason = reason


class OutcomeUnknown(PortError):
    """A write was sent and its fate is unknown: time-out, reset or 5xx after sending. Never resend blindly."""


class Misconfigured(PortError):
    """The configuration holds by itself, but not against what the far side says. Nothing was started."""


class Conflict(PortError):
    """The stored version is not the one that was expected: somebody else committed first."""


class LeaseLost(PortError):
    """The lease token is no longer ours, so nothing was written."""


class StoreUnavailable(PortError):
    """The store could not read or write (disk full, read-only, locked too long): observe, do not act."""


_REFUSALS = {
    401: SignalReason.UNAUTHORIZED,
    402: SignalReason.PLAN,
    403: SignalReason.UNAUTHORIZED,
    404: SignalReason.UNAUTHORIZED,
}
"""Vercel answers a project-scoped token with 404 on its observability routes, and 402 without the plan."""
