"""Carries out commands and answers each with the event that tells what came of it. Decides nothing."""

import asyncio
from dataclasses import dataclass

import structlog

from daemon.core.command import ListTargets, Notify, ObserveProduction, Preflight, RollBack
from daemon.core.event import (
    Event,
    PreflightRead,
    ProductionObserved,
    ReadFailed,
    ReadTarget,
    RollbackAccepted,
    RollbackOutcomeUnknown,
    RollbackRateLimited,
    RollbackRefused,
    RollbackUnsent,
    TargetsListed,
)
from daemon.core.facts import Instant, ProjectId
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.engine.leadership import Leadership
from daemon.engine.moments import Moments
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, RateLimited, Refused, Unavailable
from daemon.ports.hosting import HostingReader, Rollback
from daemon.ports.notifier import Notifier
from daemon.telemetry.metrics import Metrics

_RETRY_AFTER_DEFAULT_SECONDS = 10.0
_NOTIFY_SECONDS_MAX = 15.0
"""Real time that one notifier may take for one message."""

log = structlog.get_logger()

WorldCommand = ListTargets | Preflight | RollBack | ObserveProduction


@dataclass(frozen=True, slots=True)
class Mandate:
    """What a command was committed under: the lease's token, and when. A request that outlives either is not sent."""

    token: int
    given: Instant


@dataclass(frozen=True, slots=True)
class Executor:
    """The hands of the daemon. `request_timeout_seconds` bounds one write; the lease must outlive it."""

    hosting: HostingReader
    rollback: Rollback
    notifiers: tuple[Notifier, ...]
    leadership: Leadership
    clock: Clock
    moments: Moments
    metrics: Metrics
    request_timeout_seconds: float
    notify_seconds_max: float = _NOTIFY_SECONDS_MAX

    async def wait_before(self, look: Preflight | ObserveProduction) -> None:
        """Wait for as long as *look* wants to be delayed."""
        if look.delay_seconds > 0:
            await self.clock.sleep(look.delay_seconds)

    async def carry_out(self, project: ProjectId, command: WorldCommand, policy: Policy, mandate: Mandate) -> Event:
        """Do what *command* asks, at once, and return what came of it. Never raises trouble of a port."""
        match command:
            case ListTargets():
                return await self._list_targets(project)
            case Preflight():
                return await self._read_production(project, ReadTarget.PREFLIGHT)
            case ObserveProduction():
                return await self._read_production(project, ReadTarget.PRODUCTION)
            case RollBack():
                return await self._roll_back(project, command, policy, mandate)

    async def notify(self, project: ProjectId, message: Notify) -> None:
        """Tell every notifier; one that fails stops neither the others nor the mitigation, and is counted."""
        for notifier in self.notifiers:
            try:
                async with asyncio.timeout(self.notify_seconds_max):
                    await notifier.notify(project, message)
            except (PortError, TimeoutError) as error:
                self.metrics.notifications.labels(outcome="failed", severity=message.severity).inc()
                log.warning("notification.failed", project=project, notifier=type(notifier).__name__, error=repr(error))
            else:
                self.metrics.notifications.labels(outcome="sent", severity=message.severity).inc()

    async def _list_targets(self, project: ProjectId) -> Event:
        try:
            deployments = await self.hosting.list_targets(project)
        except PortError as error:
            return ReadFailed(self.moments.now(), ReadTarget.TARGETS, f"rollback targets unread: {error}")
        return TargetsListed(self.moments.now(), tuple(deployments))

    async def _read_production(self, project: ProjectId, what: ReadTarget) -> Event:
        try:
            production = await self.hosting.read_production(project)
        except PortError as error:
            return ReadFailed(self.moments.now(), what, f"production unread: {error}")
        if what is ReadTarget.PREFLIGHT:
            return PreflightRead(self.moments.now(), production)
        return ProductionObserved(self.moments.now(), production)

    async def _roll_back(self, project: ProjectId, command: RollBack, policy: Policy, mandate: Mandate) -> Event:
        # The second of a pair: the core never asks for this in posture observe, and this never does it.
        if policy.posture is Posture.OBSERVE:
            return RollbackUnsent(self.moments.now(), "posture is observe: nothing may be sent")
        if not await self.leadership.has_left(self.request_timeout_seconds, token=mandate.token):
            return RollbackUnsent(self.moments.now(), "the lease is lost, or has too little time left for one request")
        # A process that stood still since production was read last may not act on what it saw then.
        age = self.moments.now().elapsed - mandate.given.elapsed
        if age > self.request_timeout_seconds:
            return RollbackUnsent(self.moments.now(), f"production was read {age:.0f} s ago: it must be read again")
        event = await self._send(project, command)
        # Only now: whether it left at all, as it does not without a token, is not known before.
        if not isinstance(event, RollbackUnsent):
            action = command.action
            log.info("action.sent", project=project, action="rollback", key=action.key, target=action.target)
        return event

    async def _send(self, project: ProjectId, command: RollBack) -> Event:
        try:
            await self.rollback.roll_back(project, target=command.action.target, description=command.description)
        except RateLimited as error:
            wait = _RETRY_AFTER_DEFAULT_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
            return RollbackRateLimited(self.moments.now(), wait)
        except Unavailable as error:
            return RollbackUnsent(self.moments.now(), str(error))
        except Refused as error:
            return RollbackRefused(self.moments.now(), error.status, str(error))
        except PortError as error:
            return RollbackOutcomeUnknown(self.moments.now(), str(error))
        return RollbackAccepted(self.moments.now())
