"""The emulated Vercel: its state machine, brought up to the clock whenever somebody looks."""

import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from daemon.emulator import genesis, jobs
from daemon.emulator.agenda import Agenda
from daemon.emulator.clock import EmulatorClock
from daemon.emulator.errors import ApiError, conflict, not_found, payment_required, unprocessable
from daemon.emulator.fault_specs import JobFault, JobOutcome
from daemon.emulator.faults import Faults
from daemon.emulator.identifiers import base62
from daemon.emulator.ledger import Ledger, LedgerEntry, Move
from daemon.emulator.model import (
    AliasJob,
    AliasStatus,
    Deployment,
    JobKind,
    JobStatus,
    Project,
    ReadyState,
    ReadySubstate,
    RollbackDescription,
    Team,
    failure_from,
)
from daemon.emulator.scenario import DeploySpec, FailureSpec, Happening, Knobs, Plan, Scenario
from daemon.emulator.traffic import Traffic

_JOBS_KEPT = 100
_REFUSALS_KEPT = 100

RequestHook = Callable[[str, LedgerEntry], Awaitable[None] | None]
"""Called with ``before_apply``, ``after_apply`` or ``after_answer`` and the request's entry in the ledger."""


class World:
    """One team, its projects and their traffic. Nothing moves but by ``advance`` and the requests of its callers."""

    def __init__(self, scenario: Scenario, clock: EmulatorClock, *, faults: Faults | None = None) -> None:
        """Build the world as *scenario* says it is at the present instant of *clock*."""
        self.scenario = scenario
        self.clock = clock
        self.start_ms = clock.now_ms()
        self.now_ms = self.start_ms
        self.knobs: Knobs = scenario.knobs
        self.faults = faults or Faults()
        self.ledger = Ledger()
        self.user = genesis.user_of(scenario)
        self.tokens = genesis.tokens_of(scenario)
        self.team: Team = genesis.team_of(scenario, self.start_ms)
        self.teams: Mapping[str, Team] = {self.team.id: self.team}
        self.projects: dict[str, Project] = {}
        self.deployments: dict[str, Deployment] = {}
        self._deployments_of: dict[str, dict[str, Deployment]] = {}
        self._traffic: dict[str, Traffic] = {}
        self._agenda = Agenda()
        self._job_numbers = itertools.count(1)
        self._creation_times: set[int] = set()
        self.refusals: deque[tuple[int, str]] = deque(maxlen=_REFUSALS_KEPT)
        self.request_hook: RequestHook | None = None
        self._populate()

    # Looking

    def advance(self) -> int:
        """Bring the world up to the clock and return the present instant, in milliseconds since the epoch."""
        self.now_ms = max(self.now_ms, self.clock.now_ms())
        self._agenda.run_until(self.now_ms)
        return self.now_ms

    def project(self, id_or_name: str) -> Project:
        """Return a project; an unknown one is a 404."""
        found = self.projects.get(id_or_name) or next(
            (project for project in self.projects.values() if project.name == id_or_name), None
        )
        if found is None:
            raise not_found("Project not found.")
        return found

    def deployment(self, project: Project | str, name_or_id: str) -> Deployment:
        """Return a deployment of *project* by its scenario name or API id; an unknown one is a 404."""
        owner = self.project(project) if isinstance(project, str) else project
        for deployment in self._deployments_of[owner.id].values():
            if name_or_id in (deployment.id, deployment.name):
                return deployment
        raise not_found("Deployment not found", id=name_or_id)

    def deployments_of(self, project: Project) -> list[Deployment]:
        """Return every deployment of *project*, oldest first."""
        return list(self._deployments_of[project.id].values())

    def deployment_at(self, host: str) -> Deployment | None:
        """Return what answers at *host*, a generated URL or a production domain; None when nothing does."""
        for deployment in self.deployments.values():
            if deployment.url == host:
                return deployment
        for project in self.projects.values():
            if host in project.domains:
                return self.deployments.get(project.assigned(self.now_ms).get(host, ""))
        return None

    def traffic_of(self, project: Project) -> Traffic:
        """Return the traffic of *project*, generated up to the present instant."""
        traffic = self._traffic[project.id]
        traffic.catch_up(self.now_ms)
        return traffic

    def domains_of(self, deployment: Deployment) -> list[str]:
        """Return the production domains that point to *deployment* now."""
        assigned = self.projects[deployment.project_id].assigned(self.now_ms)
        return [domain for domain, deployment_id in assigned.items() if deployment_id == deployment.id]

    # Moving production

    def request_rollback(
        self,
        project: Project,
        deployment_id: str,
        *,
        by: str,
        description: str | None = None,
        fault: JobFault | None = None,
    ) -> AliasJob:
        """Accept a rollback or refuse it as Vercel would. Source: Vercel docs, "Performing an Instant Rollback"."""
        target = self.deployment(project, deployment_id)
        if target.id == project.production_id:
            message = f"Deployment {target.id} is already the current production deployment."
            raise ApiError(self.knobs.rollback_to_current, _code(self.knobs.rollback_to_current), message)
        if not target.is_rollback_candidate:
            message = f"Deployment {target.id} cannot be rolled back to: it never served production."
            raise ApiError(self.knobs.rollback_to_unpromoted, _code(self.knobs.rollback_to_unpromoted), message)
        if self.team.plan is Plan.HOBBY and target is not self._previous(project):
            raise payment_required("To roll back further than the previous production deployment, upgrade to pro")
        job = self._accept(project, target, JobKind.ROLLBACK, by, fault)
        project.pinned = True
        project.description = RollbackDescription(description, self.now_ms) if description else None
        return job

    def request_promote(
        self, project: Project, deployment_id: str, *, by: str, fault: JobFault | None = None
    ) -> AliasJob:
        """Accept a promote or refuse it. Source: Vercel docs, "Promoting Deployments"; others saw the 409 live."""
        target = self.deployment(project, deployment_id)
        if target.id == project.production_id:
            raise conflict(f"The provided deploymentId ({target.id}) is already the current production deployment.")
        if not target.is_production or target.ready_state is not ReadyState.READY:
            raise unprocessable(f"Deployment {target.id} is not a production deployment that is ready.")
        if target.substate is ReadySubstate.PROMOTED and self.knobs.promote_older != "accept":
            status = int(self.knobs.promote_older)
            raise ApiError(status, _code(status), "Deployment has already been promoted")
        job = self._accept(project, target, JobKind.PROMOTE, by, fault)
        project.pinned = False
        project.auto_assign = project.auto_assign or self.knobs.promote_sets_auto_assign
        return job

    def reads_auto_assign(self, project: Project) -> bool:
        """Return what ``autoAssignCustomDomains`` reads, which the pin may or may not hide (a knob)."""
        return project.auto_assign and not (project.pinned and self.knobs.pinned_reads_auto_assign_false)

    def set_auto_assign(self, project: Project, wanted: bool) -> None:  # noqa: FBT001 - the value is the whole message
        """Write the setting; where the pin is visible in the field, writing true removes the pin too."""
        project.auto_assign = wanted
        project.updated_at_ms = self.now_ms
        if wanted and self.knobs.pinned_reads_auto_assign_false:
            project.pinned = False

    def _accept(self, project: Project, target: Deployment, kind: JobKind, by: str, fault: JobFault | None) -> AliasJob:
        if project.jobs and project.jobs[-1].is_running:
            raise conflict(f"A {project.jobs[-1].kind} is already in progress")
        times = self.scenario.jobs
        duration_ms = times.duration_ms if fault is None or fault.duration is None else fault.duration
        number = next(self._job_numbers)
        job = AliasJob(
            id="job_" + base62("job", project.id, number, length=16),
            kind=kind,
            project_id=project.id,
            from_id=project.production_id,
            to_id=target.id,
            requested_at_ms=self.now_ms,
            outcome=(fault.outcome if fault else JobOutcome.SUCCEEDED).value,
            by=by,
            aliases=dict.fromkeys(project.domains, AliasStatus.PENDING),
        )
        project.jobs = [*project.jobs[-_JOBS_KEPT + 1 :], job]
        project.updated_at_ms = self.now_ms
        self._agenda.add(self.now_ms + min(times.pending_ms, duration_ms), lambda _: jobs.begin(job))
        self._agenda.add(self.now_ms + duration_ms, lambda at_ms: self._end(job, at_ms))
        return job

    def _end(self, job: AliasJob, at_ms: int) -> None:
        ending = jobs.ending_of(job)
        if ending is None or not job.is_running:
            return
        jobs.finish(job, ending, at_ms)
        project, target = self.projects[job.project_id], self.deployments[job.to_id]
        partly = ending.status is JobStatus.FAILED and bool(ending.moved)
        moves_production = ending.status is JobStatus.SUCCEEDED or (partly and self.knobs.partial_job_moves_production)
        if ending.moved:
            self._point(project, target, ending.moved, at_ms)
        if moves_production:
            self._record_move(project, target, kind=job.kind, by=job.by, at_ms=at_ms, job_id=job.id)

    def finish_stuck_job(self, project: Project, outcome: JobOutcome) -> AliasJob:
        """Let a running job of *project* end now, as *outcome*; without one it is a 404."""
        if not project.jobs or not project.jobs[-1].is_running:
            raise not_found(f"No alias job of {project.name} is running.")
        job = project.jobs[-1]
        job.outcome = outcome.value
        self._end(job, self.now_ms)
        return job

    def _point(self, project: Project, target: Deployment, domains: tuple[str, ...], at_ms: int) -> None:
        self._traffic[project.id].catch_up(at_ms)
        project.assign(at_ms, dict.fromkeys(domains, target.id))
        genesis.activate(target, at_ms)

    def _record_move(
        self, project: Project, target: Deployment, *, kind: JobKind, by: str, at_ms: int, job_id: str | None
    ) -> None:
        move = Move(at_ms, project.name, kind.value, project.production_id, target.id, by, job_id)
        project.production_id = target.id
        project.updated_at_ms = at_ms
        self.ledger.moves.append(move)

    def _previous(self, project: Project) -> Deployment | None:
        """Return the newest promoted deployment that is older than production; None when there is none."""
        current = self.deployments.get(project.production_id or "")
        older = [
            deployment
            for deployment in self._deployments_of[project.id].values()
            if deployment.is_rollback_candidate
            and (current is None or deployment.created_at_ms < current.created_at_ms)
        ]
        return max(older, key=lambda deployment: deployment.created_at_ms, default=None)

    # Things that happen

    def deploy(self, spec: DeploySpec) -> Deployment:
        """Begin a build now; it is ready, and perhaps in production, after its build time."""
        project = self.project(spec.project)
        if any(spec.name == other.name for other in self._deployments_of[project.id].values()):
            raise conflict(f"Project {project.name} has a deployment {spec.name!r} already.")
        return self._deploy(spec, self.now_ms)

    def _deploy(self, spec: DeploySpec, at_ms: int) -> Deployment:
        project = self.project(spec.project)
        deployment = genesis.deployment_of(spec, project, self.team, at_ms)
        self._add(project, deployment)
        self._agenda.add(at_ms + spec.build_ms, lambda ready_ms: self._finish_build(deployment, spec, ready_ms))
        return deployment

    def _finish_build(self, deployment: Deployment, spec: DeploySpec, at_ms: int) -> None:
        deployment.ready_state = ReadyState(spec.ends.value)
        if deployment.ready_state is not ReadyState.READY:
            return
        project = self.projects[deployment.project_id]
        self._traffic[project.id].catch_up(at_ms)
        deployment.ready_at_ms = max(at_ms, deployment.created_at_ms)
        is_live = deployment.is_production and deployment.auto_assign and project.auto_assign and not project.pinned
        if is_live:
            self._point(project, deployment, project.domains, at_ms)
            kind = JobKind.AUTO_ASSIGN
            self._record_move(project, deployment, kind=kind, by=kind.value, at_ms=at_ms, job_id=None)

    def start_outage(self, project: Project, spec: FailureSpec, at_ms: int | None = None) -> None:
        """Let every deployment of *project* fail as *spec* says, from *at_ms* on (None: now)."""
        begins = self.now_ms if at_ms is None else at_ms
        self._traffic[project.id].catch_up(begins)
        project.outages.append(failure_from(spec, begins))

    def end_outage(self, project: Project, at_ms: int | None = None) -> None:
        """End every outage of *project* at *at_ms* (None: now)."""
        ends = self.now_ms if at_ms is None else at_ms
        self._traffic[project.id].catch_up(ends)
        project.outages.clear()

    def set_failures(self, deployment: Deployment, specs: tuple[FailureSpec, ...], at_ms: int | None = None) -> None:
        """Change how *deployment* fails from *at_ms* on (None: now); no specs heal it."""
        changes = self.now_ms if at_ms is None else at_ms
        self._traffic[deployment.project_id].catch_up(changes)
        deployment.failure_specs = specs
        deployment.failures = [failure_from(spec, changes) for spec in specs]

    def _populate(self) -> None:
        for number, spec in enumerate(self.scenario.projects):
            project = genesis.project_of(spec, self.team, number)
            self.projects[project.id] = project
            self._deployments_of[project.id] = {}
            for deployment in genesis.settle_history(project, self.team, self.start_ms):
                self._add(project, deployment)
            project.outages = [
                failure_from(item, self.start_ms if item.after_ms or item.lasts_ms is not None else None)
                for item in spec.traffic.failures
            ]
            self._traffic[project.id] = Traffic(
                project,
                self._deployments_of[project.id],
                seed=self.scenario.seed,
                start_ms=self.start_ms,
                history_ms=self.scenario.history_ms,
                rows_kept=self.scenario.rows_kept,
            )
        for happening in self.scenario.happenings:
            self._schedule(happening)

    def _add(self, project: Project, deployment: Deployment) -> None:
        # Lists are paged by creation time, so no two deployments may share one.
        while deployment.created_at_ms in self._creation_times:
            deployment.created_at_ms += 1
        self._creation_times.add(deployment.created_at_ms)
        self.deployments[deployment.id] = deployment
        self._deployments_of[project.id][deployment.id] = deployment

    def _schedule(self, happening: Happening) -> None:
        self._agenda.add(self.start_ms + happening.at_ms, lambda at_ms: self._happen(happening, at_ms))

    def _happen(self, happening: Happening, at_ms: int) -> None:
        """Let a scenario's *happening* happen; a human's move that is refused simply does not happen."""
        if happening.deploy is not None:
            self._deploy(happening.deploy, at_ms)
        if happening.outage is not None:
            self.start_outage(self.project(happening.outage.project), happening.outage, at_ms)
        if happening.end_outage is not None:
            self.end_outage(self.project(happening.end_outage.project), at_ms)
        if (new := happening.failures) is not None:
            self.set_failures(self.deployment(new.project, new.deployment), new.failures, at_ms)
        if happening.fault is not None:
            self.faults.set(happening.fault)
        if happening.clear_fault is not None:
            self.faults.clear(happening.clear_fault)
        self._happen_by_hand(happening, at_ms)

    def _happen_by_hand(self, happening: Happening, at_ms: int) -> None:
        present, self.now_ms = self.now_ms, at_ms
        try:
            if (move := happening.promote) is not None:
                self.request_promote(self.project(move.project), move.deployment, by=move.by)
            if (move := happening.rollback) is not None:
                self.request_rollback(
                    self.project(move.project), move.deployment, by=move.by, description=move.description
                )
        except ApiError as refusal:
            self.refusals.append((at_ms, str(refusal)))
        finally:
            self.now_ms = present


def _code(status: int) -> str:
    return {409: "conflict", 422: "unprocessable_entity"}[status]
