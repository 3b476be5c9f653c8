"""Compares what a policy did in a story with what was true of it."""

from dataclasses import dataclass

from daemon.certify.kinds import Kind
from daemon.certify.trace import Label, Trace
from daemon.certify.trial import Outcome


@dataclass(frozen=True, slots=True)
class Judged:
    """One story, judged.

    `acted` says that it rolled back at all since the story that counts began. For bad releases: `delay_seconds` from
    the beginning of the poll with the first errors to the decision, the lag included (None: missed, or too early);
    `is_early` that it acted before there were any, `is_astray` that it went back to the wrong deployment, and
    `goes_on` that it rolled back once more afterwards. `is_asking` says that it asked a person and did not act.
    """

    kind: str
    number: int
    acted: bool
    delay_seconds: float | None = None
    is_early: bool = False
    is_astray: bool = False
    goes_on: bool = False
    is_asking: bool = False
    stopped_by: str = ""
    stopped_at: float = 0.0


def judge(kind: Kind, number: int, trace: Trace, outcome: Outcome) -> Judged:
    """Return what *outcome* is worth in the story *trace*."""
    truth = trace.truth
    rollbacks = [one for one in outcome.rollbacks if one.poll >= truth.judged_from]
    if not rollbacks:
        stopped_by, stopped_at = outcome.stopped_by, outcome.stopped_at
        is_asking = outcome.asked_poll is not None
        return Judged(kind.name, number, acted=False, is_asking=is_asking, stopped_by=stopped_by, stopped_at=stopped_at)
    if truth.label is not Label.BAD:
        return Judged(kind.name, number, acted=True)
    assert truth.onset_poll is not None, "a bad release has an onset"
    first = rollbacks[0]
    delay = float((first.poll + 1 - truth.onset_poll) * trace.poll_seconds)
    is_early = delay <= 0
    return Judged(
        kind.name,
        number,
        acted=True,
        delay_seconds=None if is_early else delay,
        is_early=is_early,
        is_astray=not is_early and first.target != truth.target,
        goes_on=len(rollbacks) > 1,
    )
