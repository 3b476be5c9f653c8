"""Tells one story to a policy through the daemon's own `step`, and answers what it asks for as Vercel would.

The whole `step` is used, not a copy of its rules: detectors, attribution, choice of the target, guardrails, rollback
and verification are the ones that run in production. Only history before `live_from` is told in one breath: its samples
in order, and nobody decides, because no deployment under judgement serves yet.
"""

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

from daemon.certify.feed import START, Feed, time_of
from daemon.certify.trace import Release, Trace
from daemon.core.action import RollBackAction
from daemon.core.command import Command, ListTargets, Notify, ObserveProduction, Preflight, RollBack
from daemon.core.event import (
    CycleEnded,
    Event,
    PreflightRead,
    ProductionObserved,
    RollbackAccepted,
    SamplesObserved,
    TargetsListed,
)
from daemon.core.facts import (
    Activation,
    ActivationOrigin,
    AliasJob,
    AliasJobStatus,
    AliasJobType,
    Deployment,
    DeploymentId,
    ErrorRateSample,
    Instant,
    Production,
    ProjectId,
    ReadyState,
    ReadySubstate,
)
from daemon.core.guardrail import Posture, Reason
from daemon.core.incident import State
from daemon.core.policy import Policy
from daemon.core.state import ProjectState
from daemon.core.step import step
from daemon.detectors.threshold import Threshold

PROJECT = ProjectId("prj_certified")
WARM_POLLS = 12
"""So many polls before anything happens the daemon is already watching, so that it sees production move."""
_CALM = timedelta(minutes=30)
"""A story is over when no detector has seen anything for so long, and nothing new could be blamed on a release."""
_SERVED_BEFORE = timedelta(days=2)
"""The first deployment of a trace has proved itself long ago."""
_SOURCE = "simulated"


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback request: in which poll, and between which deployments."""

    poll: int
    suspect: str
    target: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy did in one story.

    `asked_poll` is when it first asked a person instead of acting, None if never. `stopped_by` is what stood against
    acting since the onset: the core's first reason or, where it had none, the gate that most often was the first not to
    pass, with `stopped_at` as its threshold; '' where nothing was told.
    """

    rollbacks: tuple[Rollback, ...]
    asked_poll: int | None = None
    stopped_by: str = ""
    stopped_at: float = 0.0


def run_trial(trace: Trace, policy: Policy, *, ends_early: bool = True) -> Outcome:
    """Return what *policy* does in the story of *trace*, were its posture automatic. Bugs of `step` are raised.

    Unless *ends_early*, even a story that nothing can come of any more is told to its end.
    """
    calm = _calm_needed(policy) if ends_early else None
    return _Trial(trace, replace(policy, posture=Posture.AUTOMATIC), calm).run()


def _calm_needed(policy: Policy) -> timedelta | None:
    """Return how long all must be quiet before a story may end; None where a detector may remember for longer.

    A threshold rule dates the onset back to the first of its last windows, so that these must be over.
    """
    spans = [_CALM]
    for detector in policy.detectors:
        if not isinstance(detector, Threshold):
            return None
        spans.append(2 * detector.window * detector.windows)
    return max(spans)


@dataclass(slots=True)
class _Trial:
    """One telling. Lives and dies within one call."""

    trace: Trace
    policy: Policy
    calm_needed: timedelta | None
    feed: Feed = field(init=False)
    state: ProjectState = field(init=False)
    production: Production = field(init=False)
    served: dict[str, Deployment] = field(default_factory=dict)
    rollbacks: list[Rollback] = field(default_factory=list)
    unread: deque[tuple[int, tuple[ErrorRateSample, ...]]] = field(default_factory=deque)
    asked_poll: int | None = None
    objection: Reason = Reason.NONE
    failed_gates: Counter[tuple[str, float]] = field(default_factory=Counter)
    restless_poll: int = 0

    def __post_init__(self) -> None:
        self.feed = Feed(self.trace)
        first = self._deployment(self.trace.releases[0])
        self.production = Production(first, auto_assigns_domains=True)
        activation = Activation(first, START - _SERVED_BEFORE, ActivationOrigin.RELEASE)
        self.state = ProjectState(PROJECT, activations=(activation,))

    def run(self) -> Outcome:
        """Tell the history, then poll by poll; until the first rollback, or to the end of a story that goes on."""
        waiting = list(self.trace.releases[1:])
        live_from = max(0, self.trace.live_from - WARM_POLLS - self.trace.lag_polls)
        self._tell_history(live_from, waiting)
        for poll in range(live_from, self.trace.polls):
            while waiting and waiting[0].poll <= poll:
                self._release(waiting.pop(0))
            self._poll(poll)
            if self._is_decided() or (not waiting and self._is_over(poll)):
                break
        [(gate, threshold)] = [one for one, _ in self.failed_gates.most_common(1)] or [("", 0.0)]
        if self.objection is not Reason.NONE:
            gate, threshold = self.objection.value, 0.0
        return Outcome(tuple(self.rollbacks), self.asked_poll, gate, threshold)

    def _is_decided(self) -> bool:
        return bool(self.rollbacks) and not self.trace.goes_on

    def _is_over(self, poll: int) -> bool:
        """Return whether nothing can come of the story any more: all is calm, and whoever fails now is not blamed.

        An onset that is told keeps a story alive, however old it is.
        """
        watch = self.state.watch(DeploymentId(self._serving()))
        is_calm = self.state.incident is None and all(one.onset_at is None for one in watch.findings.values())
        if not is_calm or self.calm_needed is None:
            self.restless_poll = poll
            return False
        seconds = self.trace.poll_seconds
        read = poll - self.trace.lag_polls
        blamable = self.trace.releases[-1].poll * seconds + self.policy.attribution_window.total_seconds()
        calm_since = max(blamable, self.restless_poll * seconds)
        return read * seconds >= calm_since + self.calm_needed.total_seconds()

    def _tell_history(self, live_from: int, waiting: list[Release]) -> None:
        """Tell what was counted and released before *live_from*, at one breath for each deployment that served."""
        first = 0
        while first < live_from:
            last = min(live_from, waiting[0].poll if waiting else live_from)
            samples = [one for poll in range(first, last) for one in self.feed.samples(poll, self._serving())]
            moment = self._moment(last)
            self._tell(ProductionObserved(moment, self.production))
            self._tell(SamplesObserved(moment, _SOURCE, tuple(samples), complete_until=moment.at))
            while waiting and waiting[0].poll <= last < live_from:
                self._release(waiting.pop(0))
            first = last

    def _poll(self, poll: int) -> None:
        moment = self._moment(poll + 1)
        self.unread.append((poll, tuple(self.feed.samples(poll, self._serving()))))
        self._tell(ProductionObserved(moment, self.production))
        while self.unread and self.unread[0][0] + self.trace.lag_polls <= poll:
            read, samples = self.unread.popleft()
            if samples:
                complete_until = time_of(self.trace, read + 1)
                self._tell(SamplesObserved(moment, _SOURCE, samples, complete_until=complete_until))
        self._tell(CycleEnded(moment))
        self._note(poll)

    def _note(self, poll: int) -> None:
        """Remember whether a person was asked and, since the onset, what stood against acting."""
        incident, truth = self.state.incident, self.trace.truth
        is_asking = incident is not None and incident.state is State.AWAITING_APPROVAL
        if is_asking and self.asked_poll is None and poll >= truth.judged_from:
            self.asked_poll = poll
        if truth.onset_poll is None or poll < truth.onset_poll:
            return
        if self.objection is Reason.NONE:
            self.objection = self.state.decision.reason
        for finding in self.state.watch(DeploymentId(self._serving())).findings.values():
            failed = next((gate for gate in finding.gates if not gate.passed), None)
            if failed:
                self.failed_gates[failed.name, failed.threshold] += 1

    def _moment(self, poll: int) -> Instant:
        return Instant(time_of(self.trace, poll), float(poll * self.trace.poll_seconds))

    def _serving(self) -> str:
        assert self.production.deployment is not None, "something always serves in a trace"
        return self.production.deployment.id

    def _release(self, release: Release) -> None:
        """Let production move. A person goes back only where nobody did it before."""
        if release.deployment == self._serving():
            return
        kind = AliasJobType.ROLLBACK if release.is_rollback else AliasJobType.PROMOTE
        self._serve(self._deployment(release), kind, self._moment(release.poll))

    def _serve(self, deployment: Deployment, kind: AliasJobType, moment: Instant) -> None:
        left = self.production.deployment
        assert left is not None, "something always serves in a trace"
        job = AliasJob(kind, AliasJobStatus.SUCCEEDED, left.id, deployment.id, requested_at=moment.at)
        self.production = Production(deployment, job, auto_assigns_domains=kind is AliasJobType.PROMOTE)

    def _deployment(self, release: Release) -> Deployment:
        """Return the deployment of *release*, built five minutes before it first served."""
        known = self.served.get(release.deployment)
        if known is None:
            at = time_of(self.trace, release.poll) if self.served else START - _SERVED_BEFORE
            known = self.served[release.deployment] = Deployment(
                id=DeploymentId(release.deployment),
                project=PROJECT,
                url=f"{release.deployment}.example.app",
                created_at=at - timedelta(minutes=5),
                ready_state=ReadyState.READY,
                ready_substate=ReadySubstate.PROMOTED,
                is_rollback_candidate=True,
                commit_sha=f"sha-{release.deployment}",
            )
        return known

    def _tell(self, event: Event) -> None:
        """Tell *event*, and answer at once what `step` asks for."""
        events = deque([event])
        while events and not self._is_decided():
            event = events.popleft()
            self.state, commands = step(self.state, event, self.policy)
            for command in commands:
                events.extend(self._answer(command, event.moment))

    def _answer(self, command: Command, moment: Instant) -> tuple[Event, ...]:
        match command:
            case ListTargets():
                return (TargetsListed(moment, tuple(self.served.values())),)
            case Preflight():
                return (PreflightRead(moment, self.production),)
            case RollBack(action=action):
                return self._roll_back(action, moment)
            case ObserveProduction():
                return (ProductionObserved(moment, self.production),)
            case Notify():
                return ()
            case _ as never:
                assert_never(never)

    def _roll_back(self, action: RollBackAction, moment: Instant) -> tuple[Event, ...]:
        poll = round(moment.elapsed / self.trace.poll_seconds) - 1
        self.rollbacks.append(Rollback(poll, action.suspect, action.target))
        self._serve(self.served[action.target], AliasJobType.ROLLBACK, moment)
        return (RollbackAccepted(moment),)
