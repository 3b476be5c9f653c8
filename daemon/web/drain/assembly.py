"""Puts a receiver of log drains together, for the daemon's own app or for a process of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute

from daemon.ports.buckets import Buckets
from daemon.ports.clock import Clock
from daemon.ports.drain import Recorder
from daemon.settings.drain import DrainReceiverSettings
from daemon.web.drain.handover import Handover
from daemon.web.drain.intake import Intake
from daemon.web.drain.receiver import Receiver, drain_routes
from daemon.web.drain.secrets import Secret
from daemon.web.drain.tally import Tally


@dataclass(frozen=True, slots=True)
class Drain:
    """A receiver, and what hands its counts over: `handover.begin` comes before the first batch, `run` beside them."""

    receiver: Receiver
    intake: Intake
    handover: Handover
    routes: Sequence[BaseRoute]


def build_drain(
    settings: DrainReceiverSettings,
    secrets: Callable[[], Sequence[Secret]],
    buckets: Buckets,
    *,
    clock: Clock,
    recorder: Recorder,
    name: str,
) -> Drain:
    """Return the receiver that *settings* describe; *name* is this run's own, such as `IdSource` gives."""
    tally = Tally(
        ids_max=settings.requests_remembered_max,
        remembered_for=settings.requests_remembered_for,
        routes_max=settings.routes_max,
    )
    intake = Intake(
        tally,
        clock=clock,
        recorder=recorder,
        inflated_bytes_max=settings.inflated_bytes_max,
        queue_events_max=settings.queue_events_max,
    )
    receiver = Receiver(
        intake,
        secrets,
        recorder=recorder,
        verify_code=settings.verify_code,
        body_bytes_max=settings.body_bytes_max,
        queue_bytes_max=settings.queue_bytes_max,
    )
    handover = Handover(
        intake,
        buckets,
        clock=clock,
        recorder=recorder,
        receiver=name,
        interval=settings.handover_interval,
        keep=settings.keep,
    )
    return Drain(receiver, intake, handover, drain_routes(receiver, path=settings.path))
