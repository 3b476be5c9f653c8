"""The emulated Vercel: its state and its rules put together, brought up to the clock whenever somebody looks."""

from collections.abc import Awaitable, Callable

from daemon.emulator import genesis
from daemon.emulator.builds import Builds
from daemon.emulator.clock import EmulatorClock
from daemon.emulator.fault_specs import JobFault, JobOutcome
from daemon.emulator.faults import Faults
from daemon.emulator.ledger import LedgerEntry
from daemon.emulator.model import AliasJob, Deployment, Project, Variable, ended, failure_from
from daemon.emulator.moves import Moves
from daemon.emulator.project_specs import FailureSpec
from daemon.emulator.rolling import Release
from daemon.emulator.scenario import DeploySpec, Happening, Scenario, VariableChange
from daemon.emulator.state import State

RequestHook = Callable[[str, LedgerEntry], Awaitable[None] | None]
"""Called with ``before_apply``, ``after_apply`` or ``after_answer`` and the request's entry in the ledger."""


class World(State):
    """The teams of one account, their projects and their traffic, and all that may happen to them.

    Nothing moves but by ``advance`` and the requests of its callers.
    """

    def __init__(self, scenario: Scenario, clock: EmulatorClock, *, faults: Faults | None = None) -> None:
        """Build the world as *scenario* says it is at the present instant of *clock*."""
        super().__init__(scenario, clock, faults or Faults())
        self.moves = Moves(self)
        self.rolling = self.moves.rolling
        self.builds = Builds(self, self.moves)
        self.request_hook: RequestHook | None = None
        self._populate()

    def _populate(self) -> None:
        for number, spec in enumerate(self.scenario.projects):
            team = next((item for item in self.teams.values() if item.slug == spec.team), self.team)
            project = genesis.project_of(spec, team, number)
            self.register(project)
            self.adopt(project, genesis.settle_history(project, team, self.start_ms))
            project.outages = [
                failure_from(item, self.start_ms if item.after_ms or item.lasts_ms is not None else None)
                for item in spec.traffic.failures
            ]
        if self.fleet is not None:
            self.fleet.populate(self)
        for happening in self.scenario.happenings:
            self._schedule_happening(happening)

    # What a client, a human or a scenario may ask for

    def request_rollback(
        self,
        project: Project,
        deployment_id: str,
        *,
        by: str,
        description: str | None = None,
        fault: JobFault | None = None,
    ) -> AliasJob:
        """Accept a rollback or refuse it, as ``Moves`` does."""
        return self.moves.request_rollback(project, deployment_id, by=by, description=description, fault=fault)

    def request_promote(
        self, project: Project, deployment_id: str, *, by: str, fault: JobFault | None = None
    ) -> AliasJob | Release:
        """Accept a promote or refuse it, as ``Moves`` does."""
        return self.moves.request_promote(project, deployment_id, by=by, fault=fault)

    def finish_stuck_job(self, project: Project, outcome: JobOutcome) -> AliasJob:
        """Let a running job of *project* end now, as *outcome*; without one it is a 404."""
        return self.moves.finish_stuck_job(project, outcome)

    def deploy(self, spec: DeploySpec) -> Deployment:
        """Begin a build now; it is ready, and perhaps in production, after its build time."""
        return self.builds.deploy(spec)

    def begin_build(self, spec: DeploySpec, at_ms: int) -> Deployment:
        """Begin a build at *at_ms*, which the caller knows to have a name of its own."""
        return self.builds.begin(spec, at_ms)

    def write_variable(self, change: VariableChange, at_ms: int | None = None) -> Variable:
        """Let somebody write an environment variable at *at_ms* (None: now)."""
        project, written_ms = self.project(change.project), self._instant(at_ms)
        variable = genesis.variable_after(change, project, written_ms)
        project.variables = {**project.variables, variable.key: variable}
        return variable

    def start_outage(self, project: Project, spec: FailureSpec, at_ms: int | None = None) -> None:
        """Let every deployment of *project* fail as *spec* says, from *at_ms* on (None: now)."""
        begins_ms = self._instant(at_ms)
        self.traffic_until(project, begins_ms)
        project.outages.append(failure_from(spec, begins_ms))

    def end_outage(self, project: Project, at_ms: int | None = None) -> None:
        """End every outage of *project* at *at_ms* (None: now)."""
        ends_ms = self._instant(at_ms)
        self.traffic_until(project, ends_ms)
        project.outages = ended(project.outages, ends_ms)

    def set_failures(self, deployment: Deployment, specs: tuple[FailureSpec, ...], at_ms: int | None = None) -> None:
        """Change how *deployment* fails from *at_ms* on (None: now); no specs heal it."""
        changes_ms = self._instant(at_ms)
        self.traffic_until(self.projects[deployment.project_id], changes_ms)
        deployment.failure_specs = specs
        kept = ended(deployment.failures, changes_ms)
        deployment.failures = [*kept, *(failure_from(spec, changes_ms) for spec in specs)]

    def _instant(self, at_ms: int | None) -> int:
        return self.now_ms if at_ms is None else at_ms

    # What the project shows of its moves

    def production_as_read(self, project: Project) -> Deployment | None:
        """Return what ``targets.production`` shows, which may lag behind production (a knob); None when nothing."""
        seen_to_ms = self.now_ms - self.knobs.stale_reads_seconds * 1000
        production_id = project.production_id
        for move in reversed(self.ledger.moves):
            if move.at_ms <= seen_to_ms:
                break
            if move.project == project.name:
                production_id = move.from_id
        return self.deployments.get(production_id or "")

    def reads_auto_assign(self, project: Project) -> bool:
        """Return what ``autoAssignCustomDomains`` reads, which the pin may or may not hide (a knob)."""
        return project.auto_assign and not (project.pinned and self.knobs.pinned_reads_auto_assign_false)

    # What a scenario lets happen

    def _schedule_happening(self, happening: Happening) -> None:
        self.schedule(self.start_ms + happening.at_ms, lambda at_ms: self._happen(happening, at_ms))

    def _happen(self, happening: Happening, at_ms: int) -> None:
        if happening.deploy is not None:
            self.begin_build(happening.deploy, at_ms)
        if happening.outage is not None:
            self.start_outage(self.project(happening.outage.project), happening.outage, at_ms)
        if happening.end_outage is not None:
            self.end_outage(self.project(happening.end_outage.project), at_ms)
        if (new := happening.failures) is not None:
            self.set_failures(self.deployment(new.project, new.deployment), new.failures, at_ms)
        if happening.variable is not None:
            self.write_variable(happening.variable, at_ms)
        if happening.fault is not None:
            self.faults.set(happening.fault)
        if happening.clear_fault is not None:
            self.faults.clear(happening.clear_fault)
        # A human's move that is refused simply does not happen.
        with self.attempt_at(at_ms):
            self._move_by_hand(happening)

    def _move_by_hand(self, happening: Happening) -> None:
        if (move := happening.promote) is not None:
            self.request_promote(self.project(move.project), move.deployment, by=move.by)
        if (move := happening.rollback) is not None:
            self.request_rollback(self.project(move.project), move.deployment, by=move.by, description=move.description)
