"""Plays a story of the daemon under answers to what nobody outside Vercel knows, and tells what came of it.

The answers are those of `daemon.emulator.knobs`; what the daemon did is told by the emulator's own ledger.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, get_args, get_origin

from daemon.core.guardrail import Reason
from daemon.core.incident import Incident, Trigger
from daemon.emulator.knobs import OTHER_ANSWERS, Knobs
from daemon.emulator.scenario import Scenario
from daemon.emulator.scenario_files import load_scenario
from tests.integration.test_write_failures import Hindrance, nothing
from tests.integration.virtual_time import run_virtually
from tests.integration.whole_daemon import ACTING_NAME, BOTH_SOURCES, Whole, whole_daemon

Answers = Mapping[str, Any]

DEFAULTS: Answers = {name: knob.default for name, knob in Knobs.model_fields.items()}
"""The default answer of every knob, whatever the environment of this run says."""

_FURTHER: Mapping[str, tuple[Any, ...]] = {
    "stale_reads_seconds": (5.0, 60.0),
    "rate_limit_per_minute": (10, 1),
    "metrics_lag_seconds": (0.0, 120.0, 600.0),
}
"""Answers worth playing of knobs that can take any number, besides the one in `OTHER_ANSWERS`."""

MINUTES_MAX = 40
"""How long a story waits for an incident that may never come, or never end."""
_MINUTES_AFTERWARDS = 15
"""Longer than any request that was given up may still be at work."""


def other_answers(name: str) -> tuple[Any, ...]:
    """Return every answer of the knob *name* that is played: all of a closed set, but never the default one."""
    annotation = Knobs.model_fields[name].annotation
    closed = get_args(annotation) if get_origin(annotation) is Literal else ()
    found = dict.fromkeys((*closed, OTHER_ANSWERS[name], *_FURTHER.get(name, ())))
    return tuple(one for one in found if one != DEFAULTS[name])


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ends. `trigger` None: no incident was opened. `production` is what the emulator serves in the end.

    `restores`: a page holds the command that puts back what we replaced by mistake.
    """

    trigger: Trigger | None
    reason: Reason
    sent: int
    applied: int
    production: str
    pages: int = 0
    restores: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a story under some answers, by the emulator's own account but for the incident and the journal."""

    ending: Ending
    tale: str
    knobs: Answers
    broken_promises: tuple[str, ...]
    journal: str
    """A digest of every event that the daemon learned, as it was committed."""


async def until_it_ends(whole: Whole) -> None:
    """Watch until an incident has ended, or for as long as a person would wait; and then for a while."""
    while not _has_ended(whole) and whole.clock.monotonic() < MINUTES_MAX * 60:
        await whole.watch(0.25)
    await whole.watch(_MINUTES_AFTERWARDS)


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """Something that happens to a daemon and its world, and how it must end.

    `otherwise` holds what ends differently under some answers; the first that are all in force decide. `knobs` are
    those played here, None: every one. `pairs` are answers that are played together. `scenario` and `project` are
    changes of the world, `settings` those of the daemon's project.
    """

    name: str
    ending: Ending
    otherwise: tuple[tuple[Answers, Ending], ...] = ()
    knobs: tuple[str, ...] | None = ()
    pairs: tuple[Answers, ...] = ()
    hinder: Hindrance = nothing
    play: Callable[[Whole], Awaitable[None]] = until_it_ends
    scenario: Answers = field(default_factory=dict)
    project: Answers = field(default_factory=dict)
    settings: Answers = field(default_factory=dict)

    def expected(self, answers: Answers) -> Ending:
        """Return how the story must end under *answers*."""
        found = (ending for some, ending in self.otherwise if some.items() <= answers.items())
        return next(found, self.ending)

    def cases(self) -> list[Answers]:
        """Return the answers that this story is played under: the default ones first, all others at once last."""
        names = tuple(Knobs.model_fields) if self.knobs is None else self.knobs
        alone: list[Answers] = [{name: answer} for name in names for answer in other_answers(name)]
        return [{}, *alone, *self.pairs, dict(OTHER_ANSWERS)]


def outcome_of(story: Story, answers: Answers) -> Outcome:
    """Return what comes of *story* under *answers*; played once only."""
    return _played(story, tuple(answers.items()))


@cache
def _played(story: Story, answers: tuple[tuple[str, Any], ...]) -> Outcome:
    return run_virtually(_play(story, dict(answers)))


async def _play(story: Story, answers: Answers) -> Outcome:
    settings = {"posture": "automatic", "sources": BOTH_SOURCES, **story.settings}
    async with whole_daemon(_world_of(story, answers), **settings) as whole:
        story.hinder(whole)
        await story.play(whole)
        journal = await whole.store.journal(whole.project.id, limit=100_000)
    incident = whole.ended or whole.state.incident
    return Outcome(
        ending=_ending_of(whole, incident),
        tale="\n".join(f"{one.target}: {one.sentence}" for one in incident.trail) if incident else "no incident",
        knobs=whole.world.knobs.model_dump(),
        broken_promises=tuple(_broken_promises(whole)),
        journal=hashlib.sha256("\n".join(one.entry.document for one in journal).encode()).hexdigest(),
    )


def _world_of(story: Story, answers: Answers) -> Scenario:
    """Return the built-in bad deployment with a quarter of its traffic, under exactly *answers*."""
    scenario = load_scenario("bad-deployment", {"requests_per_second": 5})
    [project] = scenario.projects
    changes = {
        "knobs": Knobs.model_validate({**DEFAULTS, **answers}),
        "projects": (project.model_copy(update=dict(story.project)),),
        **story.scenario,
    }
    return scenario.model_copy(update=changes)


def _ending_of(whole: Whole, incident: Incident | None) -> Ending:
    return Ending(
        trigger=incident.trail[-1].trigger if incident else None,
        reason=incident.reason if incident else Reason.NONE,
        sent=whole.sent,
        applied=whole.applied,
        production=whole.production,
        pages=len(whole.people.pages),
        restores=any("to restore what was there: vercel promote dpl_" in page.next_step for page in whole.people.pages),
    )


def _broken_promises(whole: Whole) -> list[str]:
    """Return what the daemon may never do and did, by the emulator's ledger: nothing, whatever the answers are."""
    ledger, broken, sent = whole.world.ledger, [], Counter[str]()
    for entry in ledger.mutating():
        if (entry.method, entry.route, entry.token) != ("POST", "rollback", ACTING_NAME):
            broken.append(f"{entry.token} sent {entry.method} {entry.path}, which is no rollback of the acting token")
        # There is one incident for each suspect, and the description of every rollback names it.
        sent.update(re.findall(r"inc_\w+", entry.query)[:1] or [f"no incident: {entry.query}"])
    ours = [move for move in ledger.moves if move.by == ACTING_NAME]
    applied = Counter(move.from_id for move in ours)
    broken += [f"{number} requests were sent for {incident}" for incident, number in sent.items() if number > 2]
    broken += [f"{number} rollbacks from {suspect} were applied" for suspect, number in applied.items() if number > 1]
    return broken + [f"production moved by our {move.kind}" for move in ours if move.kind != "rollback"]


def _has_ended(whole: Whole) -> bool:
    return whole.project.state is not None and whole.ended is not None
