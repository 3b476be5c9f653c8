"""Recorded counts, judged as the daemon would have judged them: no clock, no network, one decision a trace at most."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from daemon.detectors.evidence.buckets import Poll
from daemon.detectors.evidence.docket import EMPTY, Docket, Live, deciding, go_live, observe
from daemon.detectors.evidence.knobs import Design
from daemon.detectors.evidence.trial import Held

POLL_SECONDS_MAX = 86_400
LAG_POLLS_MAX = 100_000

Count = int | None
"""One poll's count; None when the poll was missed."""


class BadTrace(ValueError):
    """A trace that cannot be judged: the message says what is wrong with it."""


class Trace(NamedTuple):
    """Counts of a project, poll by poll. `activations` are (poll, deployment), in order of time.

    `counts` are (requests, errors) of each deployment, a list a poll each, and become readable `lag` polls later.
    `first_judged` is the poll from which decisions are counted, and `names_target` whether they name where to go.
    """

    id: str
    poll_seconds: float
    lag: int
    activations: tuple[tuple[int, str], ...]
    counts: Mapping[str, tuple[Sequence[Count], Sequence[Count]]]
    polls: int
    first_judged: int = 0
    names_target: bool = True


class Decision(NamedTuple):
    """What was decided: at which poll, counted from `first_judged`, and where to go. None: nothing was."""

    id: str
    decided_poll: int | None
    target: str | None
    names_target: bool

    def as_line(self) -> str:
        """Return the decision as a line of JSON."""
        target = {"target": self.target} if self.names_target else {}
        return json.dumps({"id": self.id, "decided_poll": self.decided_poll, **target})


def judge_trace(trace: Trace, design: Design) -> Decision:
    """Return the first rollback that the rule decides in *trace*, or that it decides none."""
    for poll, suspect in _decisions(trace, design):
        readable_at = poll + trace.lag
        target = _target(trace, suspect, readable_at)
        if target is not None and readable_at >= trace.first_judged and not _is_answered(trace, suspect):
            return Decision(trace.id, readable_at - trace.first_judged, target, trace.names_target)
    return Decision(trace.id, None, None, trace.names_target)


def _decisions(trace: Trace, design: Design) -> Iterator[tuple[int, int]]:
    """Yield (poll, number of the suspect's activation) whenever a rollback stands decided."""
    docket = EMPTY
    # What becomes readable after the end was never read.
    for poll in range(trace.polls - trace.lag):
        serving = _serving(trace, poll)
        if serving is None:
            continue
        for number in range(0 if docket.number is None else docket.number + 1, serving + 1):
            docket = go_live(docket, _live(trace, number), design)
        # A change of production is known at once, what it does to the counts only when they can be read.
        may_decide = serving == _serving(trace, poll + trace.lag)
        docket = observe(docket, _poll(trace, serving, poll), design, may_decide=may_decide)
        if suspect := _suspect(docket):
            yield poll, suspect


def _suspect(docket: Docket) -> int:
    """Return the activation to roll back; 0, the first, which nothing can take the place of, when there is none."""
    trial = deciding(docket)
    if trial is None or trial.held is not Held.ROLLBACK or trial.onset is None:
        return 0
    return trial.onset.number


def _serving(trace: Trace, poll: int) -> int | None:
    """Return the number of the activation that serves at *poll*; None before the first."""
    numbers = (number for number in range(len(trace.activations) - 1, -1, -1) if trace.activations[number][0] <= poll)
    return next(numbers, None)


def _live(trace: Trace, number: int) -> Live:
    is_first = number == 0
    at = trace.activations[number][0] * trace.poll_seconds
    return Live(number, at, restores=_restored(trace, number), is_first=is_first, is_dated=not is_first)


def _restored(trace: Trace, number: int) -> int | None:
    """Return which earlier activation of the same deployment activation *number* brings back; None for a release.

    One that served first after what it replaces is newer: to promote it again is no step back.
    """
    ids = [deployment for _, deployment in trace.activations[: number + 1]]
    if number == 0 or ids.index(ids[number]) >= ids.index(ids[number - 1]):
        return None
    return max(one for one in range(number) if ids[one] == ids[number])


def _poll(trace: Trace, number: int, poll: int) -> Poll:
    requests, errors = (counted[poll] for counted in trace.counts[trace.activations[number][1]])
    start, end = poll * trace.poll_seconds, (poll + 1) * trace.poll_seconds
    if requests is None or errors is None:
        return Poll(start, end, 0, 0, is_missed=True)
    return Poll(start, end, requests, errors)


def _rollbacks_from(trace: Trace, suspect: int) -> Iterator[int]:
    """Yield the polls at which somebody went back behind activation *suspect*."""
    for number in range(suspect + 1, len(trace.activations)):
        restored = _restored(trace, number)
        if restored is not None and restored < suspect:
            yield trace.activations[number][0]


def _is_answered(trace: Trace, suspect: int) -> bool:
    """Return whether the trace itself tells of the rollback: then there is nothing left to do about the suspect."""
    return any(True for _ in _rollbacks_from(trace, suspect))


def _target(trace: Trace, suspect: int, poll: int) -> str | None:
    """Return what served just before *suspect* and is not known to be bad; None when that serves already."""
    ids = [deployment for _, deployment in trace.activations]
    bad = {
        ids[number]
        for number in range(len(ids))
        if any(rolled_back <= poll for rolled_back in _rollbacks_from(trace, number))
    }
    serving = _serving(trace, poll)
    for number in range(suspect - 1, -1, -1):
        if ids[number] not in bad and ids[number] != ids[suspect]:
            return ids[number] if serving is None or ids[number] != ids[serving] else None
    return None


def parse_trace(line: str) -> Trace:
    """Return the trace that *line* holds as JSON. Raises BadTrace."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise BadTrace(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadTrace(f"a trace is an object, not {type(value).__name__}")
    name, told = value.get("id"), value.get("poll_s")
    if not isinstance(name, str):
        raise BadTrace("`id` must be a text")
    poll_seconds = float(told) if isinstance(told, (int, float)) and not isinstance(told, bool) else 0.0
    if not 0.0 < poll_seconds <= POLL_SECONDS_MAX:
        raise BadTrace(f"`poll_s` must be a number of seconds up to {POLL_SECONDS_MAX}, not {told!r}")
    if "activations" in value:
        return _parse_story(value, name, poll_seconds)
    return _parse_pair(value, name, poll_seconds)


def _parse_pair(value: dict[str, Any], name: str, poll_seconds: float) -> Trace:
    """Return a trace of one deployment before and one after the activation, as one of two activations."""
    before, after = (_counts(value.get(key), key) for key in ("prev", "new"))
    known, polls = len(before[0]), len(before[0]) + len(after[0])
    unread: list[Count] = [None] * known
    counts = {
        "prev": ((*before[0], *[None] * (polls - known)), (*before[1], *[None] * (polls - known))),
        "new": ((*unread, *after[0]), (*unread, *after[1])),
    }
    activations = ((0, "prev"), (known, "new"))
    return Trace(name, poll_seconds, 0, activations, counts, polls, first_judged=known, names_target=False)


def _parse_story(value: dict[str, Any], name: str, poll_seconds: float) -> Trace:
    activations = tuple(_activation(one) for one in _list(value["activations"], "activations"))
    if not activations or list(activations) != sorted(activations, key=lambda one: one[0]):
        raise BadTrace("`activations` must be in order of time, one at least")
    lag = value.get("lag_polls", 0)
    if not _is_count(lag) or not 0 <= lag <= LAG_POLLS_MAX:
        raise BadTrace(f"`lag_polls` must be a whole number from 0 to {LAG_POLLS_MAX}, not {lag!r}")
    counts = value.get("counts")
    if not isinstance(counts, dict):
        raise BadTrace("`counts` must be an object of counts by deployment")
    parsed = {deployment: _counts(counted, f"counts.{deployment}") for deployment, counted in counts.items()}
    if missing := {deployment for _, deployment in activations} - parsed.keys():
        raise BadTrace(f"`counts` has nothing of {min(missing)}")
    lengths = {len(requests) for requests, _ in parsed.values()}
    if len(lengths) != 1:
        raise BadTrace(f"`counts` must be of equal length, and not {sorted(lengths)}")
    return Trace(name, poll_seconds, lag, activations, parsed, lengths.pop())


def _activation(value: object) -> tuple[int, str]:
    match value:
        case [int(poll), str(deployment)] if _is_count(poll) and poll >= 0:
            return poll, deployment
    raise BadTrace(f"an activation is [poll, deployment], not {value!r}")


def _counts(value: object, where: str) -> tuple[list[Count], list[Count]]:
    if not isinstance(value, dict):
        raise BadTrace(f"`{where}` must be an object with `n` and `x`")
    requests, errors = (_list(value.get(key), f"{where}.{key}") for key in ("n", "x"))
    if len(requests) != len(errors):
        raise BadTrace(f"`{where}` has {len(requests)} counts of requests and {len(errors)} of errors")
    for count in (*requests, *errors):
        if count is not None and not _is_count(count):
            raise BadTrace(f"`{where}` must hold whole numbers or null, not {count!r}")
    return requests, errors


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadTrace(f"`{where}` must be a list")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
