"""The detector `evidence` as the core knows it: samples and activations in, a memory and a finding out."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, ActivationOrigin, DeploymentId, ErrorRateSample
from daemon.detectors.evidence.baseline import UNTAUGHT, precede
from daemon.detectors.evidence.buckets import BUCKET_SECONDS, Poll
from daemon.detectors.evidence.docket import (
    EMPTY,
    Docket,
    Live,
    date_back,
    go_live,
    observe,
    observe_late,
)
from daemon.detectors.evidence.history import learn_history
from daemon.detectors.evidence.knobs import Design, Knobs
from daemon.detectors.evidence.wording import NAME, find


class EvidenceMemory(NamedTuple):
    """The docket of a project, and which activation was the newest on record: its number, deployment and time.

    Activations are numbered as they come, so that a deployment that serves twice is told apart. `newest_at` is in
    seconds of event time; None where nobody knows it.
    """

    docket: Docket = EMPTY
    latest: int | None = None
    newest: str = ""
    newest_at: float | None = None


class Evidence(Knobs):
    """Breaches when errors since a deployment are more than chance allows, began with it, and last.

    An onset before the activation, or long after it, breaches too, with that onset: the core tells and does not act.
    """

    memory_type: ClassVar[type[EvidenceMemory]] = EvidenceMemory

    @property
    def name(self) -> str:
        """The key of this detector's memory."""
        return NAME

    def within(self, attribution_window: timedelta) -> "Evidence":
        """Return the rule under a policy with this window, which is its own where it names none."""
        if self.attribution_window is not None:
            return self
        return Evidence.model_validate({**self.model_dump(), "attribution_window": attribution_window})

    @property
    def window(self) -> timedelta:
        """For how long counts may wait in an open bucket before they are judged."""
        return timedelta(seconds=BUCKET_SECONDS)

    @property
    def rule(self) -> str:
        """What breaches, in one sentence."""
        design = self.design
        lasting = "as learned" if design.sustain is None else f"{design.sustain:.0f} s"
        return (
            f"errors above {design.limit_floor:.1%} and {design.lift:g} times the usual rate that began within "
            f"{design.window / 60:.0f} min of an activation and last ({lasting}), with evidence that one good "
            f"deployment in {design.evidence_min:,.0f} ever shows"
        )

    @property
    def needs_requests(self) -> bool:
        """True: the rule is about a ratio."""
        return True

    @property
    def follows_production(self) -> bool:
        """True: one memory for the project, fed with whatever serves."""
        return True

    def begin(self) -> EvidenceMemory:
        """Return an empty memory."""
        return EvidenceMemory()

    def learn(self, memory: EvidenceMemory, samples: Iterable[ErrorRateSample]) -> EvidenceMemory:
        """Return the memory with a baseline learned from *samples* of the past, in order of time, of any deployment.

        A deployment's first attribution window teaches nothing, but for the first deployment's. What was watched
        meanwhile came after them; a limit that was frozen already stays as it is.
        """
        past = learn_history(UNTAUGHT, samples, self.design)
        docket = memory.docket
        baseline = past if docket.number is None else precede(past, docket.baseline)
        return memory._replace(docket=docket._replace(baseline=baseline))

    def update(
        self, memory: EvidenceMemory, sample: ErrorRateSample, activations: Sequence[Activation] = ()
    ) -> tuple[EvidenceMemory, Finding]:
        """Return memory and finding after *sample*.

        A sample that was counted, or that comes after its successor's, changes nothing; nor does one without requests.
        """
        design = self.design
        memory = _register(memory, activations, design)
        number = _number(memory, sample, activations)
        if sample.requests is not None and number is not None:
            memory = memory._replace(docket=_count(memory, sample, number, activations, design))
        finding = find(
            memory.docket,
            design,
            deployment_of=lambda one: _deployment(memory, one, activations),
            is_current=number == memory.latest,
        )
        if sample.requests is None:
            sentence = f"the source counts errors alone: there is no ratio to compare with {finding.limit:.1%}"
            finding = replace(finding, verdict=Verdict.INCONCLUSIVE, sentence=sentence)
        return memory, finding


def _register(memory: EvidenceMemory, activations: Sequence[Activation], design: Design) -> EvidenceMemory:
    """Return the memory with new *activations* numbered, and the newest known one dated back if it was."""
    if not activations:
        return memory
    newest, at = activations[-1].deployment.id, _seconds(activations[-1].at)
    if memory.newest == newest and memory.newest_at == at:
        return memory
    if memory.latest is None:
        return memory._replace(latest=len(activations) - 1, newest=newest, newest_at=at)
    arrived = _arrived(memory, activations)
    docket = memory.docket
    if arrived == 0 and at is not None:
        docket = date_back(docket, memory.latest, at, design)
    return EvidenceMemory(docket, memory.latest + arrived, newest, at)


def _arrived(memory: EvidenceMemory, activations: Sequence[Activation]) -> int:
    """Return how many *activations* are newer than the newest known one; all, when that is no longer on record.

    A known activation may have been dated back, never forward: the same deployment at a later time is another one.
    """
    for index, activation in enumerate(reversed(activations)):
        at = _seconds(activation.at)
        is_known = activation.deployment.id == memory.newest
        if is_known and (memory.newest_at is None or (at is not None and at <= memory.newest_at)):
            return index
    return len(activations)


def _number(memory: EvidenceMemory, sample: ErrorRateSample, activations: Sequence[Activation]) -> int | None:
    """Return the number of the activation by which *sample*'s deployment served then; None when it did not."""
    if memory.latest is None:
        return None
    for index, activation in enumerate(reversed(activations)):
        if activation.deployment.id == sample.deployment and (activation.at is None or sample.end > activation.at):
            return memory.latest - index
    return None


def _count(
    memory: EvidenceMemory, sample: ErrorRateSample, number: int, activations: Sequence[Activation], design: Design
) -> Docket:
    docket, requests = memory.docket, sample.requests
    assert requests is not None, "only requests are counted"
    assert memory.latest is not None, "a number is one of the activations on record"
    if docket.number is not None and number < docket.number:
        return docket
    if sample.is_late:
        return observe_late(docket, requests, sample.errors) if number == docket.number else docket
    start, end = sample.start.timestamp(), sample.end.timestamp()
    for one in range(number if docket.number is None else docket.number + 1, number + 1):
        index = len(activations) - 1 - (memory.latest - one)
        if index >= 0:
            docket = go_live(
                docket, _live(activations, index, one, start, is_new=docket.number is None, design=design), design
            )
    # A change of production is known at once, what it does to the counts only when they are complete.
    return observe(docket, Poll(start, end, requests, sample.errors), design, may_decide=number == memory.latest)


def _live(
    activations: Sequence[Activation], index: int, number: int, start: float, *, is_new: bool, design: Design
) -> Live:
    """Return activation *number*, at *index* on record, whose counts begin at *start*, in seconds.

    *is_new* says that we know of nothing before: then a release that had its time is not put on trial any more.
    """
    activation = activations[index]
    told = _seconds(activation.at)
    at = start if told is None else told
    is_first = index == 0 or activation.origin is ActivationOrigin.FIRST_SEEN
    return Live(
        number,
        at,
        restores=_restored(activations, index, number),
        is_first=is_first,
        is_dated=told is not None,
        has_trial=not is_new or start < at + design.window,
    )


def _restored(activations: Sequence[Activation], index: int, number: int) -> int | None:
    """Return the number of the activation that this one brings back; None for a release."""
    if not activations[index].origin.is_restoration:
        return None
    for back in range(1, index + 1):
        if activations[index - back].deployment.id == activations[index].deployment.id:
            return number - back
    # It served before our record began: only its predecessor is known to have been rolled back from.
    return number - 2


def _deployment(memory: EvidenceMemory, number: int, activations: Sequence[Activation]) -> DeploymentId | None:
    """Return what went live with activation *number*; None when that is no longer on record."""
    assert memory.latest is not None, "what has a number is on record, or was"
    index = len(activations) - 1 - (memory.latest - number)
    return activations[index].deployment.id if 0 <= index < len(activations) else None


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
