"""One poll: who may poll, what is told of the world, and what a person sees of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from daemon.core.event import ReadTarget
from daemon.core.facts import ProjectId
from daemon.core.guardrail import Posture, Reason
from daemon.core.incident import State
from daemon.detectors.threshold import Threshold
from daemon.ports.errors import Refused, Unavailable, Unintelligible
from tests.builders import BAD, GOOD, PROJECT, START, a_policy
from tests.fakes.clock import settle
from tests.fakes.daemon import TTL_SECONDS, FakeDaemon, World, a_daemon
from tests.fakes.source import FakeSource

OTHER = ProjectId("prj_other")


def failed_reads(daemon: FakeDaemon, what: ReadTarget) -> float | None:
    return daemon.value("lastgood_reads_failed_total", project=PROJECT, what=what)


# Leader and stand-by


async def test_a_daemon_without_the_lease_reads_nothing_and_writes_nothing() -> None:
    world = World()
    await world.store.take_lease("another", now=world.clock.now(), ttl_seconds=3600)
    async with a_daemon(world) as daemon:
        await daemon.live(60)
        assert (world.hosting.reads, world.source.asked_since, world.store.commits) == (0, [], 0)
        assert daemon.value("lastgood_leader") == 0
        assert daemon.poller.last_completed == 50, "standing by is alive"


async def test_a_stand_by_says_so_once_and_not_every_ten_seconds() -> None:
    world = World()
    lease = await world.store.take_lease("another", now=world.clock.now(), ttl_seconds=3600)
    assert lease is not None
    async with a_daemon(world) as daemon:
        with capture_logs() as lines:
            await daemon.live(60)
            await world.store.release_lease(lease)
            await daemon.live(20)
            world.store.broken = {"take_lease"}
            await daemon.live(20)
    told = [(line["event"], line.get("summary")) for line in lines if line["event"].startswith("lease.")]
    assert told == [
        ("lease.awaited", "standing by: another daemon holds the lease"),
        ("lease.taken", None),
        ("lease.awaited", "standing by: take_lease: the disk is full"),
    ]


async def test_a_stand_by_takes_over_when_the_lease_has_run_out_and_resumes_first() -> None:
    world = World()
    async with a_daemon(world, holder="one") as one, a_daemon(world, holder="two") as two:
        await one.poll()
        await two.poll()
        assert two.project.state is None
        await world.clock.advance(TTL_SECONDS)
        await two.poll()
        assert two.value("lastgood_leader") == 1
        kinds = [one.entry.kind for one in await world.store.journal(PROJECT)]
        assert kinds.count("resumed") == 2
        await one.poll()
        assert one.value("lastgood_leader") == 0


async def test_a_store_that_could_not_be_read_is_resumed_from_before_anything_is_decided() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        world.store.broken = {"load"}
        await daemon.poll()
        assert (world.hosting.reads, daemon.value("lastgood_leader")) == (0, 1)
        world.store.broken = set()
        await daemon.poll()
        kinds = [one.entry.kind for one in await world.store.journal(PROJECT)]
        assert kinds[0] == "resumed"
        assert daemon.state.serving == GOOD


# What is gathered


async def test_production_is_read_after_the_counts_so_that_what_is_decided_on_is_young() -> None:
    world = World()

    async def take_long() -> None:
        world.source.before_answer = None
        await world.clock.sleep(30)

    world.source.before_answer = take_long
    async with a_daemon(world) as daemon, asyncio.TaskGroup() as group:
        cycle = group.create_task(daemon.poller.run_cycle())
        await settle()
        assert world.hosting.reads == 0
        await world.clock.advance(30)
        await cycle
        assert daemon.state.production_seen is not None
        assert daemon.state.production_seen.elapsed == 30


async def test_an_older_answer_about_production_never_follows_a_newer_one() -> None:
    """A poll whose answer is late must not tell that the suspect serves again after the rollback was observed."""
    world = World()
    async with a_daemon(world) as daemon, asyncio.TaskGroup() as group:
        await daemon.breach()
        late = asyncio.Event()

        async def answer_late() -> None:
            world.hosting.before_read = None
            await late.wait()

        world.hosting.before_read = answer_late
        cycle = group.create_task(daemon.poller.run_cycle())
        await world.clock.advance(5)
        late.set()
        await cycle
        await daemon.live(20)
        assert daemon.incident.state is State.VERIFYING
        assert daemon.state.serving == GOOD
    assert world.hosting.reading_most == 1


async def test_the_first_reading_reaches_back_half_an_hour_and_the_next_begins_where_it_ended() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.poll()
        await world.clock.advance(60)
        await daemon.poll()
    assert world.source.asked_since == [START - timedelta(minutes=30), START]


@pytest.mark.parametrize("per_route", [False, True])
async def test_counts_are_asked_for_by_route_where_a_detector_judges_routes(per_route: bool) -> None:
    world = World()
    async with a_daemon(world, a_policy(detectors=(Threshold(per_route=per_route),))) as daemon:
        await daemon.poll()
        await world.clock.advance(60)
        await daemon.poll()
    assert world.source.asked_for_routes == [per_route] * 2


async def test_the_next_source_answers_for_one_in_trouble() -> None:
    world = World()
    spare = FakeSource(world.hosting, name="spare")
    async with a_daemon(world, sources={PROJECT: [world.source, spare]}) as daemon:
        world.source.troubles.append(Unavailable("503"))
        await daemon.poll()
        assert (daemon.state.source, daemon.state.trouble) == ("spare", "")
        assert failed_reads(daemon, ReadTarget.SAMPLES) == 0


@pytest.mark.parametrize("error", [Unavailable("503"), Refused("no", status=403), Unintelligible("<html>")])
async def test_counts_that_cannot_be_read_are_told_as_trouble_and_not_as_zero(error: Exception) -> None:
    world = World()
    async with a_daemon(world) as daemon:
        world.source.troubles.append(error)  # type: ignore[arg-type]
        with capture_logs() as lines:
            await daemon.poll()
        assert daemon.state.samples_until is None
        assert failed_reads(daemon, ReadTarget.SAMPLES) == 1
        assert str(error) in daemon.state.decision.sentence
    assert [line["error"] for line in lines if line["event"] == "read.failed"] == [f"no counts: fake: {error}"]


async def test_trouble_that_goes_on_is_logged_once_and_counted_every_time() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        world.source.troubles.extend([Unavailable("503")] * 6)
        with capture_logs() as lines:
            await daemon.live(60)
        assert failed_reads(daemon, ReadTarget.SAMPLES) == 6
    assert [line["event"] for line in lines].count("read.failed") == 1


async def test_production_that_cannot_be_read_is_told_and_nothing_is_decided_on_what_was_known_before() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        world.hosting.read_troubles.append(Unavailable("503"))
        await daemon.poll()
        assert daemon.state.production is None
        assert daemon.state.decision.reason is Reason.PRODUCTION_UNKNOWN
        assert failed_reads(daemon, ReadTarget.PRODUCTION) == 1


async def test_I_01_a_source_that_falls_silent_during_a_breach_holds_the_action_back() -> None:
    world = World()
    async with a_daemon(world, a_policy(Posture.OBSERVE)) as daemon:
        await daemon.breach()
        world.source.troubles.extend([Unavailable("503")] * 1000)
        await daemon.live(300)
        daemon.policy = a_policy()
        await daemon.live(60)
        assert (daemon.incident.state, daemon.incident.reason) == (State.HELD, Reason.BLIND)
    assert world.hosting.sent == []


async def test_what_hangs_is_given_up_and_told_as_trouble_so_that_the_cycle_ends() -> None:
    world = World()
    never = asyncio.Event()
    hanging = FakeSource(world.hosting, before_answer=never.wait)  # type: ignore[arg-type]
    sources = {OTHER: [hanging], PROJECT: [world.source]}
    async with a_daemon(world, projects=[OTHER, PROJECT], sources=sources, read_seconds_max=0.01) as daemon:
        world.hosting.before_read = never.wait  # type: ignore[assignment]
        await daemon.poll()
        assert [project.is_frozen for project in daemon.projects] == [False, False]
        assert failed_reads(daemon, ReadTarget.PRODUCTION) == 1
        assert daemon.state.decision.reason is Reason.PRODUCTION_UNKNOWN
        assert "no counts: fake: given up after" in daemon.state.trouble
        assert not daemon.project.looking.locked()
        assert daemon.poller.last_completed is not None


async def test_each_project_that_was_polled_is_progress_while_another_hangs() -> None:
    world = World()
    gate = asyncio.Event()
    hanging = FakeSource(world.hosting, before_answer=gate.wait)  # type: ignore[arg-type]
    sources = {OTHER: [hanging], PROJECT: [world.source]}
    async with a_daemon(world, projects=[OTHER, PROJECT], sources=sources) as daemon, asyncio.TaskGroup() as group:
        world.source.before_answer = lambda: world.clock.sleep(7)
        cycle = group.create_task(daemon.poller.run_cycle())
        await world.clock.advance(20)
        assert (daemon.poller.last_completed, daemon.poller.last_progress) == (None, 7)
        gate.set()
        await cycle
        assert daemon.poller.last_progress == 20


# What is seen of it


async def test_each_cycle_ends_in_one_line_with_a_sentence() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        with capture_logs() as lines:
            await daemon.poll()
        canonical = [line for line in lines if line["event"] == "cycle.completed"]
        assert canonical == [
            {
                "event": "cycle.completed",
                "log_level": "info",
                "project": PROJECT,
                "production": GOOD.id,
                "incident": None,
                "reason": Reason.NONE,
                "generation": 1,
                "digest": daemon.policy.digest,
                "summary": daemon.state.decision.sentence,
            }
        ]
        assert "0 of 200 requests failed" in canonical[0]["summary"]
        assert daemon.value("lastgood_cycles_total", project=PROJECT, outcome="completed") == 1
        assert daemon.value("lastgood_last_cycle_timestamp_seconds", project=PROJECT) == START.timestamp()
        assert daemon.value("lastgood_cycle_duration_seconds_count") == 1


async def test_an_incident_that_ended_before_is_not_told_again_when_the_state_was_read_again() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.breach()
        await daemon.live(400)
        assert daemon.state.incident is None
        ended = daemon.incident.trail[-1].sentence

        async def forget() -> None:
            daemon.project.state = None

        world.source.before_answer = forget
        with capture_logs() as lines:
            await daemon.poll()
    [line] = [line for line in lines if line["event"] == "cycle.completed"]
    assert line["summary"] != ended


async def test_a_cycle_that_could_not_be_committed_is_no_completed_one() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.live(60)
        world.store.broken = {"commit"}
        with capture_logs() as lines:
            await daemon.poll()
        assert daemon.value("lastgood_cycles_total", project=PROJECT, outcome="completed") == 6
        assert daemon.value("lastgood_cycles_total", project=PROJECT, outcome="failed") == 1
        assert daemon.value("lastgood_store_failures_total") == 1
    assert "cycle.completed" not in [line["event"] for line in lines]


@pytest.mark.parametrize("method", ["take_lease", "commit"])
async def test_I_36_a_store_that_stays_broken_pages_once_without_the_stores_help_and_nothing_is_sent(
    method: str,
) -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.poll()
        world.store.broken = {method}
        world.hosting.release(BAD)
        await daemon.live(20)
        assert daemon.notifier.told == [], "one cycle may be a moment's lock"
        await daemon.live(300)
        assert [page.title for page in daemon.notifier.pages] == ["lastgood has no store"]
        assert "the disk is full" in daemon.notifier.pages[0].sentence or method == "commit"
        assert world.hosting.sent == []
        world.store.broken = set()
        await daemon.live(400)
        assert world.hosting.sent == [GOOD.id], "it goes on by itself"


async def test_a_bug_in_one_project_pages_freezes_it_and_spares_the_others() -> None:
    world = World()
    broken = FakeSource(world.hosting)
    broken.troubles.append(ZeroDivisionError("a bug"))  # type: ignore[arg-type]
    sources = {OTHER: [broken], PROJECT: [world.source]}
    async with a_daemon(world, projects=[OTHER, PROJECT], sources=sources, reraise=False) as daemon:
        await daemon.live(60)
        assert [project.is_frozen for project in daemon.projects] == [True, False]
        assert daemon.value("lastgood_frozen", project=OTHER) == 1
        assert daemon.value("lastgood_frozen", project=PROJECT) == 0
        assert daemon.value("lastgood_cycles_total", project=PROJECT, outcome="completed") == 6
        assert [page.title for page in daemon.notifier.pages] == ["prj_other: lastgood froze itself"]
        assert len(broken.asked_since) == 1


async def test_a_state_that_cannot_be_understood_freezes_its_project_and_pages_once() -> None:
    world = World()
    async with a_daemon(world) as first:
        await first.poll()
        stored = await world.store.load(PROJECT)
        assert stored is not None
        await world.store.commit(
            PROJECT,
            expected_version=stored.version,
            lease=first.leadership.lease,
            entries=[],
            state="{}",
            commands=[],
            taken_requests=[],
            moment=stored.saved,
        )
    async with a_daemon(world, reraise=False) as daemon:
        await daemon.live(60)
        assert daemon.project.is_frozen
        assert len(daemon.notifier.pages) == 1


async def test_a_bug_in_a_notifier_takes_neither_the_process_nor_the_mitigation_down() -> None:
    world = World()
    async with a_daemon(world, reraise=False) as daemon:
        daemon.notifier.troubles.extend([KeyError("a bug")] * 100)
        await daemon.breach()
        await daemon.live(300)
        assert not daemon.project.is_frozen
        assert daemon.incident.state is State.RESOLVED
        assert daemon.value("lastgood_notifications_total", outcome="failed", severity="notice") == 4


async def test_a_bug_in_the_notifier_that_tells_of_a_bug_spares_the_other_projects() -> None:
    world = World()
    broken = FakeSource(world.hosting)
    broken.troubles.append(ZeroDivisionError("a bug"))  # type: ignore[arg-type]
    sources = {OTHER: [broken], PROJECT: [world.source]}
    async with a_daemon(world, projects=[OTHER, PROJECT], sources=sources, reraise=False) as daemon:
        daemon.notifier.troubles.append(KeyError("a second bug"))
        await daemon.live(30)
        assert [project.is_frozen for project in daemon.projects] == [True, False]
        assert daemon.value("lastgood_cycles_total", project=PROJECT, outcome="completed") == 3


@pytest.mark.parametrize("is_deployed", [False, True])
async def test_I_18_errors_everywhere_are_the_platforms_unless_everything_was_just_deployed(
    *, is_deployed: bool
) -> None:
    world = World()
    five = [ProjectId(f"prj_{number}") for number in range(5)]
    async with a_daemon(world, projects=five) as daemon:
        await daemon.live(200)
        if is_deployed:
            world.hosting.release(BAD)
        else:
            # What has served for long begins to fail on every project at once.
            await world.clock.advance(3600)
            await daemon.live(60)
            world.source.ratios = {GOOD.id: 0.3}
        await daemon.live(150)
        told = [one.state.platform for one in daemon.projects if one.state]
        assert [one is not None for one in told] == [not is_deployed] * 5
        if not is_deployed:
            assert "errors began on 5 of 5 projects" in str(told[0])


# Other projects than before


async def test_other_projects_are_polled_from_the_next_cycle_on_and_the_one_that_runs_ends_with_its_own() -> None:
    world = World()
    async with a_daemon(world, projects=[PROJECT, OTHER]) as daemon:
        first, second = daemon.projects
        daemon.poller.watch([first], {PROJECT: [world.source]})
        await daemon.poll()
        assert (first.state is not None, second.state) == (True, None)
        world.source.before_answer = lambda: tell_of_another(daemon, world)
        await daemon.poll()
        assert second.state is None, "the cycle began without it"
        world.source.before_answer = None
        await daemon.poll()
        assert second.state is not None
        assert [one.id for one in daemon.poller.projects] == [PROJECT, OTHER]


async def tell_of_another(daemon: FakeDaemon, world: World) -> None:
    daemon.poller.watch(daemon.projects, {one.id: [world.source] for one in daemon.projects})


async def test_nothing_at_all_to_poll_is_no_trouble() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        daemon.poller.watch([], {})
        await daemon.live(30)
        daemon.poller.wake(PROJECT)
        assert (world.hosting.reads, daemon.poller.last_completed) == (0, 20)


async def test_what_is_new_to_the_poller_is_resumed_before_anything_else() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.breach()
        assert daemon.incident.state is State.MITIGATING
        incident = daemon.incident.id
    async with a_daemon(world, holder="two") as daemon:
        await world.clock.advance(TTL_SECONDS)
        own = daemon.projects
        daemon.poller.watch([], {})
        await daemon.poll()
        daemon.poller.watch(own, {PROJECT: [world.source]})
        await daemon.live(60)
        assert daemon.incident.id == incident
        assert len(world.hosting.sent) == 1, "nothing was sent a second time"


async def test_a_cycle_tells_under_which_configuration_it_was_decided() -> None:
    world = World()
    async with a_daemon(world, replace(a_policy(), digest="one")) as daemon:
        with capture_logs() as lines:
            await daemon.poll()
            daemon.policy = replace(a_policy(), digest="two")
            daemon.poller.generation = 2
            await daemon.poll()
    told = [(line["generation"], line["digest"]) for line in lines if line["event"] == "cycle.completed"]
    assert told == [(1, "one"), (2, "two")]
