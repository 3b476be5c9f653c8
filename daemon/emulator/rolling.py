"""Rolling releases: a canary takes over production stage by stage, by time or by approval, watched by a gate.

Invariant: a project has at most one ACTIVE release, and while it is ACTIVE the project's production is its base,
unless somebody deletes that.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from daemon.emulator import genesis
from daemon.emulator.durations import MINUTE_MS
from daemon.emulator.entitlements import require_paid
from daemon.emulator.errors import bad_request, conflict, not_found, payment_required, unprocessable
from daemon.emulator.events import WorldEvent
from daemon.emulator.gate import Evaluation, evaluate
from daemon.emulator.identifiers import base62
from daemon.emulator.model import Deployment, JobKind, Project, ReadyState, ReadySubstate, Team
from daemon.emulator.rolling_specs import GateSpec, RollingReleaseConfig
from daemon.emulator.scenario import Plan
from daemon.emulator.splits import Split
from daemon.emulator.state import State

RELEASES_KEPT = 100
PRO_SLOTS = 1
"""Projects that may have rolling releases on the pro plan. Source: Vercel docs, Rolling Releases."""


class ReleaseState(StrEnum):
    """Source: Vercel OpenAPI, getRollingRelease, state."""

    ACTIVE = "ACTIVE"
    COMPLETE = "COMPLETE"
    ABORTED = "ABORTED"


class Advance(StrEnum):
    """What moved a release on; the names of the events of a webhook."""

    STARTED = "started"
    APPROVED = "approved"
    COMPLETED = "completed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a release. ``duration_ms`` None: it does not end by itself."""

    index: int
    percentage: float
    duration_ms: int | None
    requires_approval: bool
    shifts_linearly: bool
    is_final: bool


@dataclass(slots=True)
class Release:
    """One rolling release. ``paused_share`` None: it is not paused; else the canary's frozen share, 0..1."""

    id: str
    project_id: str
    base_id: str
    canary_id: str
    advancement: str
    stages: tuple[Stage, ...]
    gate: GateSpec | None
    started_at_ms: int
    updated_at_ms: int
    by: str
    state: ReleaseState = ReleaseState.ACTIVE
    stage_index: int = 0
    stage_since_ms: int = 0
    paused_share: float | None = None
    queued_id: str | None = None
    evaluations: deque[Evaluation] = field(default_factory=deque)
    tripped_at_ms: int | None = None

    @property
    def stage(self) -> Stage:
        """Return the stage that is active, or was last."""
        return self.stages[self.stage_index]

    @property
    def next_stage(self) -> Stage | None:
        """Return the stage after the present one; None in the last one and when the release is over."""
        following = self.stages[self.stage_index + 1 : self.stage_index + 2]
        return following[0] if following and self.state is ReleaseState.ACTIVE else None


class Mover(Protocol):
    """Who moves production when a release is over, or when its gate will have it so."""

    def take_over(self, project: Project, target: Deployment, *, kind: JobKind, by: str, at_ms: int) -> None:
        """Point every production domain of *project* to *target* at *at_ms*, with no job."""
        ...

    def roll_back_for_gate(self, project: Project, deployment_id: str, at_ms: int) -> None:
        """Let the platform itself roll back to *deployment_id* at *at_ms*."""
        ...


class RollingReleases:
    """The configurations and the releases of every project of a world."""

    def __init__(self, state: State, mover: Mover) -> None:
        """Begin with no configuration and no release."""
        self._state = state
        self._mover = mover
        self._configs: dict[str, RollingReleaseConfig] = {}
        self._releases: dict[str, deque[Release]] = {}
        self._number = 0

    # Configuration

    def config(self, project: Project) -> RollingReleaseConfig | None:
        """Return the configuration of *project*; None when rolling releases are off."""
        return self._configs.get(project.id)

    def applies_to(self, project: Project) -> bool:
        """Tell whether a deployment takes production of *project* by a release: there must be one to begin from."""
        return self.config(project) is not None and project.production_id is not None

    def configure(self, project: Project, config: RollingReleaseConfig | None) -> None:
        """Set the configuration, or switch it off with None; a plan without a free slot is a 402."""
        if config is None:
            self._configs.pop(project.id, None)
            return
        team = self._state.teams[project.team_id]
        require_paid(team, "Rolling Releases")
        if project.id not in self._configs and self.free_slots(team) == 0:
            raise payment_required("No rolling release slots are available for this team.")
        self._configs[project.id] = config

    def enabled_projects(self, team: Team) -> list[str]:
        """Return the ids of the projects of *team* that have rolling releases."""
        return [item for item in self._configs if self._state.projects[item].team_id == team.id]

    def free_slots(self, team: Team) -> int | None:
        """Return how many more projects of *team* may have rolling releases; None means any number."""
        if team.plan is Plan.ENTERPRISE:
            return None
        return 0 if team.plan is Plan.HOBBY else max(0, PRO_SLOTS - len(self.enabled_projects(team)))

    # Looking

    def active(self, project: Project) -> Release | None:
        """Return the release that is at work; None when there is none."""
        latest = self.latest(project)
        return latest if latest is not None and latest.state is ReleaseState.ACTIVE else None

    def latest(self, project: Project, state: str | None = None) -> Release | None:
        """Return the newest release of *project*, or the newest in *state*; None when there is none."""
        releases = self._releases.get(project.id, ())
        return next((item for item in reversed(releases) if state in (None, item.state)), None)

    def all(self, project: Project) -> list[Release]:
        """Return the kept releases of *project*, oldest first."""
        return list(self._releases.get(project.id, ()))

    def share(self, project: Project, at_ms: int) -> float:
        """Return the canary's share of the visitors of *project* at *at_ms*, 0..1; 0 without a canary."""
        return project.split_at(at_ms).share_at(at_ms)

    # Moving

    def start(self, project: Project, canary: Deployment, *, by: str, at_ms: int | None = None) -> Release:
        """Start a release of *canary*; what cannot be released is refused."""
        begins = self._state.now_ms if at_ms is None else at_ms
        config = self.config(project)
        if config is None:
            raise bad_request("Rolling releases are not enabled for this project.")
        if self.active(project) is not None:
            raise conflict("A rolling release is already in progress.")
        if canary.id == project.production_id:
            raise conflict(f"Deployment {canary.id} is already the current production deployment.")
        if not canary.is_production or canary.ready_state is not ReadyState.READY:
            raise unprocessable(f"Deployment {canary.id} is not a production deployment that is ready.")
        if project.production_id is None:
            raise unprocessable(f"Project {project.name} has no production deployment to release from.")
        release = self._opened(project, canary, config, by, begins)
        genesis.meet_visitors(canary, begins)
        canary.substate = ReadySubstate.ROLLING
        project.pinned = False
        self._enter(release, 0, begins)
        self._tell(release, Advance.STARTED, begins)
        if release.gate is not None and release.gate.enabled:
            self._state.schedule(begins + MINUTE_MS, lambda at: self._evaluate(release, at))
        return release

    def approve(self, project: Project, *, next_index: int, canary_id: str) -> Release:
        """Move on to the stage *next_index*, also out of a pause; another stage or canary is a 409."""
        release = self._released(project, canary_id)
        following = release.next_stage
        if following is None or following.index != next_index:
            raise conflict(f"Stage {next_index} is not the next stage of the rolling release.")
        self._advance(release, self._state.now_ms)
        return release

    def complete(self, project: Project, *, canary_id: str) -> Release:
        """Let the canary take over at once; another canary is a 409."""
        release = self._released(project, canary_id)
        self._finish(release, self._state.now_ms)
        return release

    def queue(self, project: Project, deployment: Deployment) -> None:
        """Release *deployment* once the active release is complete, in place of what was queued before."""
        release = self.active(project)
        assert release is not None, "only an active release has a queue"
        if deployment.id == release.canary_id:
            raise conflict(f"Deployment {deployment.id} is being released already.")
        release.queued_id = deployment.id
        release.updated_at_ms = self._state.now_ms

    def abort(self, project: Project, at_ms: int) -> None:
        """End the active release, if there is one, with everybody back on what production is then."""
        release = self.active(project)
        if release is None:
            return
        self._split(release, Split(at_ms, None))
        release.state, release.updated_at_ms = ReleaseState.ABORTED, at_ms
        release.paused_share = release.queued_id = None
        canary = self._state.deployments.get(release.canary_id)
        if canary is not None and canary.substate is ReadySubstate.ROLLING:
            canary.substate = ReadySubstate(self._state.knobs.aborted_canary_substate)
        self._tell(release, Advance.ABORTED, at_ms)

    # Inside

    def _opened(
        self, project: Project, canary: Deployment, config: RollingReleaseConfig, by: str, at_ms: int
    ) -> Release:
        assert project.production_id is not None
        self._number += 1
        release = Release(
            id="rr_" + base62("rolling-release", project.id, self._number, length=16),
            project_id=project.id,
            base_id=project.production_id,
            canary_id=canary.id,
            advancement=config.advancement_type,
            stages=stages_of(config),
            gate=config.gate,
            started_at_ms=at_ms,
            updated_at_ms=at_ms,
            by=by,
        )
        self._releases.setdefault(project.id, deque(maxlen=RELEASES_KEPT)).append(release)
        return release

    def _released(self, project: Project, canary_id: str) -> Release:
        release = self.active(project)
        if release is None:
            raise not_found("No active rolling release found.")
        if release.canary_id != canary_id:
            raise conflict(f"Deployment {canary_id} is not the canary of the active rolling release.")
        return release

    def _enter(self, release: Release, index: int, at_ms: int) -> None:
        release.stage_index, release.stage_since_ms, release.updated_at_ms = index, at_ms, at_ms
        release.paused_share = None
        stage = release.stage
        if stage.is_final:
            self._finish(release, at_ms)
            return
        until_ms = None if stage.duration_ms is None else at_ms + stage.duration_ms
        to_share = release.stages[index + 1].percentage / 100 if stage.shifts_linearly else stage.percentage / 100
        self._split(release, Split(at_ms, release.canary_id, stage.percentage / 100, to_share, until_ms))
        if until_ms is not None and not stage.requires_approval:
            self._state.schedule(until_ms, lambda at: self._end_stage(release, index, at))

    def _end_stage(self, release: Release, index: int, at_ms: int) -> None:
        is_due = release.state is ReleaseState.ACTIVE and release.stage_index == index and release.paused_share is None
        if is_due:
            self._advance(release, at_ms)

    def _advance(self, release: Release, at_ms: int) -> None:
        if release.stages[release.stage_index + 1].is_final:
            self._finish(release, at_ms)
            return
        self._enter(release, release.stage_index + 1, at_ms)
        self._tell(release, Advance.APPROVED, at_ms)

    def _finish(self, release: Release, at_ms: int) -> None:
        project = self._state.projects[release.project_id]
        canary = self._state.deployments[release.canary_id]
        release.stage_index, release.stage_since_ms = len(release.stages) - 1, at_ms
        release.state, release.updated_at_ms, release.paused_share = ReleaseState.COMPLETE, at_ms, None
        self._split(release, Split(at_ms, None))
        self._mover.take_over(project, canary, kind=JobKind.ROLLING_RELEASE, by=release.by, at_ms=at_ms)
        self._tell(release, Advance.COMPLETED, at_ms)
        queued = self._state.deployments.get(release.queued_id or "")
        release.queued_id = None
        if queued is not None and queued.id != project.production_id and self.config(project) is not None:
            self.start(project, queued, by=release.by, at_ms=at_ms)

    def _tell(self, release: Release, how: Advance, at_ms: int) -> None:
        """Tell whoever listens that *release* has moved on."""
        project, canary = self._state.projects[release.project_id], self._state.deployments.get(release.canary_id)
        kind = f"project.rolling-release.{how.value}"
        self._state.events.publish(WorldEvent(kind, at_ms, project, canary, {"release": release}))

    def _split(self, release: Release, split: Split) -> None:
        project = self._state.projects[release.project_id]
        self._state.traffic_of(project)  # The seconds before the change are generated as they were.
        project.splits.append(split)

    def _evaluate(self, release: Release, at_ms: int) -> None:
        """Let the gate look at the last minutes and act; Vercel's interval is unpublished, a minute is assumed."""
        rules = release.gate
        if release.state is not ReleaseState.ACTIVE or rules is None or release.tripped_at_ms is not None:
            return
        project = self._state.projects[release.project_id]
        counts = self._state.traffic_of(project).counts
        release.evaluations.append(evaluate(release, rules, counts, at_ms))
        while len(release.evaluations) > rules.window_size:
            release.evaluations.popleft()
        failed = sum(item.failed for item in release.evaluations)
        if failed >= rules.failure_threshold:
            self._trip(project, release, rules, at_ms)
        self._state.schedule(at_ms + MINUTE_MS, lambda at: self._evaluate(release, at))

    def _trip(self, project: Project, release: Release, rules: GateSpec, at_ms: int) -> None:
        release.tripped_at_ms = at_ms
        if rules.dry_run:
            return
        if rules.action == "rollback":
            self._mover.roll_back_for_gate(project, release.base_id, at_ms)
            return
        release.paused_share = self.share(project, at_ms)
        release.updated_at_ms = at_ms
        self._split(release, Split(at_ms, release.canary_id, release.paused_share, release.paused_share))


def stages_of(config: RollingReleaseConfig) -> tuple[Stage, ...]:
    """Return the stages that *config* describes."""
    last = len(config.stages) - 1
    by_hand = config.advancement_type == "manual-approval"
    return tuple(
        Stage(
            index=index,
            percentage=spec.target_percentage,
            duration_ms=None if spec.duration is None or index == last else round(spec.duration * MINUTE_MS),
            requires_approval=(by_hand or spec.require_approval) and index != last,
            shifts_linearly=spec.linear_shift,
            is_final=index == last,
        )
        for index, spec in enumerate(config.stages)
    )
