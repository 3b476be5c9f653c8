"""The moves of production: which are accepted, which refused, and when the domains follow.

Invariant: a project has at most one alias job that is running.
"""

import itertools

from daemon.emulator import genesis, jobs
from daemon.emulator.errors import ApiError, conflict, not_found, refusal, unprocessable
from daemon.emulator.events import WorldEvent
from daemon.emulator.fault_specs import JobFault, JobOutcome
from daemon.emulator.identifiers import base62
from daemon.emulator.ledger import Move
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
)
from daemon.emulator.rolling import Release, RollingReleases
from daemon.emulator.scenario import Plan
from daemon.emulator.state import State

_JOBS_KEPT = 100


class Moves:
    """Moves production of the projects of a world: by alias jobs, by rolling releases, by a build that is ready."""

    def __init__(self, state: State) -> None:
        """Begin with no job."""
        self._state = state
        self.rolling = RollingReleases(state, self)
        self._job_numbers = itertools.count(1)

    # What is asked for

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
        target = self._state.deployment(project, deployment_id)
        release = self.rolling.active(project)
        if target.id == project.production_id and release is None:
            message = f"Deployment {target.id} is already the current production deployment."
            raise self._refusal(self._state.knobs.rollback_to_current, message)
        if not target.is_rollback_candidate:
            message = f"Deployment {target.id} cannot be rolled back to: it never served production."
            raise self._refusal(self._state.knobs.rollback_to_unpromoted, message)
        if self._state.team_of(project).plan is Plan.HOBBY and target is not self._previous(project):
            message = "To roll back further than the previous production deployment, upgrade to pro"
            raise ApiError(402, self._state.knobs.payment_code, message)
        job = self._accept(project, target, JobKind.ROLLBACK, by, fault)
        now_ms = self._state.now_ms
        project.pinned = True
        project.description = RollbackDescription(description, now_ms) if description else None
        job.rolling_release_id = None if release is None else release.id
        self._state.events.publish(WorldEvent("deployment.rollback", now_ms, project, target, {"from": job.from_id}))
        return job

    def request_promote(
        self, project: Project, deployment_id: str, *, by: str, fault: JobFault | None = None
    ) -> AliasJob | Release:
        """Accept a promote or refuse it. Source: Vercel docs, "Promoting Deployments"; others saw the 409 live.

        Where rolling releases are on, a promote begins one, or waits in the queue of the active one: then it is
        returned in place of a job.
        """
        target = self._state.deployment(project, deployment_id)
        if target.id == project.production_id:
            raise conflict(f"The provided deploymentId ({target.id}) is already the current production deployment.")
        if not target.is_production or target.ready_state is not ReadyState.READY:
            raise unprocessable(f"Deployment {target.id} is not a production deployment that is ready.")
        knobs = self._state.knobs
        if target.substate is ReadySubstate.PROMOTED and knobs.promote_older != "accept":
            raise self._refusal(int(knobs.promote_older), "Deployment has already been promoted")
        if (release := self.rolling.active(project)) is not None:
            self.rolling.queue(project, target)
            return release
        if self.rolling.applies_to(project):
            _refuse_beside_a_job(project)
            project.auto_assign = project.auto_assign or knobs.promote_sets_auto_assign
            return self.rolling.start(project, target, by=by)
        job = self._accept(project, target, JobKind.PROMOTE, by, fault)
        project.pinned = False
        project.auto_assign = project.auto_assign or knobs.promote_sets_auto_assign
        return job

    def roll_back_for_gate(self, project: Project, deployment_id: str, at_ms: int) -> None:
        """Let the gate of a rolling release roll back at *at_ms*; beside a running job it does nothing."""
        with self._state.attempt_at(at_ms):
            self.request_rollback(project, deployment_id, by="rolling-release-gate")

    def finish_stuck_job(self, project: Project, outcome: JobOutcome) -> AliasJob:
        """Let a running job of *project* end now, as *outcome*; without one it is a 404."""
        if not project.jobs or not project.jobs[-1].is_running:
            raise not_found(f"No alias job of {project.name} is running.")
        job = project.jobs[-1]
        job.outcome = outcome.value
        self._end(job, self._state.now_ms)
        return job

    def set_auto_assign(self, project: Project, wanted: bool) -> None:  # noqa: FBT001 - the value is the whole message
        """Write the setting; where the pin is visible in the field, writing true removes the pin too."""
        project.auto_assign = wanted
        project.updated_at_ms = self._state.now_ms
        if wanted and self._state.knobs.pinned_reads_auto_assign_false:
            project.pinned = False

    # What comes of it

    def go_live(self, project: Project, deployment: Deployment, at_ms: int) -> None:
        """Let a build that is ready at *at_ms* have production: at once, or by a rolling release, now or queued."""
        by = JobKind.AUTO_ASSIGN.value
        if not self.rolling.applies_to(project):
            self.take_over(project, deployment, kind=JobKind.AUTO_ASSIGN, by=by, at_ms=at_ms)
        elif self.rolling.active(project) is not None:
            self.rolling.queue(project, deployment)
        else:
            self.rolling.start(project, deployment, by=by, at_ms=at_ms)

    def take_over(self, project: Project, target: Deployment, *, kind: JobKind, by: str, at_ms: int) -> None:
        """Point every production domain of *project* to *target* at *at_ms*, with no job."""
        self._point(project, target, project.domains, at_ms)
        self._record(project, target, kind=kind, by=by, at_ms=at_ms, job_id=None)

    def _refusal(self, status: int, message: str) -> ApiError:
        code = None if self._state.knobs.refusal_codes == "specific" else "bad_request"
        return refusal(status, message, code=code)

    def _accept(self, project: Project, target: Deployment, kind: JobKind, by: str, fault: JobFault | None) -> AliasJob:
        _refuse_beside_a_job(project)
        now_ms, times = self._state.now_ms, self._state.scenario.jobs
        duration_ms = times.duration_ms if fault is None or fault.duration is None else fault.duration
        job = AliasJob(
            id="job_" + base62("job", project.id, next(self._job_numbers), length=16),
            kind=kind,
            project_id=project.id,
            from_id=project.production_id,
            to_id=target.id,
            requested_at_ms=now_ms,
            outcome=(fault.outcome if fault else JobOutcome.SUCCEEDED).value,
            by=by,
            aliases=dict.fromkeys(project.domains, AliasStatus.PENDING),
        )
        project.jobs = [*project.jobs[-_JOBS_KEPT + 1 :], job]
        project.updated_at_ms = now_ms
        self._state.schedule(now_ms + min(times.pending_ms, duration_ms), lambda _: jobs.begin(job))
        self._state.schedule(now_ms + duration_ms, lambda at_ms: self._end(job, at_ms))
        return job

    def _end(self, job: AliasJob, at_ms: int) -> None:
        ending = jobs.ending_of(job)
        if ending is None or not job.is_running:
            return
        jobs.finish(job, ending, at_ms)
        project, target = self._state.projects[job.project_id], self._state.deployments[job.to_id]
        is_partial = ending.status is JobStatus.FAILED and bool(ending.moved)
        moves_production = is_partial and self._state.knobs.partial_job_moves_production
        if ending.moved:
            self._point(project, target, ending.moved, at_ms)
        if ending.status is JobStatus.SUCCEEDED or moves_production:
            self._record(project, target, kind=job.kind, by=job.by, at_ms=at_ms, job_id=job.id)
            self.rolling.abort(project, at_ms)

    def _point(self, project: Project, target: Deployment, domains: tuple[str, ...], at_ms: int) -> None:
        self._state.catch_up_before_a_move(project, at_ms)
        project.assign(at_ms, dict.fromkeys(domains, target.id))
        genesis.activate(target, at_ms)

    def _record(
        self, project: Project, target: Deployment, *, kind: JobKind, by: str, at_ms: int, job_id: str | None
    ) -> None:
        move = Move(at_ms, project.name, kind.value, project.production_id, target.id, by, job_id)
        project.production_id = target.id
        project.updated_at_ms = at_ms
        self._state.ledger.moves.append(move)
        if kind is not JobKind.ROLLBACK:
            self._state.events.publish(WorldEvent("deployment.promoted", at_ms, project, target))

    def _previous(self, project: Project) -> Deployment | None:
        """Return the newest promoted deployment that is older than production; None when there is none."""
        current = self._state.deployments.get(project.production_id or "")
        older = [
            deployment
            for deployment in self._state.siblings(project).values()
            if deployment.is_rollback_candidate
            and self._state.exists(deployment)
            and (current is None or deployment.created_at_ms < current.created_at_ms)
        ]
        return max(older, key=lambda deployment: deployment.created_at_ms, default=None)


def _refuse_beside_a_job(project: Project) -> None:
    if project.jobs and project.jobs[-1].is_running:
        raise conflict(f"A {project.jobs[-1].kind} is already in progress")
