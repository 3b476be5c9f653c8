"""The emulator's own record: every request it got, and every move of production that really happened."""

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

ENTRIES_KEPT = 100_000
MOVES_KEPT = 10_000
BODY_KEPT_CHARACTERS = 2_000
MUTATING = "mutating"
READ = "read"


@dataclass(slots=True)
class LedgerEntry:
    """One request. ``status`` is the answer's, or ``reset-before`` / ``reset-after``; None while it is at work."""

    number: int
    at_ms: int
    method: str
    path: str
    query: str
    body: str
    token: str | None
    route: str
    kind: str
    project: str | None = None
    status: int | str | None = None
    applied: str | None = None
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Move:
    """Production went from one deployment to another. ``by`` is a token, a human, or what of the platform did it."""

    at_ms: int
    project: str
    kind: str
    from_id: str | None
    to_id: str
    by: str
    job_id: str | None


class Ledger:
    """Requests and moves, newest last; only the newest 100,000 requests and 10,000 moves are kept."""

    def __init__(self) -> None:
        """Begin empty."""
        self.entries: deque[LedgerEntry] = deque(maxlen=ENTRIES_KEPT)
        self.moves: deque[Move] = deque(maxlen=MOVES_KEPT)
        self.requests_total: Counter[str] = Counter()

    def open(self, entry: LedgerEntry) -> LedgerEntry:
        """Record a request as it arrives."""
        entry.body = entry.body[:BODY_KEPT_CHARACTERS]
        self.entries.append(entry)
        self.requests_total[entry.kind] += 1
        return entry

    def next_number(self) -> int:
        """Return the number of the next request, from 1."""
        return self.requests_total.total() + 1

    def mutating(self) -> list[LedgerEntry]:
        """Return the kept requests to routes that may change something."""
        return [entry for entry in self.entries if entry.kind == MUTATING]

    def requests(self, route: str) -> list[LedgerEntry]:
        """Return the kept requests of a route group."""
        return [entry for entry in self.entries if entry.route == route]

    def applied(self, kind: str | None = None) -> list[Move]:
        """Return the moves of production by alias jobs (``rollback``, ``promote``), or those of one *kind* only."""
        return [move for move in self.moves if (move.job_id is not None if kind is None else move.kind == kind)]

    def as_json(self, after: int = 0, limit: int = 1000) -> dict[str, Any]:
        """Return the requests numbered above *after*, oldest first and at most *limit*, and every move."""
        wanted = [asdict(entry) for entry in self.entries if entry.number > after][:limit]
        return {
            "requests": wanted,
            "requests_total": dict(self.requests_total),
            "applied": [asdict(move) for move in self.applied()],
            "moves": [asdict(move) for move in self.moves],
        }
