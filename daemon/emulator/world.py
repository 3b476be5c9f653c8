"""The emulated Vercel: its state machine, brought up to the clock whenever somebody looks."""

import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from daemon.emulator import genesis, jobs
from daemon.emulator.agenda import Agenda
from daemon.emulator.clock import EmulatorClock
from daemon.emulator.errors import ApiError, bad_request, conflict, not_found, unprocessable
from daemon.emulator.events import EventFeed, WorldEvent
from daemon.emulator.fault_specs import JobFault, JobOutcome
from daemon.emulator.faults import Faults
from daemon.emulator.fleet import Fleet
from daemon.emulator.identifiers import base62
from daemon.emulator.knobs import Knobs
from daemon.emulator.lazy import LazyDeployments, LazyProject
from daemon.emulator.ledger import Ledger, LedgerEntry, Move
from daemon.emulator.model import (
    UNFINISHED,
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
    Variable,
    failure_from,
)
from daemon.emulator.retention import has_expired
from daemon.emulator.rolling import Advance, Release, RollingReleases
from daemon.emulator.scenario import DeploySpec, FailureSpec, Happening, Plan, Scenario, VariableChange
from daemon.emulator.traffic import Traffic
from daemon.emulator.uploads import Uploads

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
        self.teams: Mapping[str, Team] = genesis.teams_of(scenario, self.start_ms)
        self.team: Team = next(iter(self.teams.values()))
        self.projects: dict[str, Project] = {}
        self.deployments: dict[str, Deployment] = LazyDeployments()
        self._by_name: dict[str, Project] = {}
        self._by_domain: dict[str, Project] = {}
        self._by_host: dict[str, Deployment] = {}
        self._deployments_of: dict[str, dict[str, Deployment]] = {}
        self._traffic: dict[str, Traffic] = {}
        self._agenda = Agenda()
        self._job_numbers = itertools.count(1)
        self._creation_times: set[int] = set()
        self.refusals: deque[tuple[int, str]] = deque(maxlen=_REFUSALS_KEPT)
        self.uploads = Uploads()
        self.events = EventFeed()
        self.rolling = RollingReleases(self)
        self.request_hook: RequestHook | None = None
        self._newest_first: dict[str, list[Project]] = {}
        self.fleet: Fleet | None = None if scenario.fleet is None else Fleet(scenario.fleet)
        self._populate()

    # Looking

    def advance(self) -> int:
        """Bring the world up to the clock and return the present instant, in milliseconds since the epoch."""
        self.now_ms = max(self.now_ms, self.clock.now_ms())
        self._agenda.run_until(self.now_ms)
        return self.now_ms

    def team_of(self, project: Project) -> Team:
        """Return the team that owns *project*."""
        return self.teams[project.team_id]

    def exists(self, deployment: Deployment) -> bool:
        """Tell whether nobody has deleted *deployment* and its retention is not over."""
        project = self.projects[deployment.project_id]
        siblings = self._siblings(project).values()
        return deployment.deleted_at_ms is None and not has_expired(deployment, project, siblings, self.now_ms)

    def project(self, id_or_name: str) -> Project:
        """Return a project; an unknown one is a 404."""
        found = self.find_project(id_or_name)
        if found is None:
            raise not_found("Project not found.")
        return found

    def find_project(self, id_or_name: str) -> Project | None:
        """Return a project by id or name; None when there is none."""
        return self.projects.get(id_or_name) or self._by_name.get(id_or_name)

    def deployment(self, project: Project | str, name_or_id: str) -> Deployment:
        """Return a deployment of *project* by its scenario name or API id; an unknown one is a 404."""
        owner = self.project(project) if isinstance(project, str) else project
        for deployment in self._siblings(owner).values():
            if name_or_id in (deployment.id, deployment.name):
                if not self.exists(deployment):
                    status = self.knobs.rollback_to_deleted
                    raise ApiError(status, _code(status), "Deployment has been deleted", id=deployment.id)
                return deployment
        raise not_found("Deployment not found", id=name_or_id)

    def deployments_of(self, project: Project) -> list[Deployment]:
        """Return every deployment of *project*, oldest first."""
        return list(self._siblings(project).values())

    def deployment_at(self, host: str) -> Deployment | None:
        """Return what answers at *host*, a generated URL or a production domain; None when nothing does."""
        if self.fleet is not None:
            self.fleet.settle_host(host)
        deployment = self._by_host.get(host)
        if deployment is not None and self.exists(deployment):
            return deployment
        project = self._by_domain.get(host)
        if project is None:
            return None
        return self.deployments.get(project.assigned(self.now_ms).get(host, ""))

    @property
    def fleet_teams(self) -> list[Team]:
        """Return the teams, the default one first."""
        return list(self.teams.values())

    def has_build(self, project: Project, name: str) -> bool:
        """Tell whether *project* has a deployment called *name*."""
        return any(deployment.name == name for deployment in self._siblings(project).values())

    def has_domain(self, host: str) -> bool:
        """Tell whether *host* is a production domain of some project."""
        return host in self._by_domain

    def projects_of(self, team: Team) -> list[Project]:
        """Return the projects of *team*, newest first."""
        if team.id not in self._newest_first:
            mine = [project for project in self.projects.values() if project.team_id == team.id]
            self._newest_first[team.id] = sorted(mine, key=lambda project: -project.created_at_ms)
        return self._newest_first[team.id]

    def traffic_of(self, project: Project) -> Traffic:
        """Return the traffic of *project*, generated up to the present instant."""
        traffic = self._raw_traffic(project)
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
        release = self.rolling.active(project)
        if target.id == project.production_id and release is None:
            message = f"Deployment {target.id} is already the current production deployment."
            raise self._refusal(self.knobs.rollback_to_current, message)
        if not target.is_rollback_candidate:
            message = f"Deployment {target.id} cannot be rolled back to: it never served production."
            raise self._refusal(self.knobs.rollback_to_unpromoted, message)
        if self.team_of(project).plan is Plan.HOBBY and target is not self._previous(project):
            message = "To roll back further than the previous production deployment, upgrade to pro"
            raise ApiError(402, self.knobs.payment_code, message)
        job = self._accept(project, target, JobKind.ROLLBACK, by, fault)
        project.pinned = True
        project.description = RollbackDescription(description, self.now_ms) if description else None
        job.rolling_release_id = None if release is None else release.id
        self.events.publish(WorldEvent("deployment.rollback", self.now_ms, project, target, {"from": job.from_id}))
        return job

    def request_promote(
        self, project: Project, deployment_id: str, *, by: str, fault: JobFault | None = None
    ) -> AliasJob | Release:
        """Accept a promote or refuse it. Source: Vercel docs, "Promoting Deployments"; others saw the 409 live.

        Where rolling releases are on, a promote begins one, or waits in the queue of the active one: then it is
        returned in place of a job.
        """
        target = self.deployment(project, deployment_id)
        if target.id == project.production_id:
            raise conflict(f"The provided deploymentId ({target.id}) is already the current production deployment.")
        if not target.is_production or target.ready_state is not ReadyState.READY:
            raise unprocessable(f"Deployment {target.id} is not a production deployment that is ready.")
        if target.substate is ReadySubstate.PROMOTED and self.knobs.promote_older != "accept":
            raise self._refusal(int(self.knobs.promote_older), "Deployment has already been promoted")
        if (release := self.rolling.active(project)) is not None:
            self.rolling.queue(project, target)
            return release
        if self.rolling.config(project) is not None and project.production_id is not None:
            self._refuse_beside_a_job(project)
            project.auto_assign = project.auto_assign or self.knobs.promote_sets_auto_assign
            return self.rolling.start(project, target, by=by)
        job = self._accept(project, target, JobKind.PROMOTE, by, fault)
        project.pinned = False
        project.auto_assign = project.auto_assign or self.knobs.promote_sets_auto_assign
        return job

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

    def set_auto_assign(self, project: Project, wanted: bool) -> None:  # noqa: FBT001 - the value is the whole message
        """Write the setting; where the pin is visible in the field, writing true removes the pin too."""
        project.auto_assign = wanted
        project.updated_at_ms = self.now_ms
        if wanted and self.knobs.pinned_reads_auto_assign_false:
            project.pinned = False

    def _refusal(self, status: int, message: str) -> ApiError:
        code = _code(status) if self.knobs.refusal_codes == "specific" else "bad_request"
        return ApiError(status, code, message)

    @staticmethod
    def _refuse_beside_a_job(project: Project) -> None:
        if project.jobs and project.jobs[-1].is_running:
            raise conflict(f"A {project.jobs[-1].kind} is already in progress")

    def _accept(self, project: Project, target: Deployment, kind: JobKind, by: str, fault: JobFault | None) -> AliasJob:
        self._refuse_beside_a_job(project)
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
            self.rolling.abort(project, at_ms)

    def schedule(self, at_ms: int, effect: Callable[[int], None]) -> None:
        """Let *effect* happen at *at_ms*, in milliseconds since the epoch."""
        self._agenda.add(at_ms, effect)

    def take_over(self, project: Project, target: Deployment, *, kind: JobKind, by: str, at_ms: int) -> None:
        """Point every production domain of *project* to *target* at *at_ms*, with no job."""
        self._point(project, target, project.domains, at_ms)
        self._record_move(project, target, kind=kind, by=by, at_ms=at_ms, job_id=None)

    def roll_back_for_gate(self, project: Project, deployment_id: str, at_ms: int) -> None:
        """Let the gate of a rolling release roll back at *at_ms*; beside a running job it does nothing."""
        present, self.now_ms = self.now_ms, at_ms
        try:
            self.request_rollback(project, deployment_id, by="rolling-release-gate")
        except ApiError as refusal:
            self.refusals.append((at_ms, str(refusal)))
        finally:
            self.now_ms = present

    def release_moved(self, project: Project, release: Release, how: Advance, at_ms: int) -> None:
        """Tell the listeners that a rolling release of *project* has moved on."""
        kind = f"project.rolling-release.{how.value}"
        canary = self.deployments.get(release.canary_id)
        self.events.publish(WorldEvent(kind, at_ms, project, canary, {"release": release}))

    def finish_stuck_job(self, project: Project, outcome: JobOutcome) -> AliasJob:
        """Let a running job of *project* end now, as *outcome*; without one it is a 404."""
        if not project.jobs or not project.jobs[-1].is_running:
            raise not_found(f"No alias job of {project.name} is running.")
        job = project.jobs[-1]
        job.outcome = outcome.value
        self._end(job, self.now_ms)
        return job

    def _point(self, project: Project, target: Deployment, domains: tuple[str, ...], at_ms: int) -> None:
        self._catch_up_before_a_move(project, at_ms)
        project.assign(at_ms, dict.fromkeys(domains, target.id))
        genesis.activate(target, at_ms)

    def _record_move(
        self, project: Project, target: Deployment, *, kind: JobKind, by: str, at_ms: int, job_id: str | None
    ) -> None:
        move = Move(at_ms, project.name, kind.value, project.production_id, target.id, by, job_id)
        project.production_id = target.id
        project.updated_at_ms = at_ms
        self.ledger.moves.append(move)
        if kind is not JobKind.ROLLBACK:
            self.events.publish(WorldEvent("deployment.promoted", at_ms, project, target))

    def _previous(self, project: Project) -> Deployment | None:
        """Return the newest promoted deployment that is older than production; None when there is none."""
        current = self.deployments.get(project.production_id or "")
        older = [
            deployment
            for deployment in self._siblings(project).values()
            if deployment.is_rollback_candidate
            and self.exists(deployment)
            and (current is None or deployment.created_at_ms < current.created_at_ms)
        ]
        return max(older, key=lambda deployment: deployment.created_at_ms, default=None)

    # Things that happen

    def deploy(self, spec: DeploySpec) -> Deployment:
        """Begin a build now; it is ready, and perhaps in production, after its build time."""
        project = self.project(spec.project)
        if self.has_build(project, spec.name):
            raise conflict(f"Project {project.name} has a deployment {spec.name!r} already.")
        return self.begin_build(spec, self.now_ms)

    def begin_build(self, spec: DeploySpec, at_ms: int) -> Deployment:
        """Begin a build at *at_ms*, which the caller knows to have a name of its own."""
        project = self.project(spec.project)
        deployment = genesis.deployment_of(spec, project, self.team_of(project), at_ms)
        self._add(project, deployment)
        begins_ms = at_ms + spec.queue_ms
        self._agenda.add(begins_ms, lambda begun_ms: _begin_build(deployment, begun_ms))
        self._agenda.add(begins_ms + spec.build_ms, lambda end_ms: self._finish_build(deployment, spec, end_ms))
        self.events.publish(WorldEvent("deployment.created", at_ms, project, deployment))
        return deployment

    def cancel(self, deployment: Deployment) -> None:
        """Stop the build of *deployment*; one that is over is a 400. Source: Vercel OpenAPI, cancelDeployment."""
        if deployment.ready_state not in UNFINISHED:
            raise bad_request(f"Deployment {deployment.id} cannot be canceled: it is {deployment.ready_state}.")
        deployment.ready_state = ReadyState.CANCELED
        deployment.ended_at_ms = self.now_ms
        self._tell_end_of_build(deployment, self.now_ms)

    def delete(self, deployment: Deployment) -> None:
        """Delete *deployment*; the domains that point to it answer nothing from then on."""
        project = self.projects[deployment.project_id]
        if self.domains_of(deployment):
            self._catch_up_before_a_move(project, self.now_ms)
            project.unassign(self.now_ms, deployment.id)
        if project.production_id == deployment.id:
            project.production_id = None
        if deployment.ready_state in UNFINISHED:
            self.cancel(deployment)
        deployment.deleted_at_ms = self.now_ms

    def write_variable(self, change: VariableChange, at_ms: int | None = None) -> Variable:
        """Let somebody write an environment variable at *at_ms* (None: now)."""
        project, written_ms = self.project(change.project), self.now_ms if at_ms is None else at_ms
        variable = genesis.variable_after(change, project, written_ms)
        project.variables = {**project.variables, variable.key: variable}
        return variable

    def _finish_build(self, deployment: Deployment, spec: DeploySpec, at_ms: int) -> None:
        if deployment.ready_state not in UNFINISHED:
            return
        deployment.ended_at_ms = at_ms
        deployment.ready_state = ReadyState(spec.ends.value)
        if deployment.ready_state is not ReadyState.READY:
            self._tell_end_of_build(deployment, at_ms)
            return
        project = self.projects[deployment.project_id]
        self._catch_up_before_a_move(project, at_ms)
        deployment.ready_at_ms = max(at_ms, deployment.created_at_ms)
        self._tell_end_of_build(deployment, at_ms)
        is_live = deployment.is_production and deployment.auto_assign and project.auto_assign and not project.pinned
        if is_live and self.rolling.config(project) is not None and project.production_id is not None:
            self._release(project, deployment, at_ms)
        elif is_live:
            kind = JobKind.AUTO_ASSIGN
            self.take_over(project, deployment, kind=kind, by=kind.value, at_ms=at_ms)

    def _release(self, project: Project, deployment: Deployment, at_ms: int) -> None:
        """Let a new build begin a rolling release, or wait for the end of the active one."""
        if self.rolling.active(project) is not None:
            self.rolling.queue(project, deployment)
        else:
            self.rolling.start(project, deployment, by=JobKind.AUTO_ASSIGN.value, at_ms=at_ms)

    def _tell_end_of_build(self, deployment: Deployment, at_ms: int) -> None:
        project = self.projects[deployment.project_id]
        kinds = {ReadyState.READY: ("ready", "succeeded"), ReadyState.ERROR: ("error",)}
        for kind in kinds.get(deployment.ready_state, ("canceled",)):
            self.events.publish(WorldEvent(f"deployment.{kind}", at_ms, project, deployment))

    def start_outage(self, project: Project, spec: FailureSpec, at_ms: int | None = None) -> None:
        """Let every deployment of *project* fail as *spec* says, from *at_ms* on (None: now)."""
        begins = self.now_ms if at_ms is None else at_ms
        self._raw_traffic(project).catch_up(begins)
        project.outages.append(failure_from(spec, begins))

    def end_outage(self, project: Project, at_ms: int | None = None) -> None:
        """End every outage of *project* at *at_ms* (None: now)."""
        ends = self.now_ms if at_ms is None else at_ms
        self._raw_traffic(project).catch_up(ends)
        project.outages.clear()

    def set_failures(self, deployment: Deployment, specs: tuple[FailureSpec, ...], at_ms: int | None = None) -> None:
        """Change how *deployment* fails from *at_ms* on (None: now); no specs heal it."""
        changes = self.now_ms if at_ms is None else at_ms
        self._raw_traffic(self.projects[deployment.project_id]).catch_up(changes)
        deployment.failure_specs = specs
        deployment.failures = [failure_from(spec, changes) for spec in specs]

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
            self._schedule(happening)

    def register(self, project: Project) -> None:
        """Let *project* be found by id, name and domain."""
        self.projects[project.id] = project
        self._by_name.setdefault(project.name, project)
        self._by_domain.update(dict.fromkeys(project.domains, project))
        self._newest_first.clear()

    def adopt(self, project: Project, deployments: list[Deployment]) -> None:
        """Let a registered *project* have had *deployments*, oldest first, and visitors."""
        self._deployments_of[project.id] = {}
        for deployment in deployments:
            self._add(project, deployment)
        self._traffic[project.id] = Traffic(
            project,
            self._deployments_of[project.id],
            seed=self.scenario.seed,
            start_ms=self.start_ms,
            history_ms=self.scenario.history_ms,
            rows_kept=self.scenario.rows_kept,
        )

    def _siblings(self, project: Project) -> dict[str, Deployment]:
        project.settle()
        return self._deployments_of[project.id]

    def _catch_up_before_a_move(self, project: Project, at_ms: int) -> None:
        # Moves are kept with their instants, so a project of a fleet, which nobody may ever look at, needs no traffic.
        if not isinstance(project, LazyProject):
            self._raw_traffic(project).catch_up(at_ms)

    def _raw_traffic(self, project: Project) -> Traffic:
        """Return the traffic of *project* as far as it has been generated."""
        project.settle()
        return self._traffic[project.id]

    def _add(self, project: Project, deployment: Deployment) -> None:
        # Lists are paged by creation time, so no two deployments may share one.
        while deployment.created_at_ms in self._creation_times:
            deployment.created_at_ms += 1
        self._creation_times.add(deployment.created_at_ms)
        self.deployments[deployment.id] = deployment
        self._by_host[deployment.url] = deployment
        self._deployments_of[project.id][deployment.id] = deployment

    def _schedule(self, happening: Happening) -> None:
        self._agenda.add(self.start_ms + happening.at_ms, lambda at_ms: self._happen(happening, at_ms))

    def _happen(self, happening: Happening, at_ms: int) -> None:
        """Let a scenario's *happening* happen; a human's move that is refused simply does not happen."""
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


def _begin_build(deployment: Deployment, at_ms: int) -> None:
    if deployment.ready_state is ReadyState.QUEUED:
        deployment.ready_state = ReadyState.BUILDING
        deployment.building_at_ms = at_ms


def _code(status: int) -> str:
    return {404: "not_found", 409: "conflict", 410: "gone", 422: "unprocessable_entity"}[status]
