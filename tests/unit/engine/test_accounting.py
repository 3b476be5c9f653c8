"""What happened, counted once: series by series, and one line a transition."""

import math

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from daemon.core.event import (
    CycleEnded,
    OperatorVerb,
    ProductionObserved,
    RollbackAccepted,
    RollbackRefused,
    RollbackUnsent,
    SamplesObserved,
)
from daemon.core.incident import State
from daemon.detectors.threshold import Threshold
from daemon.engine.accounting import account, new_transitions
from daemon.engine.intake import Ask
from daemon.ports.source import Reading, Wanted
from daemon.telemetry.metrics import Metrics
from tests.builders import (
    BAD,
    FIX,
    OLD,
    PROJECT,
    Playbook,
    a_breached_playbook,
    a_deciding_playbook,
    a_policy,
    an_alias_job,
)
from tests.fakes.daemon import FakeDaemon, World, a_daemon


def some_metrics() -> Metrics:
    metrics = Metrics(CollectorRegistry(), version="0")
    metrics.initialise([PROJECT])
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"project": PROJECT, **labels})


def actions(metrics: Metrics, outcome: str, reason: str = "none") -> float | None:
    return value(metrics, "lastgood_actions_total", action="rollback", outcome=outcome, reason=reason)


def moved_in(daemon_lines: list[dict[str, object]]) -> list[str]:
    return [f"{line['source']} {line['trigger']}" for line in daemon_lines if line["event"] == "incident.moved"]


async def live_through_an_incident(daemon: FakeDaemon) -> None:
    await daemon.breach()
    await daemon.live(250)


async def test_a_whole_incident_is_counted_once() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        with capture_logs() as lines:
            await live_through_an_incident(daemon)
            await daemon.live(100)
        metrics = daemon.metrics
        assert [actions(metrics, outcome) for outcome in ("accepted", "confirmed", "failed", "unknown")] == [1, 1, 0, 0]
        assert value(metrics, "lastgood_incidents_total", outcome="recovered") == 1
        ended = [one.value for family in metrics.incidents.collect() for one in family.samples if "total" in one.name]
        assert sum(ended) == 1
        assert moved_in(lines) == ["detected authorized", "mitigating observed_on_target", "verifying recovered"]


async def test_the_counts_are_the_traffic_that_was_read_each_request_once() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.poll()
        first = value(daemon.metrics, "lastgood_requests_counted_total")
        await daemon.poll()
        assert value(daemon.metrics, "lastgood_requests_counted_total") == first == 6000
        await daemon.live(60)
        await daemon.poll()
        assert value(daemon.metrics, "lastgood_requests_counted_total") == 6200
        assert value(daemon.metrics, "lastgood_errors_counted_total") == 0


async def test_the_state_of_the_live_incident_is_one_and_every_other_nought() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        states = dict.fromkeys(State, 0.0)
        await daemon.breach()
        for state in (State.MITIGATING, State.VERIFYING, None):
            shown = {one: value(daemon.metrics, "lastgood_incident_state", state=one) for one in State}
            assert shown == (states | {state: 1.0} if state else states)
            await daemon.live(10 if state is State.MITIGATING else 250)


async def test_escalations_wait_until_somebody_takes_them() -> None:
    world = World()
    world.hosting.targets = ()
    async with a_daemon(world) as daemon:
        await daemon.breach()
        assert value(daemon.metrics, "lastgood_unacknowledged_incidents") == 1
        assert value(daemon.metrics, "lastgood_incidents_total", outcome="denied") == 1
        world.source.ratios = {}
        await daemon.live(200)
        await world.ask(Ask(OperatorVerb.ACKNOWLEDGE))
        await daemon.poll()
        assert value(daemon.metrics, "lastgood_unacknowledged_incidents") == 0
        assert value(daemon.metrics, "lastgood_incidents_total", outcome="acknowledged") is None


async def test_a_pause_is_seen_until_it_is_lifted() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        seen = []
        for ask in (None, Ask(OperatorVerb.PAUSE, for_seconds=15), None, None):
            if ask:
                await world.ask(ask)
            await daemon.live(10)
            seen.append(value(daemon.metrics, "lastgood_paused"))
    assert seen == [0, 1, 1, 0]


async def test_an_incident_that_ends_in_the_commit_in_which_the_next_begins_and_ends_is_counted_too() -> None:
    world = World()
    world.source.ratios = {BAD.id: 0.3, OLD.id: 0.3}
    async with a_daemon(world) as daemon:
        await daemon.breach()
        # Nobody looks while somebody else rolls back, and while that breaches in turn.
        since = daemon.state.samples_until
        world.hosting._moves.clear()
        world.hosting.release(OLD)
        world.hosting.alias_job = an_alias_job(OLD, requested_at=world.clock.now())
        world.clock.jump(200)
        assert since is not None
        production = await world.hosting.read_production(PROJECT)
        readings = await world.source.collect([Wanted(PROJECT, since)], now=world.clock.now())
        reading = readings[PROJECT]
        assert isinstance(reading, Reading)
        moment = daemon.moments.now()
        with capture_logs() as lines:
            await daemon.project.tell(
                ProductionObserved(moment, production),
                SamplesObserved(moment, reading.source, tuple(reading.samples), reading.complete_until),
                CycleEnded(moment),
            )
        assert moved_in(lines) == ["mitigating foreign_move", "detected denied"]
        assert value(daemon.metrics, "lastgood_incidents_total", outcome="foreign_move") == 1
        assert value(daemon.metrics, "lastgood_incidents_total", outcome="denied") == 1


async def test_the_error_ratio_is_that_of_what_serves_and_no_number_when_nobody_knows() -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.breach()
        assert value(daemon.metrics, "lastgood_error_ratio") == 0.3
        assert value(daemon.metrics, "lastgood_error_ratio_limit") == 0.05
        world.hosting.release(FIX)
        await daemon.poll()
        shown = value(daemon.metrics, "lastgood_error_ratio")
        assert shown is not None
        assert math.isnan(shown), "the errors of the one before are not those of the fix"


def test_each_answer_counts_as_what_it_is() -> None:
    metrics, play = some_metrics(), Playbook()
    for event in (
        RollbackAccepted(play.moment),
        RollbackRefused(play.moment, 403, "no"),
        RollbackUnsent(play.moment, "no route"),
        RollbackUnsent(play.moment, "no route"),
    ):
        account(metrics, play.state, play.state, [event], play.policy)
    outcomes = ("accepted", "refused", "unsent", "rate_limited", "unknown")
    assert [actions(metrics, one) for one in outcomes] == [1, 1, 2, 0, 0]


def test_an_event_that_changes_nothing_counts_no_transition() -> None:
    metrics, play = some_metrics(), a_deciding_playbook()
    assert new_transitions(play.state, play.state) == []
    with capture_logs() as lines:
        account(metrics, play.state, play.state, [CycleEnded(play.moment)], play.policy)
    assert lines == []


def test_new_transitions_are_those_since_in_order() -> None:
    before = a_breached_playbook().state
    after = a_deciding_playbook().state
    moved = new_transitions(before, after)
    assert [(one.source, one.target) for _, one in moved] == [(State.DETECTED, State.MITIGATING)]
    assert moved[0][0].suspect == BAD
    assert new_transitions(a_breached_playbook().state, before) == []


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_breach_is_counted_when_it_begins_and_one_of_a_dry_run_opens_no_incident(*, dry_run: bool) -> None:
    world, label = World(), "true" if dry_run else "false"
    detector = Threshold(dry_run=dry_run, breaches_min=2, windows=3)
    async with a_daemon(world, a_policy(detectors=(detector,))) as daemon:
        await daemon.poll()
        counted = {"detector": "threshold", "dry_run": label}
        assert value(daemon.metrics, "lastgood_breaches_total", **counted) == 0
        with capture_logs() as lines:
            await daemon.breach()
        assert value(daemon.metrics, "lastgood_breaches_total", **counted) == 1
        [found] = [line for line in lines if line["event"] == "breach.found"]
        assert (found["deployment"], found["dry_run"]) == (BAD.id, dry_run)
        assert (daemon.state.incident is None) is dry_run
        assert math.isnan(value(daemon.metrics, "lastgood_gate_margin_ratio") or 0.0)


async def test_the_gate_that_fails_first_is_shown_with_what_it_lacks() -> None:
    world = World()
    async with a_daemon(world, a_policy(detectors=(Threshold(),))) as daemon:
        await daemon.poll()
        await daemon.world.clock.advance(120)
        await daemon.poll()
        # Nobody failed: all of the five errors that a window needs are missing.
        assert value(daemon.metrics, "lastgood_gate_margin_ratio") == -1
