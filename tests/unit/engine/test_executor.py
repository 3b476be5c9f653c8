"""Each command, each answer, each trouble: the event that tells what came of it."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from daemon.core.action import RollBackAction
from daemon.core.command import ListTargets, Notify, ObserveProduction, Preflight, RollBack, Severity
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
from daemon.core.facts import IncidentId, Instant
from daemon.core.guardrail import Posture
from daemon.engine.executor import Mandate
from daemon.ports.errors import (
    Conflict,
    LeaseLost,
    OutcomeUnknown,
    PortError,
    RateLimited,
    Refused,
    StoreUnavailable,
    Unavailable,
    Unintelligible,
)
from tests.builders import BAD, GOOD, OLD, PROJECT, a_policy
from tests.fakes.daemon import REQUEST_TIMEOUT_SECONDS, TTL_SECONDS, FakeDaemon, World, a_daemon
from tests.fakes.hosting import Answer
from tests.fakes.notifier import FakeNotifier

ROLL_BACK = RollBack(RollBackAction("inc_1/1", BAD.id, BAD.id, GOOD.id), "lastgood inc_1: 30 %")
MESSAGE = Notify(IncidentId("inc_1"), Severity.PAGE, "shop: escalated", "look")
READ_TROUBLES = [Unavailable("503"), RateLimited("429"), Refused("no", status=403), Unintelligible("<html>")]


async def carry_out(daemon: FakeDaemon, command: ListTargets | Preflight | ObserveProduction | RollBack) -> Event:
    """Carry *command* out as if it had just been committed under the lease."""
    assert await daemon.leadership.renew()
    assert daemon.leadership.lease is not None
    mandate = Mandate(daemon.leadership.lease.token, daemon.moments.now())
    return await daemon.executor.carry_out(PROJECT, command, daemon.policy, mandate)


def now(daemon: FakeDaemon) -> Instant:
    return daemon.moments.now()


# Reading


async def test_targets_are_listed() -> None:
    async with a_daemon(World()) as daemon:
        assert await carry_out(daemon, ListTargets()) == TargetsListed(now(daemon), (BAD, GOOD, OLD))


async def test_production_is_read_before_a_request_and_after_it() -> None:
    async with a_daemon(World()) as daemon:
        before, after = await carry_out(daemon, Preflight()), await carry_out(daemon, ObserveProduction(0.0))
        assert isinstance(before, PreflightRead)
        assert isinstance(after, ProductionObserved)
        assert before.production.deployment == after.production.deployment == GOOD


@pytest.mark.parametrize("error", READ_TROUBLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("command", "what"),
    [
        (ListTargets(), ReadTarget.TARGETS),
        (Preflight(), ReadTarget.PREFLIGHT),
        (ObserveProduction(0.0), ReadTarget.PRODUCTION),
    ],
)
async def test_trouble_with_a_read_is_told_with_what_and_why(
    command: ListTargets | Preflight | ObserveProduction, what: ReadTarget, error: PortError
) -> None:
    world = World()
    world.hosting.read_troubles.append(error)
    world.hosting.list_troubles.append(error)
    async with a_daemon(world) as daemon:
        event = await carry_out(daemon, command)
        assert isinstance(event, ReadFailed)
        assert (event.what, str(error) in event.sentence) == (what, True)


async def test_a_look_is_delayed_by_the_daemons_own_clock() -> None:
    world = World()
    async with a_daemon(world) as daemon, asyncio.TaskGroup() as group:
        waiting = group.create_task(daemon.executor.wait_before(Preflight(5.0)))
        await world.clock.advance(4.999)
        assert not waiting.done()
        await world.clock.advance(0.001)
        assert waiting.done()
        await daemon.executor.wait_before(ObserveProduction(0.0))


# Acting


ANSWERS: list[tuple[PortError | None, type]] = [
    (None, RollbackAccepted),
    (Refused("no", status=403), RollbackRefused),
    (RateLimited("slow down", retry_after_seconds=7), RollbackRateLimited),
    (Unavailable("no route to host"), RollbackUnsent),
    (OutcomeUnknown("timed out"), RollbackOutcomeUnknown),
    (Unintelligible("<html>"), RollbackOutcomeUnknown),
    (Conflict("?"), RollbackOutcomeUnknown),
    (LeaseLost("?"), RollbackOutcomeUnknown),
    (StoreUnavailable("?"), RollbackOutcomeUnknown),
    (PortError("?"), RollbackOutcomeUnknown),
]


@pytest.mark.parametrize(("error", "event"), ANSWERS, ids=[type(error).__name__ for error, _ in ANSWERS])
async def test_I_22_each_answer_of_the_platform_becomes_its_event(error: PortError | None, event: type) -> None:
    world = World()
    world.hosting.answers.append(Answer(error))
    async with a_daemon(world) as daemon:
        assert type(await carry_out(daemon, ROLL_BACK)) is event
    assert (world.hosting.sent, world.hosting.descriptions) == ([GOOD.id], ["lastgood inc_1: 30 %"])


@pytest.mark.parametrize(("error", "event"), ANSWERS, ids=[type(error).__name__ for error, _ in ANSWERS])
async def test_only_a_request_that_left_is_logged_as_sent(error: PortError | None, event: type) -> None:
    """Without a token, as without a connection, none leaves."""
    world = World()
    world.hosting.answers.append(Answer(error))
    async with a_daemon(world) as daemon:
        with capture_logs() as lines:
            await carry_out(daemon, ROLL_BACK)
    assert ("action.sent" in [line["event"] for line in lines]) is (event is not RollbackUnsent)


async def test_a_refusal_keeps_its_status_and_words() -> None:
    world = World()
    world.hosting.answers.append(Answer(Refused("another rollback is in progress", status=409)))
    async with a_daemon(world) as daemon:
        event = await carry_out(daemon, ROLL_BACK)
        assert event == RollbackRefused(now(daemon), 409, "another rollback is in progress")


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (0.0, 0.0), (None, 10.0)])
async def test_a_rate_limit_is_honoured_and_has_a_default(asked: float | None, waited: float) -> None:
    world = World()
    world.hosting.answers.append(Answer(RateLimited("slow down", retry_after_seconds=asked)))
    async with a_daemon(world) as daemon:
        assert await carry_out(daemon, ROLL_BACK) == RollbackRateLimited(now(daemon), waited)


@pytest.mark.parametrize("posture", list(Posture))
async def test_I_28_posture_observe_cannot_reach_the_request_even_if_the_core_were_wrong(posture: Posture) -> None:
    world = World()
    async with a_daemon(world, a_policy(posture)) as daemon:
        if posture is Posture.OBSERVE:
            answer = await carry_out(daemon, ROLL_BACK)
            assert isinstance(answer, RollbackUnsent)
            assert "observe" in answer.sentence
            assert world.hosting.sent == []
        else:
            assert isinstance(await carry_out(daemon, ROLL_BACK), RollbackAccepted)


async def test_I_24_with_the_lease_lost_nothing_is_sent() -> None:
    world = World()
    async with a_daemon(world, holder="one") as one, a_daemon(world, holder="two") as two:
        assert await one.leadership.renew()
        assert one.leadership.lease is not None
        mandate = Mandate(one.leadership.lease.token, one.moments.now())
        world.clock.jump(TTL_SECONDS)
        assert await two.leadership.renew()
        event = await one.executor.carry_out(PROJECT, ROLL_BACK, one.policy, mandate)
        assert isinstance(event, RollbackUnsent)
        assert "lease" in event.sentence
    assert world.hosting.sent == []


async def test_I_24_a_lease_too_short_for_one_request_sends_nothing() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        daemon.executor = replace(daemon.executor, request_timeout_seconds=TTL_SECONDS)
        assert isinstance(await carry_out(daemon, ROLL_BACK), RollbackUnsent)
    assert world.hosting.sent == []


async def test_I_36_without_a_store_nothing_is_sent() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        assert await daemon.leadership.renew()
        assert daemon.leadership.lease is not None
        mandate = Mandate(daemon.leadership.lease.token, daemon.moments.now())
        world.store.broken = {"take_lease"}
        event = await daemon.executor.carry_out(PROJECT, ROLL_BACK, daemon.policy, mandate)
        assert isinstance(event, RollbackUnsent)
    assert world.hosting.sent == []


@pytest.mark.parametrize(("late", "is_sent"), [(0.0, True), (9.999, True), (10.0, True), (10.001, False)])
async def test_I_25_a_request_is_sent_at_about_the_time_of_its_commit_or_not_at_all(late: float, is_sent: bool) -> None:
    world = World()
    async with a_daemon(world) as daemon:
        assert await daemon.leadership.renew()
        assert daemon.leadership.lease is not None
        mandate = Mandate(daemon.leadership.lease.token, daemon.moments.now())
        world.clock.jump(late)
        event = await daemon.executor.carry_out(PROJECT, ROLL_BACK, daemon.policy, mandate)
        assert isinstance(event, RollbackAccepted if is_sent else RollbackUnsent)
    assert REQUEST_TIMEOUT_SECONDS == 10.0
    assert len(world.hosting.sent) == is_sent


# Telling people


async def test_I_38_a_notifier_that_fails_stops_neither_the_others_nor_anything_else() -> None:
    async with a_daemon(World()) as daemon:
        failing, other = FakeNotifier(), FakeNotifier()
        failing.troubles.append(Unavailable("slack is down"))
        executor = replace(daemon.executor, notifiers=(failing, other))
        await executor.notify(PROJECT, MESSAGE)
        assert (failing.told, other.told) == ([], [MESSAGE])
        assert daemon.value("lastgood_notifications_total", outcome="failed", severity="page") == 1
        assert daemon.value("lastgood_notifications_total", outcome="sent", severity="page") == 1


async def test_I_38_a_notifier_that_hangs_is_given_up_after_a_while() -> None:
    async with a_daemon(World()) as daemon:
        hanging, other = FakeNotifier(gate=asyncio.Event()), FakeNotifier()
        executor = replace(daemon.executor, notifiers=(hanging, other), notify_seconds_max=0.01)
        await executor.notify(PROJECT, MESSAGE)
        assert other.told == [MESSAGE]
        assert daemon.value("lastgood_notifications_total", outcome="failed", severity="page") == 1


async def test_I_38_a_notifier_that_hangs_does_not_delay_the_rollback() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        daemon.notifier.gate = asyncio.Event()
        await daemon.breach()
        assert world.hosting.sent == [GOOD.id]
        assert daemon.notifier.told == []
