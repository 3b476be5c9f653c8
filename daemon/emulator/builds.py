"""The life of a deployment: queued, built, perhaps taken into production, canceled or deleted."""

from daemon.emulator import genesis
from daemon.emulator.errors import bad_request, conflict
from daemon.emulator.events import WorldEvent
from daemon.emulator.model import UNFINISHED, Deployment, Project, ReadyState
from daemon.emulator.moves import Moves
from daemon.emulator.scenario import DeploySpec
from daemon.emulator.state import State

_TOLD_AT_THE_END = {
    ReadyState.READY: ("deployment.ready", "deployment.succeeded"),
    ReadyState.ERROR: ("deployment.error",),
    ReadyState.CANCELED: ("deployment.canceled",),
}


class Builds:
    """Builds the deployments of a world; what is ready goes live unless something forbids it."""

    def __init__(self, state: State, moves: Moves) -> None:
        """Begin with no build."""
        self._state = state
        self._moves = moves

    def deploy(self, spec: DeploySpec) -> Deployment:
        """Begin a build now; it is ready, and perhaps in production, after its build time."""
        project = self._state.project(spec.project)
        if self._state.has_build(project, spec.name):
            raise conflict(f"Project {project.name} has a deployment {spec.name!r} already.")
        return self.begin(spec, self._state.now_ms)

    def begin(self, spec: DeploySpec, at_ms: int) -> Deployment:
        """Begin a build at *at_ms*, which the caller knows to have a name of its own."""
        project = self._state.project(spec.project)
        deployment = genesis.deployment_of(spec, project, self._state.team_of(project), at_ms)
        self._state.add(project, deployment)
        begins_ms = at_ms + spec.queue_ms
        self._state.schedule(begins_ms, lambda begun_ms: _leave_the_queue(deployment, begun_ms))
        self._state.schedule(begins_ms + spec.build_ms, lambda end_ms: self._finish(deployment, spec, end_ms))
        self._state.events.publish(WorldEvent("deployment.created", at_ms, project, deployment))
        return deployment

    def cancel(self, deployment: Deployment) -> None:
        """Stop the build of *deployment*; one that is over is a 400. Source: Vercel OpenAPI, cancelDeployment."""
        if deployment.ready_state not in UNFINISHED:
            raise bad_request(f"Deployment {deployment.id} cannot be canceled: it is {deployment.ready_state}.")
        self._end(deployment, ReadyState.CANCELED, self._state.now_ms)

    def delete(self, deployment: Deployment) -> None:
        """Delete *deployment*; the domains that point to it answer nothing from then on."""
        project, now_ms = self._state.projects[deployment.project_id], self._state.now_ms
        if self._state.domains_of(deployment):
            self._state.catch_up_before_a_move(project, now_ms)
            project.unassign(now_ms, deployment.id)
        if project.production_id == deployment.id:
            project.production_id = None
        if deployment.ready_state in UNFINISHED:
            self.cancel(deployment)
        deployment.deleted_at_ms = now_ms

    def _finish(self, deployment: Deployment, spec: DeploySpec, at_ms: int) -> None:
        if deployment.ready_state not in UNFINISHED:
            return
        state = ReadyState(spec.ends.value)
        if state is not ReadyState.READY:
            self._end(deployment, state, at_ms)
            return
        project = self._state.projects[deployment.project_id]
        self._state.catch_up_before_a_move(project, at_ms)
        deployment.ready_at_ms = max(at_ms, deployment.created_at_ms)
        self._end(deployment, state, at_ms)
        if _takes_production(deployment, project):
            self._moves.go_live(project, deployment, at_ms)

    def _end(self, deployment: Deployment, state: ReadyState, at_ms: int) -> None:
        """Let the build be over, however it ended, and tell whoever listens."""
        deployment.ready_state, deployment.ended_at_ms = state, at_ms
        project = self._state.projects[deployment.project_id]
        for kind in _TOLD_AT_THE_END[state]:
            self._state.events.publish(WorldEvent(kind, at_ms, project, deployment))


def _leave_the_queue(deployment: Deployment, at_ms: int) -> None:
    if deployment.ready_state is ReadyState.QUEUED:
        deployment.ready_state = ReadyState.BUILDING
        deployment.building_at_ms = at_ms


def _takes_production(deployment: Deployment, project: Project) -> bool:
    wants_it = deployment.is_production and deployment.auto_assign
    return wants_it and project.auto_assign and not project.pinned
