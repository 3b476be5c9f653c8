"""Values and dialogues for tests of the core: a test names only what matters to it, the rest is filled in here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from daemon.core.command import Command, ListTargets, Notify, ObserveProduction, Preflight, RollBack, Severity
from daemon.core.event import (
    CycleEnded,
    Event,
    OperatorRequested,
    OperatorVerb,
    PreflightRead,
    ProductionObserved,
    RollbackAccepted,
    SamplesObserved,
    TargetsListed,
)
from daemon.core.facts import (
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
from daemon.core.guardrail import Guardrail, Posture, Reason
from daemon.core.incident import Incident, State
from daemon.core.policy import Policy
from daemon.core.state import ProjectState
from daemon.core.step import step
from daemon.detectors.threshold import Threshold
from daemon.guardrails import complete

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PROJECT = ProjectId("prj_shop")
MINUTE = timedelta(minutes=1)
_AGES_IN_DAYS = {"old": 30, "good": 10, "bad": 1, "fix": 0}


def a_deployment(name: str = "good", **facts: Any) -> Deployment:
    """Return `dpl_<name>`, a deployment that has served production. Well-known names have an age in days."""
    defaults: dict[str, Any] = {
        "project": PROJECT,
        "url": f"{name}.example.app",
        "created_at": START - timedelta(days=_AGES_IN_DAYS.get(name, 0), minutes=5),
        "ready_state": ReadyState.READY,
        "ready_substate": ReadySubstate.PROMOTED,
        "is_rollback_candidate": True,
        "commit_sha": f"sha-{name}",
    }
    return Deployment(id=DeploymentId(f"dpl_{name}"), **(defaults | facts))


OLD, GOOD, BAD, FIX = (a_deployment(name) for name in ("old", "good", "bad", "fix"))


def an_instant(seconds: float = 0.0) -> Instant:
    """Return the moment *seconds* after START, on both clocks."""
    return Instant(START + timedelta(seconds=seconds), seconds)


def a_sample(deployment: Deployment = BAD, **facts: Any) -> ErrorRateSample:
    """Return a minute of 100 healthy requests; `errors`, `requests`, `start` and `end` say otherwise."""
    start = facts.pop("start", START)
    defaults: dict[str, Any] = {"end": start + MINUTE, "requests": 100, "errors": 0}
    return ErrorRateSample(deployment=deployment.id, start=start, **(defaults | facts))


def an_alias_job(target: Deployment = GOOD, **facts: Any) -> AliasJob:
    """Return a rollback job from bad to *target* that succeeded, asked for at START."""
    defaults: dict[str, Any] = {
        "type": AliasJobType.ROLLBACK,
        "status": AliasJobStatus.SUCCEEDED,
        "from_deployment": BAD.id,
        "requested_at": START,
    }
    return AliasJob(to_deployment=target.id, **(defaults | facts))


def a_production(deployment: Deployment | None = GOOD, **facts: Any) -> Production:
    """Return a read of production that says *deployment* serves; domains are assigned automatically, no job."""
    return Production(deployment, **({"auto_assigns_domains": True} | facts))


def a_policy(posture: Posture = Posture.AUTOMATIC, **facts: Any) -> Policy:
    """Return a policy with the threshold detector (2 of 3 minutes over 5 %) and every guardrail with its defaults."""
    defaults: dict[str, Any] = {"detectors": (Threshold(breaches_min=2, windows=3),), "guardrails": complete(())}
    return Policy(posture=posture, **(defaults | facts))


def guardrails_without(*kinds: type) -> tuple[Guardrail, ...]:
    """Return the default guardrails but those of *kinds*, for tests of what the others let through."""
    return tuple(one for one in complete(()) if not isinstance(one, kinds))


@dataclass(frozen=True, slots=True)
class Told:
    """Equals a Notify of this severity about an incident in this state (None: whichever)."""

    severity: Severity
    state: State | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Notify):
            return NotImplemented
        is_about = self.state is None or other.title.endswith(f": {self.state.replace('_', ' ')}")
        return other.severity is self.severity and is_about

    def __hash__(self) -> int:
        return hash((self.severity, self.state))


def notice(state: State | None = None) -> Told:
    """Match a notice that an incident reached *state*."""
    return Told(Severity.NOTICE, state)


def page(state: State | None = None) -> Told:
    """Match a page about an incident that reached *state*."""
    return Told(Severity.PAGE, state)


@dataclass(frozen=True, slots=True)
class RollsBack:
    """Equals a RollBack to this target."""

    target: Deployment = GOOD

    def __eq__(self, other: object) -> bool:
        return other.action.target == self.target.id if isinstance(other, RollBack) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.target.id)


@dataclass(slots=True)
class Playbook:
    """A dialogue with the core: tell it what happened, expect what it asks for.

    `world` is what the next read of production will say; `targets` is what Vercel offers for rollback. Each cycle is
    told like the daemon tells it: production, then counts, then the end of the cycle.
    """

    policy: Policy = field(default_factory=a_policy)
    state: ProjectState = field(default_factory=lambda: ProjectState(PROJECT))
    world: Production = field(default_factory=a_production)
    targets: Sequence[Deployment] = (BAD, GOOD, OLD)
    seconds: float = 0.0
    asked: list[Command] = field(default_factory=list)
    log: list[Command] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    # -- time

    @property
    def moment(self) -> Instant:
        """Now, on both clocks."""
        return Instant(at=START + timedelta(seconds=self.seconds), elapsed=1_000.0 + self.seconds)

    def after(self, seconds: float) -> Self:
        """Let time pass."""
        self.seconds += seconds
        return self

    # -- telling

    def event(self, event: Event) -> Self:
        """Tell the core *event*; what it asks for is what `expect` compares."""
        self.asked = []
        return self._tell(event)

    def happens(self, kind: type[Any], **facts: Any) -> Self:
        """Tell the core an event of *kind* at this moment."""
        return self.event(kind(self.moment, **facts))

    def production(self) -> Self:
        """Tell what production is now."""
        return self.happens(ProductionObserved, production=self.world)

    def preflight(self) -> Self:
        """Tell what production is now, read just before the action."""
        return self.happens(PreflightRead, production=self.world)

    def targets_listed(self) -> Self:
        """Tell which deployments could be rolled back to."""
        return self.happens(TargetsListed, deployments=tuple(self.targets))

    def operator(self, verb: OperatorVerb, **facts: Any) -> Self:
        """Tell what a person asked for."""
        return self.happens(OperatorRequested, verb=verb, by="ann", **facts)

    def cycle(self, *samples: ErrorRateSample) -> Self:
        """Tell one whole poll: production, *samples*, the end of the cycle."""
        self.asked = []
        self._tell(ProductionObserved(self.moment, self.world))
        self._tell(SamplesObserved(self.moment, "test", samples, complete_until=self.moment.at))
        return self._tell(CycleEnded(self.moment))

    def minutes(self, deployment: Deployment, ratio: float, n: int = 1, *, requests: int = 200) -> Self:
        """Let *n* minutes pass in which *deployment* answers *requests* a minute, a share of them with errors."""
        for _ in range(n):
            start = self.moment.at
            self.after(60)
            self.cycle(a_sample(deployment, start=start, requests=requests, errors=round(requests * ratio)))
        return self

    def _tell(self, event: Event) -> Self:
        self.state, commands = step(self.state, event, self.policy)
        self.asked += commands
        self.log += commands
        self.events.append(event)
        return self

    # -- the world

    def serves(self, deployment: Deployment | None, **facts: Any) -> Self:
        """Let the next reads of production say that *deployment* serves."""
        self.world = replace(self.world, deployment=deployment, **facts)
        return self

    def job(self, target: Deployment = GOOD, **facts: Any) -> Self:
        """Let the next reads show this alias job, asked for now."""
        self.world = replace(self.world, alias_job=an_alias_job(target, **({"requested_at": self.moment.at} | facts)))
        return self

    # -- expecting

    def expect(self, *commands: object) -> Self:
        """Compare what was asked for, in order."""
        assert self.asked == list(commands), "\n".join(
            ["asked:", *map(str, self.asked), "expected:", *map(str, commands)]
        )
        return self

    def expect_state(self, state: State | None, reason: Reason | None = None) -> Self:
        """Compare the newest incident's state (None: there never was one) and reason."""
        assert self.incident_state is state, f"{self.incident_state}, not {state}: {self.state.decision.sentence}"
        if reason is not None:
            assert self.incident.reason is reason, f"{self.incident.reason}, not {reason}"
        return self

    @property
    def incident(self) -> Incident:
        """The live incident, or the one that ended last."""
        incident = self.state.incident or self.state.last_ended
        assert incident is not None, "there never was an incident"
        return incident

    @property
    def incident_state(self) -> State | None:
        """Where the newest incident stands; None when there never was one."""
        return self.incident.state if self.state.incident or self.state.last_ended else None

    @property
    def sentence(self) -> str:
        """What the core said of the newest event."""
        return self.state.decision.sentence

    @property
    def ending(self) -> str:
        """What was said when the newest incident moved last."""
        return self.incident.trail[-1].sentence

    def count(self, kind: type[Any]) -> int:
        """Return how many commands of *kind* were ever asked for."""
        return sum(isinstance(one, kind) for one in self.log)

    @property
    def pages(self) -> list[Notify]:
        """Every page so far."""
        return [one for one in self.log if isinstance(one, Notify) and one.severity is Severity.PAGE]


def a_released_playbook(policy: Policy | None = None, **facts: Any) -> Playbook:
    """Return a playbook in which good served for three healthy minutes, and bad has just gone live."""
    play = Playbook(policy or a_policy(), **facts)
    play.minutes(GOOD, 0.0, 3)
    return play.serves(BAD).production()


def a_breached_playbook(policy: Policy | None = None, **facts: Any) -> Playbook:
    """Return a playbook in which bad has just been found out: DETECTED, targets asked for."""
    play = a_released_playbook(policy, **facts).minutes(BAD, 0.3, 2)
    return play.expect(notice(State.DETECTED), ListTargets())


def a_deciding_playbook(policy: Policy | None = None, **facts: Any) -> Playbook:
    """Return a playbook in which the rollback is decided: MITIGATING, one look before the request is due."""
    return a_breached_playbook(policy, **facts).targets_listed().expect(notice(State.MITIGATING), Preflight())


def a_sent_playbook(policy: Policy | None = None, **facts: Any) -> Playbook:
    """Return a playbook in which the rollback request has just been committed to."""
    return a_deciding_playbook(policy, **facts).preflight().expect(RollsBack(GOOD))


def an_accepted_playbook(policy: Policy | None = None, **facts: Any) -> Playbook:
    """Return a playbook in which Vercel has accepted the rollback, and production has not moved yet."""
    return a_sent_playbook(policy, **facts).happens(RollbackAccepted).expect(ObserveProduction(1.0))


def a_switched_playbook(policy: Policy | None = None, **facts: Any) -> Playbook:
    """Return a playbook in which production is observed on good: VERIFYING."""
    play = an_accepted_playbook(policy, **facts).job()
    play.after(3).serves(GOOD).production()
    return play.expect(notice(State.VERIFYING))
