"""What there is in the emulated world and how it is found: teams, projects, deployments, visitors; no rules."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from daemon.emulator import genesis
from daemon.emulator.agenda import Agenda
from daemon.emulator.clock import EmulatorClock
from daemon.emulator.errors import ApiError, not_found, refusal
from daemon.emulator.events import EventFeed
from daemon.emulator.faults import Faults
from daemon.emulator.fleet import Fleet
from daemon.emulator.knobs import Knobs
from daemon.emulator.lazy import LazyDeployments, LazyProject
from daemon.emulator.ledger import Ledger
from daemon.emulator.model import Deployment, Project, Team
from daemon.emulator.retention import has_expired
from daemon.emulator.scenario import Scenario
from daemon.emulator.traffic import Traffic
from daemon.emulator.uploads import Uploads

_REFUSALS_KEPT = 100


class State:
    """The facts of a world at ``now_ms``. Nothing changes by itself but what is due on the agenda."""

    def __init__(self, scenario: Scenario, clock: EmulatorClock, faults: Faults) -> None:
        """Begin at the present instant of *clock* with the account of *scenario*, and without projects."""
        self.scenario = scenario
        self.clock = clock
        self.start_ms = clock.now_ms()
        self.now_ms = self.start_ms
        self.knobs: Knobs = scenario.knobs
        self.faults = faults
        self.ledger = Ledger()
        self.user = genesis.user_of(scenario)
        self.tokens = genesis.tokens_of(scenario)
        self.teams: Mapping[str, Team] = genesis.teams_of(scenario, self.start_ms)
        self.team: Team = next(iter(self.teams.values()))
        self.projects: dict[str, Project] = {}
        self.deployments: dict[str, Deployment] = LazyDeployments()
        self.fleet: Fleet | None = None if scenario.fleet is None else Fleet(scenario.fleet)
        self.uploads = Uploads()
        self.events = EventFeed()
        self.refusals: deque[tuple[int, str]] = deque(maxlen=_REFUSALS_KEPT)
        self._by_name: dict[str, Project] = {}
        self._by_domain: dict[str, Project] = {}
        self._by_host: dict[str, Deployment] = {}
        self._newest_first: dict[str, list[Project]] = {}
        self._deployments_of: dict[str, dict[str, Deployment]] = {}
        self._creation_times: set[int] = set()
        self._traffic: dict[str, Traffic] = {}
        self._agenda = Agenda()

    # Time

    def advance(self) -> int:
        """Bring the world up to the clock and return the present instant, in milliseconds since the epoch."""
        self.now_ms = max(self.now_ms, self.clock.now_ms())
        self._agenda.run_until(self.now_ms)
        return self.now_ms

    def schedule(self, at_ms: int, effect: Callable[[int], None]) -> None:
        """Let *effect* happen at *at_ms*, in milliseconds since the epoch."""
        self._agenda.add(at_ms, effect)

    @contextlib.contextmanager
    def attempt_at(self, at_ms: int) -> Iterator[None]:
        """Let what stands within be asked for at *at_ms*; if it is refused it does not happen, and is kept."""
        present, self.now_ms = self.now_ms, at_ms
        try:
            yield
        except ApiError as refused:
            self.refusals.append((at_ms, str(refused)))
        finally:
            self.now_ms = present

    # Teams and projects

    @property
    def fleet_teams(self) -> list[Team]:
        """Return the teams, the default one first."""
        return list(self.teams.values())

    def team_of(self, project: Project) -> Team:
        """Return the team that owns *project*."""
        return self.teams[project.team_id]

    def project(self, id_or_name: str) -> Project:
        """Return a project; an unknown one is a 404."""
        found = self.find_project(id_or_name)
        if found is None:
            raise not_found("Project not found.")
        return found

    def find_project(self, id_or_name: str) -> Project | None:
        """Return a project by id or name; None when there is none."""
        return self.projects.get(id_or_name) or self._by_name.get(id_or_name)

    def projects_of(self, team: Team) -> list[Project]:
        """Return the projects of *team*, newest first."""
        if team.id not in self._newest_first:
            mine = [project for project in self.projects.values() if project.team_id == team.id]
            self._newest_first[team.id] = sorted(mine, key=lambda project: -project.created_at_ms)
        return self._newest_first[team.id]

    def has_domain(self, host: str) -> bool:
        """Tell whether *host* is a production domain of some project."""
        return host in self._by_domain

    def register(self, project: Project) -> None:
        """Let *project* be found by id, name and domain."""
        self.projects[project.id] = project
        self._by_name.setdefault(project.name, project)
        self._by_domain.update(dict.fromkeys(project.domains, project))
        self._newest_first.clear()

    # Deployments

    def deployment(self, project: Project | str, name_or_id: str) -> Deployment:
        """Return a deployment of *project* by its scenario name or API id; an unknown or deleted one is refused."""
        owner = self.project(project) if isinstance(project, str) else project
        for deployment in self.siblings(owner).values():
            if name_or_id in (deployment.id, deployment.name):
                if not self.exists(deployment):
                    raise refusal(self.knobs.rollback_to_deleted, "Deployment has been deleted", id=deployment.id)
                return deployment
        raise not_found("Deployment not found", id=name_or_id)

    def deployments_of(self, project: Project) -> list[Deployment]:
        """Return every deployment of *project*, deleted ones too, oldest first."""
        return list(self.siblings(project).values())

    def siblings(self, project: Project) -> Mapping[str, Deployment]:
        """Return every deployment of *project* by its id, deleted ones too, oldest first."""
        project.settle()
        return self._deployments_of[project.id]

    def has_build(self, project: Project, name: str) -> bool:
        """Tell whether *project* has a deployment called *name*."""
        return any(deployment.name == name for deployment in self.siblings(project).values())

    def exists(self, deployment: Deployment) -> bool:
        """Tell whether nobody has deleted *deployment* and its retention is not over."""
        project = self.projects[deployment.project_id]
        siblings = self.siblings(project).values()
        return deployment.deleted_at_ms is None and not has_expired(deployment, project, siblings, self.now_ms)

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

    def domains_of(self, deployment: Deployment) -> list[str]:
        """Return the production domains that point to *deployment* now."""
        assigned = self.projects[deployment.project_id].assigned(self.now_ms)
        return [domain for domain, deployment_id in assigned.items() if deployment_id == deployment.id]

    def adopt(self, project: Project, deployments: list[Deployment]) -> None:
        """Let a registered *project* have had *deployments*, oldest first, and visitors."""
        self._deployments_of[project.id] = {}
        for deployment in deployments:
            self.add(project, deployment)
        self._traffic[project.id] = Traffic(
            project,
            self._deployments_of[project.id],
            seed=self.scenario.seed,
            start_ms=self.start_ms,
            history_ms=self.scenario.history_ms,
            rows_kept=self.scenario.rows_kept,
        )

    def add(self, project: Project, deployment: Deployment) -> None:
        """Let *deployment* be found as one of *project*."""
        # Lists are paged by creation time, so no two deployments may share one.
        while deployment.created_at_ms in self._creation_times:
            deployment.created_at_ms += 1
        self._creation_times.add(deployment.created_at_ms)
        self.deployments[deployment.id] = deployment
        self._by_host[deployment.url] = deployment
        self._deployments_of[project.id][deployment.id] = deployment

    # Visitors

    def traffic_of(self, project: Project) -> Traffic:
        """Return the traffic of *project*, generated up to the present instant."""
        return self.traffic_until(project, self.now_ms)

    def traffic_until(self, project: Project, at_ms: int) -> Traffic:
        """Return the traffic of *project*, generated at least up to *at_ms* as things are now."""
        project.settle()
        traffic = self._traffic[project.id]
        traffic.catch_up(at_ms)
        return traffic

    @property
    def metrics_lag_ms(self) -> int:
        """Return how old the newest visible counts are: by a knob, else by the scenario."""
        knob = self.knobs.metrics_lag_seconds
        return self.scenario.lag.metrics_ms if knob is None else round(knob * 1000)

    def catch_up_before_a_move(self, project: Project, at_ms: int) -> None:
        """Generate the visitors of *project* up to *at_ms* as long as they still get what served until then."""
        # Moves are kept with their instants, so a project of a fleet, which nobody may ever look at, needs no traffic.
        if not isinstance(project, LazyProject):
            self.traffic_until(project, at_ms)
