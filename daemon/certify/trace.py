"""A story as a poller would see it, and the truth about it. Its lines are those that detection rules are scored on."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Label(StrEnum):
    """What is wrong in a story."""

    HEALTHY = "healthy"
    """Nothing that a rollback would mend: whoever acts is wrong."""
    BAD = "bad"
    """A deployment is at fault."""
    OUTAGE = "outage"
    """Everything fails alike, whatever serves: a rollback does not help."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened. Polls are indices into the trace.

    `onset_poll` is the poll in which errors began (None: nothing is wrong), `size` the error ratio at its worst, 0..1.
    `target` is what served before the fault, for bad ones. What is decided before `judged_from` is another story's.
    """

    label: Label
    kind: str
    onset_poll: int | None = None
    size: float = 0.0
    target: str | None = None
    judged_from: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What a poller reads of one deployment, from the poll `start` on.

    None: the poll was missed. What is read may be dirty: more errors than requests, or below zero after a correction.
    """

    start: int
    requests: tuple[int | None, ...]
    errors: tuple[int | None, ...]

    def at(self, poll: int) -> tuple[int | None, int | None]:
        """Return requests and errors read in *poll*; zeros where the deployment answered nobody."""
        index = poll - self.start
        return (self.requests[index], self.errors[index]) if 0 <= index < len(self.requests) else (0, 0)


@dataclass(frozen=True, slots=True)
class Release:
    """*deployment* serves from the beginning of `poll` on. A rollback is somebody's, where nobody did it before."""

    poll: int
    deployment: str
    is_rollback: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """What each deployment would answer at each poll while it serves, and which of them is released when.

    The first release serves since long before the trace. Counts of poll k are readable at poll k + `lag_polls`. Up to
    `live_from` nobody decides: that is history. Polls in `repeats` are read twice.
    """

    poll_seconds: int
    polls: int
    releases: tuple[Release, ...]
    counts: Mapping[str, Counts]
    truth: Truth
    live_from: int = 0
    lag_polls: int = 0
    repeats: frozenset[int] = frozenset()
    goes_on: bool = False
    """Whether the story is told to its end after a rollback."""

    def serving(self, poll: int) -> str:
        """Return what serves in *poll* when nobody but the story itself moves production."""
        return [one.deployment for one in self.releases if one.poll <= poll][-1]


def as_line(trace: Trace, *, name: str) -> dict[str, Any]:
    """Return the trace as the plain JSON of a long story. Source: spec of the detection rule, section 9."""
    served = [trace.serving(poll) for poll in range(trace.polls)]
    counts: dict[str, Any] = {}
    for deployment in dict.fromkeys(one.deployment for one in trace.releases):
        read = trace.counts[deployment]
        pairs = [read.at(poll) if served[poll] == deployment else (0, 0) for poll in range(trace.polls)]
        counts[deployment] = {"n": [requests for requests, _ in pairs], "x": [errors for _, errors in pairs]}
    truth = trace.truth
    return {
        "id": name,
        "poll_s": trace.poll_seconds,
        "lag_polls": trace.lag_polls,
        "activations": [[one.poll, one.deployment] for one in trace.releases],
        "counts": counts,
        "truth": {
            "label": truth.label.value,
            "kind": truth.kind,
            "onset_poll": truth.onset_poll,
            "size": truth.size,
            "target": truth.target,
            "ignore_before": truth.judged_from,
        },
    }


def from_line(line: Mapping[str, Any]) -> Trace:
    """Return the trace of a line of either form: previous and new counts, or a long story.

    Raises KeyError for anything else. In a long story, a deployment that serves for the second time was rolled back to.
    """
    return _from_story(line) if "activations" in line else _from_pair(line)


def _from_pair(line: Mapping[str, Any]) -> Trace:
    before, after = line["prev"], line["new"]
    released, polls = len(before["n"]), len(before["n"]) + len(after["n"])
    truth = line["truth"]
    onset = truth["onset_poll"]
    return Trace(
        poll_seconds=line["poll_s"],
        polls=polls,
        releases=(Release(0, "dpl_P"), Release(released, "dpl_A")),
        counts={
            "dpl_P": Counts(0, tuple(before["n"]), tuple(before["x"])),
            "dpl_A": Counts(released, tuple(after["n"]), tuple(after["x"])),
        },
        truth=Truth(
            label=Label(truth["label"]),
            kind=truth["kind"],
            onset_poll=None if onset is None else onset + released,
            size=truth.get("size", 0.0),
            target="dpl_P" if truth["label"] == Label.BAD else None,
        ),
        live_from=released + min(0, onset or 0),
    )


def _from_story(line: Mapping[str, Any]) -> Trace:
    releases: list[Release] = []
    for poll, deployment in line["activations"]:
        releases.append(Release(poll, deployment, is_rollback=any(one.deployment == deployment for one in releases)))
    truth = line["truth"]
    counts = {name: Counts(0, tuple(one["n"]), tuple(one["x"])) for name, one in line["counts"].items()}
    onset, first = truth["onset_poll"], releases[1].poll if len(releases) > 1 else 0
    return Trace(
        poll_seconds=line["poll_s"],
        polls=max(len(one.requests) for one in counts.values()),
        releases=tuple(releases),
        counts=counts,
        truth=Truth(
            label=Label(truth["label"]),
            kind=truth["kind"],
            onset_poll=onset,
            size=truth.get("size", 0.0),
            target=truth.get("target"),
            judged_from=truth.get("ignore_before", 0),
        ),
        live_from=first if onset is None else min(first, onset),
        lag_polls=line["lag_polls"],
        goes_on=truth.get("ignore_before", 0) > 0,
    )
