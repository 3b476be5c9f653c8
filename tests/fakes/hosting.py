"""A Vercel of one project in plain memory: what serves, the newest alias job, and every rollback that was asked for."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from daemon.core.facts import AliasJob, AliasJobStatus, AliasJobType, Deployment, DeploymentId, Production, ProjectId
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError
from tests.builders import BAD, GOOD, OLD


@dataclass(frozen=True, slots=True)
class Answer:
    """How one rollback request is answered. `error` None: accepted. `is_applied`: whether production will move."""

    error: PortError | None = None
    is_applied: bool = True


@dataclass(slots=True)
class FakeHosting:
    """Reads and the one verb. A rollback that is applied moves production `move_seconds` later, by *clock*.

    `read_troubles` and `list_troubles` are raised by the next calls, one each, None for none; `answers` answer the next
    rollbacks, the first first; without any they are accepted. `before_read` and `before_answer` run while a request is
    under way, so that a test can do something meanwhile.
    """

    clock: Clock
    serving: Deployment | None = GOOD
    targets: Sequence[Deployment] = (BAD, GOOD, OLD)
    move_seconds: float = 3.0
    alias_job: AliasJob | None = None
    read_troubles: deque[PortError | None] = field(default_factory=deque)
    sweep_trouble: PortError | None = None
    page_projects: int = 1000
    page_seconds: float = 0.0
    list_troubles: deque[PortError | None] = field(default_factory=deque)
    answers: deque[Answer] = field(default_factory=deque)
    before_read: Callable[[], Awaitable[None]] | None = None
    before_answer: Callable[[], Awaitable[None]] | None = None
    reads: int = 0
    sweeps: int = 0
    reading: int = 0
    reading_most: int = 0
    sent: list[DeploymentId] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    applied: list[DeploymentId] = field(default_factory=list)
    history: list[tuple[datetime, Deployment | None]] = field(default_factory=list)
    _moves: list[tuple[float, DeploymentId]] = field(default_factory=list)

    async def read_production(self, project: ProjectId) -> Production:
        """Return what serves now; the answer is as old as the beginning of the read."""
        self.reads += 1
        self.reading += 1
        self.reading_most = max(self.reading_most, self.reading)
        try:
            answer = self._production()
            if self.before_read:
                await self.before_read()
            _raise_next(self.read_troubles)
            return answer
        finally:
            self.reading -= 1

    async def read_productions(
        self, projects: Sequence[ProjectId]
    ) -> AsyncIterator[Mapping[ProjectId, Production | PortError]]:
        """Yield what serves when a page is asked for, for each of *projects*, in pages that take `page_seconds`."""
        self.sweeps += 1
        for at in range(0, len(projects), self.page_projects):
            answer = self.sweep_trouble or self._production()
            if self.page_seconds:
                await self.clock.sleep(self.page_seconds)
            yield dict.fromkeys(projects[at : at + self.page_projects], answer)

    async def list_targets(self, project: ProjectId) -> Sequence[Deployment]:
        """Return `targets`."""
        _raise_next(self.list_troubles)
        return self.targets

    async def roll_back(self, project: ProjectId, *, target: DeploymentId, description: str) -> None:
        """Note the request, apply it if the next answer says so, and answer."""
        self.sent.append(target)
        self.descriptions.append(description)
        if self.before_answer:
            await self.before_answer()
        answer = self.answers.popleft() if self.answers else Answer()
        if answer.is_applied:
            self._begin_job(target)
        if answer.error:
            raise answer.error

    def release(self, deployment: Deployment) -> None:
        """Let *deployment* serve from now on, as after a release."""
        self._production()
        self._serve(deployment)

    def served_at(self, at: datetime) -> Deployment | None:
        """Return what served at *at*."""
        self._production()
        past = [deployment for since, deployment in self.history if since <= at]
        return past[-1] if past else (self.history[0][1] if self.history else self.serving)

    def _begin_job(self, target: DeploymentId) -> None:
        self.applied.append(target)
        self._moves.append((self.clock.monotonic() + self.move_seconds, target))
        self.alias_job = AliasJob(
            type=AliasJobType.ROLLBACK,
            status=AliasJobStatus.IN_PROGRESS,
            from_deployment=self.serving.id if self.serving else None,
            to_deployment=target,
            requested_at=self.clock.now(),
        )

    def _production(self) -> Production:
        while self._moves and self._moves[0][0] <= self.clock.monotonic():
            _, target = self._moves.pop(0)
            self._serve(next(one for one in self.targets if one.id == target))
            if self.alias_job:
                self.alias_job = replace(self.alias_job, status=AliasJobStatus.SUCCEEDED)
        return Production(self.serving, alias_job=self.alias_job, auto_assigns_domains=True)

    def _serve(self, deployment: Deployment) -> None:
        if not self.history:
            self.history.append((datetime.min.replace(tzinfo=self.clock.now().tzinfo), self.serving))
        self.serving = deployment
        self.history.append((self.clock.now(), deployment))


def _raise_next(troubles: deque[PortError | None]) -> None:
    trouble = troubles.popleft() if troubles else None
    if trouble:
        raise trouble
