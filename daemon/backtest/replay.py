"""Replays one project's history through `step`, and answers what it asks for as the world of that time would have.

A rollback that `step` wants to send is written down and never happens. What would have come after it nobody knows, so
nothing is judged from then on until the next activation in history.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import assert_never

from daemon.backtest.history import Counted, ProjectHistory, RecordedActivation
from daemon.core.action import RollBackAction
from daemon.core.command import ListTargets, Notify, ObserveProduction, Preflight, RollBack
from daemon.core.detector import Gate
from daemon.core.event import (
    CycleEnded,
    Event,
    PreflightRead,
    ProductionObserved,
    ReadFailed,
    ReadTarget,
    Resumed,
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
from daemon.core.incident import Incident, State, Transition
from daemon.core.policy import Policy
from daemon.core.signal import SignalState
from daemon.core.state import ACTIVATIONS_MAX, LastAction, ProjectState
from daemon.core.step import step

POLL = timedelta(seconds=60)
"""How often the replayed daemon looks while no counts arrive."""
_SOURCE = "history"
_ALERTED = (State.HELD, State.AWAITING_APPROVAL, State.ESCALATED)


class Outcome(StrEnum):
    """What a policy would have done about an incident."""

    ROLLBACK = "rollback"
    ALERT = "alert"
    """People would have been told, and nothing done."""


@dataclass(frozen=True, slots=True)
class Row:
    """One incident of a replay.

    `at` is the moment of the hypothetical rollback, or of the first alert. `target` is None where none was chosen,
    `onset_at` where nobody can tell when it began. `reason` and `why` say what stood against acting (NONE for a
    rollback); `sentence` and `gates` are the finding's, `detector` its name.
    """

    project: ProjectId
    outcome: Outcome
    at: datetime
    suspect: DeploymentId
    target: DeploymentId | None
    onset_at: datetime | None
    reason: Reason
    why: str
    detector: str
    sentence: str
    gates: tuple[Gate, ...]

    @property
    def seconds_from_onset(self) -> float | None:
        """Seconds from the onset to the row; None without an onset."""
        return (self.at - self.onset_at).total_seconds() if self.onset_at else None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one policy would have done in one project's history.

    `unjudged` is the time after hypothetical rollbacks of which nothing can be said, `unresumed` how many of them no
    later activation followed. In `blind_polls` of all judged `polls` nobody could have seen what visitors got.
    """

    rows: tuple[Row, ...]
    polls: int
    blind_polls: int
    unjudged: timedelta
    unresumed: int


def replay(history: ProjectHistory, policy: Policy, *, lag: timedelta | None = None) -> Replayed:
    """Return what *policy* would have done, were its posture automatic; *lag* replaces the recorded delays."""
    return _Replayer(history, replace(policy, posture=Posture.AUTOMATIC), lag=lag).run()


class _Replayer:
    """One run of one policy through one history. Lives and dies within one call."""

    def __init__(self, history: ProjectHistory, policy: Policy, *, lag: timedelta | None) -> None:
        self._history = history
        self._policy = policy
        self._given_lag = lag
        self._lag = history.lag if lag is None else lag
        self._state = ProjectState(history.project)
        self._served: list[Deployment] = []
        self._production = Production(None, auto_assigns_domains=True)
        self._left: DeploymentId | None = None
        self._rows: list[Row] = []
        self._stopped_at: datetime | None = None
        self._unjudged = timedelta(0)
        self._polls = 0
        self._blind_polls = 0

    def run(self) -> Replayed:
        """Tell the whole history, and return what came of it."""
        waiting = self._begin()
        for at, samples in _polls(self._history, lag=self._given_lag):
            # What happens at the moment of a poll may be the daemon's own doing, on what that poll told.
            while waiting and waiting[0][0] < at:
                self._activate(*waiting.pop(0))
            if self._stopped_at is None:
                self._poll(at, samples)
        if self._stopped_at is not None:
            self._unjudged += max(timedelta(0), self._history.until - self._stopped_at)
        if self._state.incident:
            self._rows.append(self._alert(self._state.incident))
        return Replayed(
            tuple(self._rows), self._polls, self._blind_polls, self._unjudged, int(self._stopped_at is not None)
        )

    def _instant(self, at: datetime) -> Instant:
        return Instant(at, (at - self._history.start).total_seconds())

    def _begin(self) -> list[tuple[datetime, RecordedActivation]]:
        """Take in what served before the record began; return the rest, with when it went live."""
        start = self._history.start
        before = [one for one in self._history.activations if one.at is None or one.at <= start]
        served = [(_deployment(self._history.project, one), one) for one in before]
        activations = tuple(Activation(deployment, one.at, one.origin) for deployment, one in served)
        self._state = replace(self._state, activations=activations[-ACTIVATIONS_MAX:])
        for deployment, _ in served:
            self._serve(deployment, None)
            self._left = deployment.id
        self._tell(Resumed(self._instant(start)))
        self._tell(ProductionObserved(self._instant(start), self._production))
        return [(one.at, one) for one in self._history.activations if one.at is not None and one.at > start]

    def _serve(self, deployment: Deployment, job: AliasJob | None) -> None:
        self._served = [deployment, *(one for one in self._served if one.id != deployment.id)]
        self._production = Production(deployment, job, auto_assigns_domains=True)

    def _activate(self, at: datetime, recorded: RecordedActivation) -> None:
        """Let production be seen on the next deployment of the history, at the moment it went live."""
        hold = self._state.hold
        self._serve(_deployment(self._history.project, recorded), self._job(at, recorded))
        self._left = recorded.deployment
        self._tell(ProductionObserved(self._instant(at), self._production))
        if self._stopped_at is None:
            return
        self._unjudged += at - self._stopped_at
        self._stopped_at = None
        if recorded.origin.is_restoration:
            # Somebody went back later from what this policy would have gone back from: nobody is to be waited for.
            self._state = replace(self._state, hold=hold)

    def _job(self, at: datetime, recorded: RecordedActivation) -> AliasJob:
        """Return the alias job by which `step` dates an activation, and tells a rollback from a release."""
        is_rollback = recorded.origin in (ActivationOrigin.OUR_ROLLBACK, ActivationOrigin.FOREIGN_ROLLBACK)
        return AliasJob(
            type=AliasJobType.ROLLBACK if is_rollback else AliasJobType.PROMOTE,
            status=AliasJobStatus.SUCCEEDED,
            from_deployment=self._left,
            to_deployment=recorded.deployment,
            requested_at=at,
        )

    def _poll(self, at: datetime, samples: Sequence[ErrorRateSample]) -> None:
        moment = self._instant(at)
        self._polls += 1
        self._tell(ProductionObserved(moment, self._production))
        if samples or not self._is_without_data(at):
            # Counts that were read sooner than usual are no less complete for it.
            until = max([at - self._lag, *(one.end for one in samples)])
            self._tell(SamplesObserved(moment, _SOURCE, tuple(samples), complete_until=until))
        else:
            self._tell(ReadFailed(moment, ReadTarget.SAMPLES, "no counts are on record of this time"))
        self._tell(CycleEnded(moment))
        signal = self._state.signal
        self._blind_polls += signal is not None and signal.state is SignalState.BLIND

    def _is_without_data(self, at: datetime) -> bool:
        return any(span.start <= at < span.until for span in self._history.no_data)

    def _tell(self, event: Event) -> None:
        """Tell `step` an event, and answer what it asks for at the same moment."""
        events = [event]
        while events:
            before = self._state
            self._state, commands = step(before, events.pop(0), self._policy)
            if self._state.last_ended is not before.last_ended and self._state.last_ended:
                self._rows.append(self._alert(self._state.last_ended))
            for command in commands:
                match command:
                    case ListTargets():
                        events.append(TargetsListed(event.moment, tuple(self._served)))
                    case Preflight():
                        events.append(PreflightRead(event.moment, self._production))
                    case RollBack(action=action):
                        self._stop_at(action, event.moment)
                    case Notify():
                        pass
                    case ObserveProduction():
                        raise AssertionError("nothing is sent in a replay, so that nothing can be observed")
                    case _ as never:
                        assert_never(never)

    def _stop_at(self, action: RollBackAction, moment: Instant) -> None:
        """Write the rollback down as if it had been carried out, and put the incident away."""
        incident = self._state.incident
        assert incident is not None, "a rollback has an incident"
        self._rows.append(_row(self._history.project, incident, Outcome.ROLLBACK, at=moment.at, target=action.target))
        assert incident.target is not None, "a rollback has a target"
        # Whatever history has next takes the target's place, not the suspect's, and has no part in its fault.
        self._serve(incident.target, None)
        restored = Activation(incident.target, moment.at, ActivationOrigin.OUR_ROLLBACK)
        self._state = replace(
            self._state,
            production=self._production,
            activations=(*self._state.activations, restored)[-ACTIVATIONS_MAX:],
            incident=None,
            last_action=LastAction(moment, incident.id),
            rolled_back=(*self._state.rolled_back, action.suspect),
        )
        self._stopped_at = moment.at

    def _alert(self, incident: Incident) -> Row:
        """Return the row of an incident about which nothing would have been done: what first stood against it."""
        told = [*(one for one in incident.trail if one.target in _ALERTED), *incident.trail]
        target = incident.target.id if incident.target else None
        at = told[0].moment.at if told else incident.opened.at
        return _row(
            self._history.project, incident, Outcome.ALERT, at=at, target=target, because=told[0] if told else None
        )


def _row(
    project: ProjectId,
    incident: Incident,
    outcome: Outcome,
    *,
    at: datetime,
    target: DeploymentId | None,
    because: Transition | None = None,
) -> Row:
    finding = incident.finding
    return Row(
        project=project,
        outcome=outcome,
        at=at,
        suspect=incident.suspect.id,
        target=target,
        onset_at=finding.onset_at,
        reason=because.reason if because else Reason.NONE,
        why=because.sentence if because else "",
        detector=finding.detector,
        sentence=finding.sentence,
        gates=finding.gates,
    )


def _deployment(project: ProjectId, recorded: RecordedActivation) -> Deployment:
    """Return a recorded deployment as Vercel would show one that has served production and can be gone back to."""
    return Deployment(
        id=recorded.deployment,
        project=project,
        url=recorded.deployment,
        created_at=recorded.created_at,
        ready_state=ReadyState.READY,
        ready_substate=ReadySubstate.PROMOTED,
        is_rollback_candidate=True,
        commit_sha=recorded.commit,
    )


def _polls(history: ProjectHistory, *, lag: timedelta | None) -> Iterator[tuple[datetime, Sequence[ErrorRateSample]]]:
    """Yield when the daemon would have polled, and what it would have read: at each arrival, and each POLL between."""
    last = history.start
    for at, samples in _arrivals(history.counts, lag=lag):
        while at - last > POLL:
            last += POLL
            yield last, ()
        last = at
        yield at, samples
    while history.until - last > POLL:
        last += POLL
        yield last, ()


def _arrivals(
    counts: Sequence[Counted], *, lag: timedelta | None
) -> Iterator[tuple[datetime, Sequence[ErrorRateSample]]]:
    """Yield what was read at one moment: in order of the moments, and then of the time that it counts."""
    arrivals = [(one.sample.end + _delay(one, lag), one.sample) for one in counts]
    arrivals.sort(key=lambda arrival: (arrival[0], arrival[1].end, arrival[1].start))
    for at, group in groupby(arrivals, key=itemgetter(0)):
        yield at, [sample for _, sample in group]


def _delay(one: Counted, lag: timedelta | None) -> timedelta:
    """Return how late it is read; what came late comes no sooner because the rest does."""
    if lag is None:
        return one.delay
    return max(one.delay, lag) if one.sample.is_late else lag
