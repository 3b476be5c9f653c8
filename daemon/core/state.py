"""Everything that the daemon knows of one project: the state that `step` moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core.detector import Finding, Memory
from daemon.core.event import ReadTarget
from daemon.core.facts import Activation, Deployment, DeploymentId, IncidentId, Instant, Production, ProjectId, Sighting
from daemon.core.guardrail import Reason
from daemon.core.incident import Incident
from daemon.core.signal import Signal, SignalReason, SourceTrouble

ACTIVATIONS_MAX = 30
KNOWN_BAD_MAX = 200
WATCHES_MAX = 8
_SERVED_WATCHES_MAX = 5
UNACKNOWLEDGED_MAX = 20
TOLD_PROMOTIONS_MAX = 10


@dataclass(frozen=True, slots=True)
class KnownBad:
    """A deployment that somebody rolled back from, or replaced while it breached. `commit_sha`: None when unknown."""

    deployment: DeploymentId
    commit_sha: str | None
    by: str


@dataclass(frozen=True, slots=True)
class Watch:
    """One deployment under judgement: each detector's memory and newest finding, by the detector's name.

    `counted` is the end of the newest sample with traffic; None before the first. `healthy_until` is the end of
    the newest sample at which every detector called it healthy; None when none ever did.
    """

    deployment: DeploymentId
    counted: Sighting | None = None
    healthy_until: datetime | None = None
    memories: Mapping[str, Memory] = field(default_factory=dict)
    findings: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def counted_until(self) -> datetime | None:
        """The end of the newest sample with traffic; None before the first."""
        return self.counted.told if self.counted else None


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator stopped actions. `until` is on `elapsed` time; None: until resumed."""

    by: str
    reason: str
    until: float | None


@dataclass(frozen=True, slots=True)
class HoldPeriod:
    """A reason to hold back for a while, such as somebody else's move. `until` is on `elapsed` time."""

    until: float
    sentence: str


@dataclass(frozen=True, slots=True)
class LastAction:
    """When a rollback was last sent, and for which incident."""

    moment: Instant
    incident: IncidentId


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that cannot be read: since when, for how many polls in a row, and why."""

    since: Instant
    reason: SignalReason
    sentence: str
    polls: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What the daemon made of the newest tick: one sentence for on-call, one reason for metrics."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class ProjectState:
    """The state of one project. At most one live incident; escalated ones wait in `unacknowledged`.

    `alias_job` is when the newest alias job was asked for. `memories` are those of detectors that follow
    production; once `is_past_known` they have learned from what was before the daemon came. `samples_until` is the
    watermark of the newest reading (None before the first), `counted` when visitors were last counted, `traffic`
    how many requests a minute came of late, `cycle_ended` when a poll was last told to its end. `troubles` are
    those of sources beside the one that counted. `signal` is how well all this lets us see, as ruled at the last
    poll's end. `witnessed` is when a mere witness was judged last. `told_promotions` holds when webhooks said that
    a deployment was promoted. `acknowledged` holds the deployments of breaches that a person has taken, until they
    are over. `sends` counts rollback requests by suspect and `rolled_back` holds the suspects whose rollback was
    observed: these two grow by one an incident and are kept for ever.
    """

    project: ProjectId
    production: Production | None = None
    production_seen: Instant | None = None
    alias_job: Sighting | None = None
    activations: tuple[Activation, ...] = ()
    known_bad: tuple[KnownBad, ...] = ()
    watches: tuple[Watch, ...] = ()
    memories: Mapping[str, Memory] = field(default_factory=dict)
    is_past_known: bool = False
    samples_until: datetime | None = None
    source: str = ""
    unread: Mapping[ReadTarget, Unread] = field(default_factory=dict)
    troubles: tuple[SourceTrouble, ...] = ()
    counted: Instant | None = None
    traffic: float = 0.0
    cycle_ended: Instant | None = None
    signal: Signal | None = None
    is_blindness_paged: bool = False
    witnessed: Instant | None = None
    told_promotions: Mapping[DeploymentId, datetime] = field(default_factory=dict)
    incident: Incident | None = None
    unacknowledged: tuple[Incident, ...] = ()
    acknowledged: tuple[DeploymentId, ...] = ()
    last_ended: Incident | None = None
    paused: Pause | None = None
    hold: HoldPeriod | None = None
    platform: HoldPeriod | None = None
    last_action: LastAction | None = None
    sends: Mapping[DeploymentId, int] = field(default_factory=dict)
    rolled_back: tuple[DeploymentId, ...] = ()
    decision: Decision = field(default_factory=lambda: Decision(Reason.NONE, "started; nothing observed yet"))

    @property
    def trouble(self) -> str:
        """What cannot be read, in one sentence; '' when all that was asked last could be read."""
        return "; ".join(one.sentence for one in self.unread.values())

    @property
    def serving(self) -> Deployment | None:
        """The deployment that serves production as last observed; None before the first read."""
        return self.production.deployment if self.production else None

    def watch(self, deployment: DeploymentId) -> Watch:
        """Return the watch of *deployment*, a fresh one if it has none."""
        return next((one for one in self.watches if one.deployment == deployment), Watch(deployment))

    def with_watch(self, watch: Watch) -> tuple[Watch, ...]:
        """Return the watches with *watch* as the newest of its deployment, bounded.

        Deployments that never served production give way first, however many of them somebody visits.
        """
        watches = (*(one for one in self.watches if one.deployment != watch.deployment), watch)
        needed = {one.deployment.id for one in self.activations[-_SERVED_WATCHES_MAX:]}
        if self.incident:
            needed |= {self.incident.suspect.id, self.incident.serving}
        spare = [one.deployment for one in watches if one.deployment not in needed]
        dropped = spare[: max(0, len(watches) - WATCHES_MAX)]
        return tuple(one for one in watches if one.deployment not in dropped)
