"""Whole incidents through the real engine and core, over fakes and a clock that only the test moves."""

import pytest

from daemon.core.event import OperatorVerb
from daemon.core.guardrail import Posture
from daemon.core.incident import State
from daemon.engine import codec
from daemon.engine.intake import Ask
from daemon.ports.errors import OutcomeUnknown, PortError, RateLimited, Refused, Unavailable
from tests.builders import BAD, GOOD, PROJECT, a_policy
from tests.fakes.daemon import FakeDaemon, World, a_daemon
from tests.fakes.hosting import Answer


async def live_on(daemon: FakeDaemon, seconds: float = 400) -> None:
    """Poll until the incident is over, at most for *seconds*."""
    for _ in range(round(seconds / 10)):
        await daemon.live(10)
        if not daemon.state.incident:
            return


async def trail(world: World) -> list[str]:
    """The kinds of events that the journal holds, routine cycles left out."""
    quiet = {"production_observed", "samples_observed", "cycle_ended"}
    return [one.entry.kind for one in await world.store.journal(PROJECT) if one.entry.kind not in quiet]


async def test_a_breach_is_rolled_back_and_the_recovery_proved() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.breach()
        assert daemon.incident.state is State.MITIGATING
        await live_on(daemon)
        assert daemon.incident.state is State.RESOLVED
        assert (world.hosting.sent, world.hosting.serving) == ([GOOD.id], GOOD)
        assert [title.partition(": ")[2] for title in daemon.notifier.titles] == [
            "detected",
            "mitigating",
            "verifying",
            "resolved",
        ]
    assert await trail(world) == ["resumed", "targets_listed", "preflight_read", "rollback_accepted"]


async def test_every_state_of_an_incident_survives_the_store() -> None:
    world = World()
    states: set[State] = set()

    async def read_back() -> None:
        stored = await world.store.load(PROJECT)
        assert stored is not None
        state = codec.decode_state(stored.state)
        assert codec.encode_state(state) == stored.state
        if incident := state.incident or state.last_ended:
            states.add(incident.state)

    world.store.after_commit = read_back
    async with a_daemon(world, a_policy(Posture.OBSERVE)) as daemon:
        await daemon.breach()
        daemon.policy = a_policy(Posture.APPROVE)
        await daemon.poll()
        await world.ask(Ask(OperatorVerb.APPROVE))
        await live_on(daemon)
    assert states == {
        State.DETECTED,
        State.AWAITING_APPROVAL,
        State.HELD,
        State.MITIGATING,
        State.VERIFYING,
        State.RESOLVED,
    }


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "lost"])
async def test_a_request_without_an_answer_is_looked_after_and_sent_again_only_when_it_left_no_trace(
    is_applied: bool,
) -> None:
    world = World()
    world.hosting.answers.append(Answer(OutcomeUnknown("timed out"), is_applied=is_applied))
    async with a_daemon(world) as daemon:
        await daemon.breach()
        await daemon.live(50)
        assert len(world.hosting.sent) == 1, "the action's deadline is a minute: the first may still be at work"
        await live_on(daemon)
        assert daemon.incident.state is State.RESOLVED
    assert len(world.hosting.sent) == (1 if is_applied else 2)
    assert world.hosting.applied == [GOOD.id]


async def test_I_16_after_two_requests_without_a_trace_a_person_is_called_and_nothing_is_sent_any_more() -> None:
    world = World()
    world.hosting.answers.extend([Answer(OutcomeUnknown("timed out"), is_applied=False)] * 5)
    async with a_daemon(world) as daemon:
        await daemon.breach()
        await live_on(daemon)
        assert daemon.incident.state is State.ESCALATED
        await daemon.live(90)
    assert world.hosting.sent == [GOOD.id, GOOD.id]
    assert len(daemon.notifier.pages) == 1


async def test_a_daemon_that_takes_over_at_a_crash_sends_nothing_that_was_sent_and_proves_the_recovery() -> None:
    world = World()
    world.hosting.answers.append(Answer(OutcomeUnknown("the daemon died")))
    async with a_daemon(world, holder="one") as first:
        await first.breach()
    await world.clock.advance(60)
    async with a_daemon(world, holder="two") as second:
        await second.poll()
        await live_on(second)
        assert second.incident.state is State.RESOLVED
    assert world.hosting.sent == [GOOD.id]


REFUSALS = [
    (Refused("not on this plan", status=402), State.ESCALATED, 1),
    (Refused("forbidden", status=403), State.ESCALATED, 1),
    (Refused("unprocessable", status=422), State.ESCALATED, 1),
    (Refused("another job runs", status=409), State.RESOLVED, 2),
    (RateLimited("slow down", retry_after_seconds=7), State.RESOLVED, 2),
    (Unavailable("no route to host"), State.RESOLVED, 2),
]


@pytest.mark.parametrize(("error", "end", "sent"), REFUSALS, ids=[str(error) for error, *_ in REFUSALS])
async def test_I_22_each_answer_to_the_request_ends_as_it_should(error: PortError, end: State, sent: int) -> None:
    world = World()
    world.hosting.answers.append(Answer(error, is_applied=False))
    async with a_daemon(world) as daemon:
        await daemon.breach()
        await live_on(daemon)
        assert daemon.incident.state is end
    assert len(world.hosting.sent) == sent


@pytest.mark.parametrize("posture", [Posture.OBSERVE, Posture.APPROVE])
async def test_I_28_no_other_posture_than_automatic_sends_anything_by_itself(posture: Posture) -> None:
    world = World()
    async with a_daemon(world, a_policy(posture)) as daemon:
        await daemon.breach()
        await daemon.live(240)
        assert daemon.incident.state is not State.MITIGATING
    assert world.hosting.sent == []
    assert world.hosting.serving is BAD


async def test_I_36_a_breach_that_is_only_watched_adds_little_to_the_journal() -> None:
    world = World()
    async with a_daemon(world, a_policy(Posture.OBSERVE)) as daemon:
        await daemon.breach()
        before = await trail(world)
        await daemon.live(300)
    assert await trail(world) == before, "the same list of targets, asked for at every tick, is no news"


async def test_what_happens_long_after_an_incident_does_not_stand_in_its_journal() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.breach()
        await live_on(daemon)
        incident = daemon.incident.id
        told = len(await world.store.journal(PROJECT, incident=incident))
        await daemon.live(120)
        await daemon.poll()
        assert len(await world.store.journal(PROJECT, incident=incident)) == told
        kinds = [one.entry.kind for one in await world.store.journal(PROJECT, incident=incident)]
        assert {"cycle_ended", "targets_listed", "rollback_accepted", "samples_observed"} <= set(kinds)
