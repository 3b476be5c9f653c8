"""The points at which a daemon can be killed, what became of the incident after each, and the table of it all."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.core.facts import DeploymentId
from daemon.core.incident import State
from daemon.core.state import ProjectState
from daemon.emulator.fault_specs import When
from daemon.emulator.ledger import LedgerEntry
from tests.integration.crash.launcher import Commit, Trap
from tests.integration.crash.processes import Daemon
from tests.integration.crash.stage import Stage

REQUEST_POINTS = {
    When.BEFORE_APPLY: "arrives",
    When.AFTER_APPLY: "answer lost",
    When.AFTER_ANSWER: "answered",
}
LOST = "lost on the way"


@dataclass(frozen=True, slots=True)
class Boundary:
    """One point: the `nth` request to a route since the bad deployment went live, or the `nth` commit of a label.

    `when` is a point of a request (`arrives`, `answer lost`, `answered`, or `lost on the way`: it never took effect),
    or `before` or `after` a commit. Routes and labels are counted apart, since they overtake each other by chance.
    """

    when: str
    what: str
    nth: int = 1
    signal: int = signal.SIGKILL

    @property
    def is_commit(self) -> bool:
        """Whether the process strikes itself at a commit; else the test does at a request."""
        return self.when in ("before", "after")

    @property
    def trap(self) -> Trap | None:
        """What the launcher needs to be told; None for a request."""
        return Trap(self.when, label=self.what, nth=self.nth, signal=self.signal) if self.is_commit else None

    def __str__(self) -> str:
        if self.is_commit:
            return f"{self.when} `{self.what}` {self.nth}"
        return f"{self.what} {self.nth} {self.when}"


@dataclass(slots=True)
class Blow:
    """Strikes a daemon at a boundary of its requests, once; `entry` is the request at which it did."""

    stage: Stage
    daemon: Daemon
    boundary: Boundary
    entry: LedgerEntry | None = None
    sends_on_disk: int | None = None
    """How many sends the state on disk counted when the blow fell; None before that."""

    def aim(self) -> None:
        """Wait for the request; one that is to be lost takes no effect."""
        if self.boundary.when == LOST:
            self.stage.lose_posts()
        self.stage.watchers.append(self._watch)

    async def _watch(self, when: str, entry: LedgerEntry) -> None:
        if self.entry is not None or not self._is_due(when, entry):
            return
        self.entry = entry
        if self.boundary.signal == signal.SIGKILL:
            self.daemon.kill()
        else:
            self.daemon.send(signal.Signals(self.boundary.signal))
        self.sends_on_disk = (await self.stage.saved()).sends.get(DeploymentId(self.stage.bad.id), 0)

    def _is_due(self, when: str, entry: LedgerEntry) -> bool:
        point = When.BEFORE_APPLY.value if self.boundary.when == LOST else when
        if point != when or (self.boundary.when != LOST and REQUEST_POINTS[When(when)] != self.boundary.when):
            return False
        if entry.route != self.boundary.what:
            return False
        return self.stage.nth_since_release(entry) == self.boundary.nth


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one incident, by the emulator's own ledger and by the state on disk."""

    boundary: str
    on_disk: str
    """The incident as the dead process had left it."""
    sent: int
    applied: int
    production: str
    end: str
    broken: tuple[str, ...] = ()
    """Broken promises, as sentences; () when all were kept."""

    @classmethod
    def failed(cls, boundary: str, sentence: str) -> "Outcome":
        """Nobody could follow the incident to its end."""
        return cls(boundary, "?", 0, 0, "?", "?", (sentence,))

    @classmethod
    def unreached(cls, boundary: str) -> "Outcome":
        """The incident ended well before it came to that point."""
        return cls(boundary, "-", 0, 0, "-", "not reached")


@dataclass(slots=True)
class Promises:
    """Collects what does not hold."""

    broken: list[str] = field(default_factory=list)

    def expect(self, is_kept: bool, sentence: str) -> None:
        """Note *sentence* unless *is_kept*."""
        if not is_kept:
            self.broken.append(sentence)


async def judge(stage: Stage, state: ProjectState, boundary: str, *, on_disk: str, sent_max: int = 2) -> Outcome:
    """Return what became of the incident, and which promises were broken on the way to RESOLVED."""
    promises = Promises()
    posts, applied = stage.posts, stage.applied
    suspect, target = stage.bad.id, stage.good.id
    end = state.last_ended.state if state.last_ended else State.DETECTED
    promises.expect(end is State.RESOLVED, f"the incident ended {end}, not resolved")
    promises.expect(stage.production == "good", f"{stage.production} serves production")
    promises.expect(len(applied) == 1, f"{len(applied)} rollbacks were applied")
    promises.expect(1 <= len(posts) <= sent_max, f"{len(posts)} rollbacks were sent, at most {sent_max} may be")
    promises.expect(
        all(entry.path.endswith(f"/{target}") for entry in posts), f"a rollback went elsewhere than to {target}"
    )
    promises.expect(
        all((move.from_id, move.to_id) == (suspect, target) for move in applied), "a rollback moved something else"
    )
    counted = state.sends.get(DeploymentId(suspect), 0)
    promises.expect(counted >= len(posts), f"{len(posts)} requests were sent, the store knows of {counted}")
    promises.expect(tuple(state.rolled_back) == (suspect,), f"rolled back by the store: {state.rolled_back}")
    incidents = await stage.incidents()
    promises.expect(len(incidents) == 1, f"{len(incidents)} incidents were opened: {sorted(incidents)}")
    promises.expect(await stage.untold() == 0, "commands were left undone")
    promises.expect(bool(stage.told("resolved")), "nobody was told that it is resolved")
    frozen = [line["summary"] for line in stage.told("lastgood froze itself")]
    promises.expect(not frozen, f"frozen: {frozen}")
    return Outcome(boundary, on_disk, len(posts), len(applied), stage.production, str(end), tuple(promises.broken))


def phase_of(state: ProjectState) -> str:
    """Return where the incident of *state* stands, in one word or two."""
    incident = state.incident
    if incident is None:
        return state.last_ended.state if state.last_ended else "no incident"
    if incident.state is State.MITIGATING and incident.mitigation:
        return f"{incident.state} {incident.mitigation.phase}"
    return incident.state


def incident_commits(commits: Sequence[Commit]) -> list[Commit]:
    """Return the commits of the incident: from the lease of the poll that detects to the last one that tells of it."""
    opened = next(index for index, one in enumerate(commits) if one.incident)
    leased = max(index for index, one in enumerate(commits[:opened]) if one.label == "take the lease")
    ended = next(index for index, one in enumerate(commits) if one.ended)
    # The notice that it is resolved is finished after the commit that resolves it.
    told = next(index for index, one in enumerate(commits) if index > ended and one.label == "finish")
    return list(commits[leased : told + 1])


def table(outcomes: Sequence[Outcome]) -> str:
    """Return one line for each outcome."""
    width = max(len(one.boundary) for one in outcomes)
    head = f"{'boundary':<{width}} | {'incident on disk':<20} | sent | applied | end state"
    rows = [
        f"{one.boundary:<{width}} | {one.on_disk:<20} | {one.sent:>4} | {one.applied:>7} | {one.end}"
        + (f"  BROKEN: {'; '.join(one.broken)}" if one.broken else "")
        for one in outcomes
    ]
    return "\n".join([head, "-" * len(head), *rows])
