"""Plays counts to a docket, poll by poll, on a clock that begins at zero."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.detectors.evidence.buckets import Poll
from daemon.detectors.evidence.docket import EMPTY, Docket, Live, deciding, go_live, observe
from daemon.detectors.evidence.knobs import Design
from daemon.detectors.evidence.trial import Held, Trial

GOOD, BAD, DEAD = (100, 0), (100, 10), (100, 100)
Count = tuple[int, int] | None


@dataclass
class Project:
    """One project under watch: polls of *poll* seconds."""

    poll: float = 10.0
    design: Design = field(default_factory=Design)
    docket: Docket = EMPTY
    now: float = 0.0
    number: int = -1
    held_at: list[float] = field(default_factory=list)

    def serves_already(self) -> "Project":
        """The first deployment: it has served for long when the story begins."""
        self.number += 1
        self.docket = go_live(self.docket, Live(self.number, self.now, is_first=True, is_dated=False), self.design)
        return self

    def release(self) -> "Project":
        self.number += 1
        self.docket = go_live(self.docket, Live(self.number, self.now), self.design)
        return self

    def restore(self, number: int) -> "Project":
        self.number += 1
        self.docket = go_live(self.docket, Live(self.number, self.now, restores=number), self.design)
        return self

    def polls(self, counts: Iterable[Count], *, may_decide: bool = True) -> "Project":
        """Each count is one poll; None is a missed one."""
        for count in counts:
            requests, errors = count or (0, 0)
            poll = Poll(self.now, self.now + self.poll, requests, errors, is_missed=count is None)
            before = self.held
            self.docket = observe(self.docket, poll, self.design, may_decide=may_decide)
            self.now += self.poll
            if self.held is Held.ROLLBACK and before is not Held.ROLLBACK:
                self.held_at.append(self.now)
        return self

    def seconds(self, seconds: float, count: Count = GOOD) -> "Project":
        return self.polls([count] * round(seconds / self.poll))

    @property
    def trial(self) -> Trial:
        """The newest trial."""
        return self.docket.trials[-1]

    @property
    def held(self) -> Held:
        decided = deciding(self.docket)
        return decided.held if decided else Held.NOTHING

    @property
    def suspect(self) -> int | None:
        """The activation that a rollback blames; None without one."""
        decided = deciding(self.docket)
        return decided.onset.number if decided and decided.held is Held.ROLLBACK and decided.onset else None


def a_project(*, poll: float = 10.0, history: float = 7200.0, count: Count = GOOD, **design: object) -> Project:
    """Return a project with *history* seconds of a good life behind it."""
    return Project(poll=poll, design=Design(**design)).serves_already().seconds(history, count)  # type: ignore[arg-type]
