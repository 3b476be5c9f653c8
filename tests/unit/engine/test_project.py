"""One project's life: written before it is done, honest about who may write, and never repeated blindly."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from daemon.core.command import Notify, ObserveProduction, Preflight, RollBack
from daemon.core.event import CycleEnded, OperatorVerb, Resumed
from daemon.core.guardrail import Posture, Reason
from daemon.core.incident import State
from daemon.engine import codec
from daemon.engine.intake import Ask
from daemon.ports.errors import OutcomeUnknown
from tests.builders import BAD, FIX, GOOD, PROJECT, a_policy
from tests.fakes.clock import settle
from tests.fakes.daemon import REQUEST_TIMEOUT_SECONDS, TTL_SECONDS, FakeDaemon, World, a_daemon
from tests.fakes.hosting import Answer


async def outbox(world: World) -> list[type]:
    """The kinds of commands that were committed and are not marked done."""
    return [type(codec.decode_command(one.document)) for one in await world.store.unfinished_commands(PROJECT)]


async def commands_of(world: World, kind: type) -> list[str]:
    """Every command of *kind* that was ever committed, as its document; the store in memory forgets none."""
    documents = [row.command.document for row in world.store._outbox.values()]
    return [document for document in documents if isinstance(codec.decode_command(document), kind)]


async def breach_until_decided(daemon: FakeDaemon) -> asyncio.Event:
    """Bring the breach to the decision and let the look before the request wait for the event that is returned."""
    gate = asyncio.Event()

    async def hold_up() -> None:
        # The polls' own looks pass; the one that follows a decision waits.
        incident = daemon.project.state.incident if daemon.project.state else None
        if incident and incident.state is State.MITIGATING:
            await gate.wait()

    daemon.world.hosting.before_read = hold_up
    await daemon.breach()
    assert daemon.incident.state is State.MITIGATING
    assert daemon.world.hosting.sent == []
    return gate


# Written before it is done


async def test_I_21_the_intent_is_in_the_store_before_the_request_leaves() -> None:
    world = World()
    seen: list[State] = []

    async def look_into_the_store() -> None:
        stored = await world.store.load(PROJECT)
        assert stored is not None
        state = codec.decode_state(stored.state)
        assert state.incident is not None
        assert state.sends == {BAD.id: 1}
        assert RollBack in await outbox(world)
        seen.append(state.incident.state)

    world.hosting.before_answer = look_into_the_store
    async with a_daemon(world) as daemon:
        await daemon.breach()
    assert seen == [State.MITIGATING]


async def test_nothing_is_carried_out_before_the_commit_has_returned() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        gate = await breach_until_decided(daemon)
        committed = asyncio.Event()
        world.store.after_commit = committed.wait  # type: ignore[assignment]
        gate.set()
        await settle()
        assert RollBack in await outbox(world), "the transaction is through, its caller does not know yet"
        assert world.hosting.sent == []
        world.store.after_commit = None
        committed.set()
        await settle()
        assert world.hosting.sent == [GOOD.id]


async def test_a_commit_that_fails_carries_nothing_out_and_the_thread_is_taken_up_at_the_next_poll() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        gate = await breach_until_decided(daemon)
        world.store.broken = {"commit"}
        gate.set()
        await settle()
        assert (world.hosting.sent, daemon.project.state) == ([], None)
        assert daemon.value("lastgood_store_failures_total") == 1
        await world.clock.advance(60)
        assert world.hosting.sent == []
        world.store.broken = set()
        await daemon.poll()
        assert world.hosting.sent == [GOOD.id], "the look before the request is asked for again"


async def test_a_thread_that_is_lost_while_a_poll_reads_is_taken_up_by_the_next_poll() -> None:
    """The poll's own commit succeeds, and must not hide that the one before it failed."""
    world = World()
    async with a_daemon(world) as daemon, asyncio.TaskGroup() as group:
        gate = await breach_until_decided(daemon)
        counted = asyncio.Event()
        world.source.before_answer = counted.wait  # type: ignore[assignment]
        cycle = group.create_task(daemon.poller.run_cycle())
        await settle()
        world.store.broken = {"commit"}
        gate.set()
        await settle()
        assert (world.hosting.sent, daemon.project.state) == ([], None)
        world.store.broken = set()
        counted.set()
        await cycle
        assert daemon.incident.state is State.MITIGATING
        assert daemon.project.needs_resume
        await daemon.live(20)
        assert world.hosting.sent == [GOOD.id], "the look before the request is asked for again"
        assert not daemon.project.needs_resume


async def test_an_outcome_that_cannot_be_committed_is_found_by_looking() -> None:
    world = World()

    async def break_the_store() -> None:
        world.store.broken = {"commit"}

    world.hosting.before_answer = break_the_store
    async with a_daemon(world) as daemon:
        await daemon.breach()
        assert daemon.project.state is None
        world.store.broken = set()
        await daemon.live(300)
        assert daemon.incident.state is State.RESOLVED
    assert world.hosting.sent == [GOOD.id]


# Who may write


async def test_a_state_that_somebody_else_committed_first_is_read_again_and_the_event_told_to_that() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.poll()
        lease = daemon.leadership.lease
        stored = await world.store.load(PROJECT)
        assert stored is not None
        assert lease is not None
        theirs = replace(codec.decode_state(stored.state), source="somebody else's")
        await world.store.commit(
            PROJECT,
            expected_version=stored.version,
            lease=lease,
            entries=[],
            state=codec.encode_state(theirs),
            commands=[],
            taken_requests=[],
            moment=stored.saved,
        )
        with capture_logs() as lines:
            assert await daemon.project.tell(Resumed(daemon.moments.now()))
        assert daemon.state.source == "somebody else's"
        assert [line["event"] for line in lines if "reloaded" in line["event"]] == ["state.reloaded"]


async def test_without_a_lease_nothing_is_decided_or_written() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.poll()
        commits = world.store.commits
        await daemon.leadership.give_up()
        assert not await daemon.project.tell(CycleEnded(daemon.moments.now()))
        assert (world.store.commits, daemon.project.state) == (commits, None)


async def test_I_24_a_daemon_whose_lease_was_taken_between_decision_and_request_sends_nothing() -> None:
    world = World()
    async with a_daemon(world, holder="one") as one, a_daemon(world, holder="two") as two:
        gate = await breach_until_decided(one)
        # The first stands still for longer than its lease, and the second takes over.
        await world.clock.advance(TTL_SECONDS)
        assert await two.leadership.renew()
        commits = world.store.commits
        gate.set()
        await settle()
        assert (world.hosting.sent, world.store.commits) == ([], commits)
        assert (one.leadership.lease, one.project.state) == (None, None)


async def test_I_24_a_lease_that_is_lost_after_the_intent_was_committed_sends_nothing() -> None:
    world = World()
    async with a_daemon(world, holder="one") as one, a_daemon(world, holder="two") as two:

        async def lose_it() -> None:
            stored = await world.store.load(PROJECT)
            assert stored is not None
            if codec.decode_state(stored.state).sends:
                world.store.after_commit = None
                world.clock.jump(TTL_SECONDS)
                assert await two.leadership.renew()

        world.store.after_commit = lose_it
        await one.breach()
        assert world.store.after_commit is None
        assert world.hosting.sent == []
        # The one that took over finds the intent, and looks before it does anything.
        await two.live(10)
        assert world.hosting.sent == []
        await two.live(300)
        assert two.incident.state is State.RESOLVED
        assert world.hosting.sent == [GOOD.id]


async def test_I_24_of_two_daemons_on_one_store_only_the_holder_of_the_lease_writes() -> None:
    world = World()
    async with a_daemon(world, holder="one") as one, a_daemon(world, holder="two") as two:
        await one.poll()
        await two.poll()
        world.hosting.release(BAD)
        for _ in range(40):
            await one.poll()
            await two.poll()
            await world.clock.advance(10)
        assert one.incident.state is State.RESOLVED
        assert (two.project.state, two.notifier.told) == (None, [])
    assert world.hosting.sent == [GOOD.id]


async def test_I_25_a_request_that_was_held_up_for_longer_than_its_time_out_is_not_sent_on_old_knowledge() -> None:
    world = World()
    async with a_daemon(world) as daemon:

        async def stand_still() -> None:
            if daemon.project.state and RollBack in await outbox(world):
                world.store.after_commit = None
                world.clock.jump(REQUEST_TIMEOUT_SECONDS + 0.1)
                world.hosting.release(FIX)

        world.store.after_commit = stand_still
        await daemon.breach()
        assert world.store.after_commit is None
        assert world.hosting.sent == []
        await world.clock.advance(10)
        assert daemon.incident.state is State.STOOD_DOWN
    assert world.hosting.sent == []


# Restart


async def test_after_a_restart_people_are_told_what_they_were_not_told_before() -> None:
    world = World()
    async with a_daemon(world) as first:
        first.notifier.gate = asyncio.Event()
        await first.breach()
        assert first.notifier.told == []
    assert Notify in await outbox(world)
    async with a_daemon(world) as second:
        await second.poll()
        assert [title.partition(": ")[2] for title in second.notifier.titles] == ["detected", "mitigating"]
        assert Notify not in await outbox(world)


async def test_a_store_that_can_be_read_but_not_written_does_not_repeat_messages_at_every_poll() -> None:
    world = World()
    async with a_daemon(world) as first:
        first.notifier.gate = asyncio.Event()
        await first.breach()
    async with a_daemon(world) as second:
        world.store.broken = {"commit", "finish_command"}
        await second.live(60)
        assert [one.title for one in second.notifier.told] == ["lastgood has no store"]
        world.store.broken = {"finish_command"}
        await second.live(30)
        assert len(second.notifier.told) == len(set(second.notifier.titles))


async def test_I_21_a_rollback_that_waits_in_the_outbox_at_a_restart_is_never_carried_out_from_there() -> None:
    world = World()
    async with a_daemon(world) as first:

        async def die() -> None:
            if RollBack in await outbox(world):
                world.store.after_commit = None
                await asyncio.Event().wait()

        world.store.after_commit = die
        await first.breach()
        assert world.store.after_commit is None
    assert RollBack in await outbox(world)
    assert world.hosting.sent == []
    async with a_daemon(world) as second:
        await second.poll()
        assert RollBack not in await outbox(world)
        await second.live(50)
        assert world.hosting.sent == []
        assert len(await commands_of(world, RollBack)) == 1
        await second.live(20)
        assert len(await commands_of(world, RollBack)) == 2, "the action's deadline over, it is decided anew"
        assert world.hosting.sent == [GOOD.id]


async def test_I_21_a_decision_past_its_time_to_live_is_made_again_from_fresh_data_after_a_restart() -> None:
    world = World()
    world.hosting.answers.append(Answer(OutcomeUnknown("the daemon died"), is_applied=False))
    async with a_daemon(world) as first:
        await first.breach()
    world.source.ratios = {}
    await world.clock.advance(600)
    async with a_daemon(world) as second:
        await second.live(60)
        assert second.incident.state is State.RESOLVED
        assert "recovered by itself" in second.incident.trail[-1].sentence
    assert len(world.hosting.sent) == 1


async def test_a_project_that_is_taken_up_while_a_message_is_under_way_does_not_send_it_twice() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        daemon.notifier.gate = asyncio.Event()
        await daemon.breach()
        assert await daemon.project.resume()
        daemon.notifier.gate.set()
        await settle()
        assert sorted(daemon.notifier.titles) == sorted(set(daemon.notifier.titles))


# The operator's word


async def test_I_27_a_pause_that_is_asked_for_between_decision_and_request_is_honoured() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        gate = await breach_until_decided(daemon)
        await world.ask(Ask(OperatorVerb.PAUSE, reason="deploying by hand"))
        gate.set()
        await settle()
        assert world.hosting.sent == []
        await daemon.live(60)
        assert (daemon.incident.state, daemon.incident.reason) == (State.HELD, Reason.PAUSED)
        await world.ask(Ask(OperatorVerb.RESUME))
        await daemon.poll()
        assert world.hosting.sent == [GOOD.id]


async def test_I_25_a_posture_that_changed_between_decision_and_request_is_honoured() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        gate = await breach_until_decided(daemon)
        daemon.policy = a_policy(Posture.OBSERVE)
        gate.set()
        await settle()
        await daemon.live(20)
        assert daemon.incident.reason is Reason.POSTURE_OBSERVE
    assert world.hosting.sent == []


async def test_I_19_a_release_between_decision_and_request_is_seen_and_nothing_is_sent() -> None:
    world = World()

    async def release_after_the_decision() -> None:
        stored = await world.store.load(PROJECT)
        assert stored is not None
        incident = codec.decode_state(stored.state).incident
        if incident and incident.state is State.MITIGATING:
            world.store.after_commit = None
            world.hosting.release(FIX)

    world.store.after_commit = release_after_the_decision
    async with a_daemon(world) as daemon:
        await daemon.breach()
        assert daemon.incident.state is State.STOOD_DOWN
        await daemon.live(60)
    assert (world.hosting.sent, world.hosting.serving) == ([], FIX)


async def test_I_19_a_release_that_slips_in_between_the_look_and_the_request_pages_with_the_way_back() -> None:
    world = World()

    async def release_while_the_request_is_under_way() -> None:
        world.hosting.release(FIX)

    world.hosting.before_answer = release_while_the_request_is_under_way
    async with a_daemon(world) as daemon:
        await daemon.breach()
        await daemon.live(60)
        assert [page.next_step for page in daemon.notifier.pages] == [
            f"to restore what was there: vercel promote {FIX.id}"
        ]
    assert world.hosting.sent == [GOOD.id]


async def test_a_request_is_taken_once_and_survives_a_restart() -> None:
    world = World()
    await world.ask(Ask(OperatorVerb.PAUSE, reason="migration"))
    async with a_daemon(world) as first:
        await first.live(20)
        assert first.state.paused is not None
        assert await world.store.pending_requests(PROJECT) == []
    async with a_daemon(world) as second:
        await second.breach()
        assert second.state.paused is not None
        assert second.incident.reason is Reason.PAUSED
    assert world.hosting.sent == []
    kinds = [one.entry.kind for one in await world.store.journal(PROJECT)]
    assert kinds.count("operator_requested") == 1


@pytest.mark.parametrize("document", ["", "null", '{"verb": "launch"}', '{"verb": "pause", "for_seconds": 1e999}'])
async def test_a_request_that_cannot_be_understood_is_put_aside_and_stops_nobody(document: str) -> None:
    world = World()
    await world.store.ask(document, project=None, requested_at=world.clock.now(), requested_by="eve")
    await world.ask(Ask(OperatorVerb.PAUSE))
    async with a_daemon(world) as daemon:
        with capture_logs() as lines:
            await daemon.live(20)
        assert not daemon.project.is_frozen
        assert daemon.state.paused is not None
        assert [line["what"] for line in lines if line["event"] == "read.failed"] == ["operator_request"]
    assert await world.store.pending_requests(PROJECT) == []


# One thing at a time


async def test_there_is_one_observer_at_a_time() -> None:
    world = World()
    world.hosting.move_seconds = 1000
    async with a_daemon(world) as daemon:
        await daemon.breach()
        before = world.hosting.reads
        # Each poll asks for an observer as well: one look a second, one of each poll, and no more.
        await daemon.live(60)
        assert world.hosting.reads - before in range(55, 68)
        assert (await outbox(world)).count(ObserveProduction) == 1
        assert world.hosting.reading_most == 1


async def test_a_look_before_the_request_that_fails_is_repeated() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        gate = await breach_until_decided(daemon)
        world.hosting.read_troubles.append(OutcomeUnknown("reset"))
        gate.set()
        await settle()
        assert world.hosting.sent == []
        await world.clock.advance(5)
        assert world.hosting.sent == [GOOD.id]
    assert len(await commands_of(world, Preflight)) == 2


# Bugs


async def test_I_40_a_bug_freezes_the_project_pages_and_leaves_production_alone() -> None:
    world = World()
    async with a_daemon(world, reraise=False) as daemon:
        gate = await breach_until_decided(daemon)
        world.source.troubles.append(AssertionError("a bug"))  # type: ignore[arg-type]
        await daemon.poll()
        assert daemon.project.is_frozen
        gate.set()
        world.hosting.before_read = None
        await daemon.live(300)
        assert world.hosting.sent == []
        assert world.hosting.serving is BAD
        assert [page.title for page in daemon.notifier.pages] == ["prj_shop: lastgood froze itself"]
        assert "a bug" in daemon.notifier.pages[0].sentence
        assert not await daemon.project.tell(CycleEnded(daemon.moments.now()))


async def test_I_40_a_request_that_was_committed_is_not_sent_when_a_bug_froze_the_project_meanwhile() -> None:
    world = World()
    async with a_daemon(world) as daemon:

        async def freeze() -> None:
            if daemon.project.state and RollBack in await outbox(world):
                world.store.after_commit = None
                await daemon.project.freeze(AssertionError("a bug"))

        world.store.after_commit = freeze
        await daemon.breach()
        assert world.store.after_commit is None
        await daemon.live(60)
    assert world.hosting.sent == []


async def test_the_page_about_a_bug_needs_no_store() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        world.store.broken = {"commit", "load", "take_lease", "finish_command"}
        await daemon.project.freeze(AssertionError("a bug"))
        assert len(daemon.notifier.pages) == 1


# What it leaves behind


async def test_I_35_every_decision_and_every_change_of_the_reason_not_to_decide_is_in_the_journal() -> None:
    world = World()
    reasons: list[Reason] = []

    async def note() -> None:
        stored = await world.store.load(PROJECT)
        assert stored is not None
        reason = codec.decode_state(stored.state).decision.reason
        if not reasons or reasons[-1] is not reason:
            reasons.append(reason)
            assert len(await world.store.journal(PROJECT)) > len(reasons) - 2

    world.store.after_commit = note
    async with a_daemon(world, a_policy(Posture.OBSERVE)) as daemon:
        await daemon.breach()
        before = len(await world.store.journal(PROJECT))
        daemon.policy = a_policy(Posture.APPROVE)
        await daemon.poll()
        await daemon.poll()
        entries = (await world.store.journal(PROJECT))[before:]
        changes = [one.entry for one in entries if one.entry.kind == "targets_listed"]
        assert [entry.incident for entry in changes] == [daemon.incident.id]
        assert "posture is approve" in changes[0].sentence
    assert reasons == [Reason.NONE, Reason.POSTURE_OBSERVE, Reason.POSTURE_APPROVE]


async def test_a_healthy_project_writes_down_its_counts_and_nothing_else() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.live(60)
        before = len(await world.store.journal(PROJECT))
        await daemon.live(300)
        kinds = [one.entry.kind for one in await world.store.journal(PROJECT)][before:]
    assert set(kinds) == {"samples_observed"}
    assert len(kinds) <= 10


async def test_an_old_pause_of_all_projects_does_not_reach_one_that_is_added_later() -> None:
    world = World()
    await world.ask(Ask(OperatorVerb.PAUSE), project=None)
    await world.clock.advance(3601)
    async with a_daemon(world) as daemon:
        with capture_logs() as lines:
            await daemon.poll()
        assert daemon.state.paused is None
        assert await world.store.pending_requests(PROJECT) == [], "it is taken all the same, or it would stay"
    [ignored] = [line for line in lines if line["event"] == "request.ignored"]
    assert (ignored["log_level"], ignored["by"]) == ("warning", "ann")
