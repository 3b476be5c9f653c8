"""The health of `lastgood drain`: alive while it gets on, ready while what comes in reaches the store."""

from datetime import timedelta

import httpx
import pytest
from prometheus_client import CollectorRegistry

from daemon.ports.buckets import Delivery
from daemon.ports.errors import StoreUnavailable
from daemon.settings.drain import DrainReceiverSettings
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.telemetry.drain import DrainRecorder
from daemon.web.drain.assembly import build_drain
from daemon.web.drain.handover import Handover
from daemon.web.drain.shown import build_shown
from tests.fakes.clock import VirtualClock


class Store(MemoryBuckets):
    """Buckets that a test may break."""

    is_broken = False

    async def add(self, delivery: Delivery) -> None:
        if self.is_broken:
            raise StoreUnavailable("the disk is full")
        await super().add(delivery)


class Receiver:
    """What runs in the process, without the process."""

    def __init__(self) -> None:
        self.clock, self.store, self.registry = VirtualClock(), Store(), CollectorRegistry()
        settings = DrainReceiverSettings()
        recorder = DrainRecorder(self.registry)
        drain = build_drain(settings, lambda: (), self.store, clock=self.clock, recorder=recorder, name="receiver_1")
        self.handover: Handover = drain.handover
        app = build_shown(self.registry, drain.handover, interval=timedelta(seconds=10))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://drain")

    async def status(self, path: str) -> int:
        return (await self.client.get(path)).status_code


@pytest.fixture
async def receiver() -> Receiver:
    made = Receiver()
    await made.handover.begin()
    return made


async def test_it_is_alive_until_four_intervals_have_brought_no_handover_to_its_end(receiver: Receiver) -> None:
    await receiver.clock.advance(40)
    assert await receiver.status("/healthz") == 200
    await receiver.clock.advance(1)
    assert [await receiver.status(path) for path in ("/healthz", "/readyz")] == [503, 503]
    await receiver.handover.hand_over()
    assert [await receiver.status(path) for path in ("/healthz", "/readyz")] == [200, 200]


async def test_a_store_that_takes_nothing_is_no_reason_for_a_restart_and_not_ready(receiver: Receiver) -> None:
    receiver.store.is_broken = True
    assert not await receiver.handover.hand_over()
    assert [await receiver.status(path) for path in ("/healthz", "/readyz")] == [200, 503]
    receiver.store.is_broken = False
    assert await receiver.handover.hand_over()
    assert await receiver.status("/readyz") == 200


async def test_metrics_are_those_of_the_receiver_alone(receiver: Receiver) -> None:
    await receiver.handover.hand_over()
    shown = (await receiver.client.get("/metrics")).text
    assert 'lastgood_drain_handovers_total{outcome="saved"} 1.0' in shown
    assert "lastgood_leader" not in shown
