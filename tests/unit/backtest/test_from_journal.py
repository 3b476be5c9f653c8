"""What the journal tells of the past: the counts, who served since when, and when nobody could count."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from daemon.backtest.from_journal import read_journal, read_journals
from daemon.backtest.history import HistoryError, ProjectHistory, Span
from daemon.backtest.replay import replay
from daemon.core.event import (
    Event,
    MoveTold,
    OperatorRequested,
    OperatorVerb,
    ProductionObserved,
    ReadFailed,
    ReadTarget,
    RollbackAccepted,
    SamplesObserved,
)
from daemon.core.facts import ActivationOrigin, AliasJobType, ProjectId
from daemon.core.state import ACTIVATIONS_MAX, ProjectState
from daemon.engine.codec import encode_state
from daemon.ports.store import JournalEntry
from daemon.stores.memory import MemoryStore
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    OLD,
    PROJECT,
    START,
    Playbook,
    a_breached_playbook,
    a_deployment,
    a_production,
    a_sample,
    a_switched_playbook,
    an_alias_job,
    an_instant,
)
from tests.unit.backtest.histories import samples_of
from tests.unit.backtest.journals import a_store

LONG_AGO = START - timedelta(days=3)


async def history_of(
    events: Sequence[Event], state: ProjectState | None = None, *, since: datetime = LONG_AGO
) -> ProjectHistory:
    history = await read_journal(await a_store(events, state), PROJECT, since=since)
    assert history is not None
    return history


def told(history: ProjectHistory) -> list[tuple[str, ActivationOrigin]]:
    return [(one.deployment, one.origin) for one in history.activations]


async def test_counts_and_activations_are_those_that_the_daemon_had() -> None:
    play = a_breached_playbook()
    history = await history_of(play.events, play.state)
    counted = [sample for event in play.events if isinstance(event, SamplesObserved) for sample in event.samples]
    assert samples_of(history) == counted
    assert told(history) == [(GOOD.id, ActivationOrigin.FIRST_SEEN), (BAD.id, ActivationOrigin.RELEASE)]
    assert [one.at for one in history.activations] == [one.at for one in play.state.activations]
    assert (history.activations[1].created_at, history.activations[1].commit) == (BAD.created_at, BAD.commit_sha)
    assert (history.lag, history.repeats, history.no_data) == (timedelta(0), 0, ())
    assert (history.start, history.until) == (START, play.moment.at)


async def test_the_same_policy_decides_in_the_replay_what_it_decided_then() -> None:
    play = a_breached_playbook()
    # In the playbook a minute passes at once, and is read at its end.
    history = await history_of(play.events, play.state)
    [row] = replay(history, play.policy).rows
    assert (row.suspect, row.target, row.onset_at) == (BAD.id, GOOD.id, play.incident.finding.onset_at)
    assert row.at == play.incident.opened.at
    assert row.sentence == play.incident.finding.sentence


@pytest.mark.parametrize("knows", [True, False])
async def test_our_own_rollback_is_told_from_somebody_elses(knows: bool) -> None:
    play = a_switched_playbook()
    play.minutes(GOOD, 0.0, 2)
    ours = await history_of(play.events, play.state if knows else None)
    assert told(ours)[2:] == [(GOOD.id, ActivationOrigin.OUR_ROLLBACK)]
    if not knows:
        theirs = await history_of([one for one in play.events if not isinstance(one, RollbackAccepted)])
        assert told(theirs)[2:] == [(GOOD.id, ActivationOrigin.FOREIGN_ROLLBACK)]


async def test_our_own_rollback_is_not_dated_before_it_was_sent() -> None:
    play = a_switched_playbook()
    play.minutes(GOOD, 0.0, 2)
    sent = next(event.moment.at for event in play.events if isinstance(event, RollbackAccepted))

    async def dated(at: datetime, origin: ActivationOrigin = ActivationOrigin.OUR_ROLLBACK) -> datetime | None:
        activations = (*play.state.activations[:2], replace(play.state.activations[2], at=at, origin=origin))
        return (await history_of(play.events, replace(play.state, activations=activations))).activations[2].at

    assert await dated(sent - timedelta(seconds=2)) == sent
    assert await dated(sent + timedelta(seconds=2)) == sent + timedelta(seconds=2)
    # What lies further back is another one, and what somebody else did is dated by Vercel alone.
    assert await dated(sent - timedelta(seconds=61)) == sent - timedelta(seconds=61)
    sooner = sent - timedelta(seconds=2)
    assert await dated(sooner, ActivationOrigin.FOREIGN_ROLLBACK) == sooner


async def test_a_project_that_never_moved_within_the_time_asked_for_has_what_served_all_along() -> None:
    play = a_breached_playbook()
    since = START + timedelta(minutes=3, seconds=30)
    history = await history_of(play.events, play.state, since=since)
    assert told(history) == [(GOOD.id, ActivationOrigin.FIRST_SEEN), (BAD.id, ActivationOrigin.RELEASE)]
    assert {one.deployment for one in samples_of(history)} == {BAD.id}


def many_releases(count: int) -> Playbook:
    """Return a playbook in which a new deployment goes live every five minutes."""
    play = Playbook()
    for number in range(count):
        one = a_deployment(f"n{number}", created_at=START + timedelta(minutes=5 * number, seconds=-30))
        job = an_alias_job(one, type=AliasJobType.PROMOTE, from_deployment=None, requested_at=play.moment.at)
        play.serves(one, alias_job=job).minutes(one, 0.0, 5)
    return play


@pytest.mark.slow
async def test_activations_that_the_state_has_dropped_are_followed_in_the_journal() -> None:
    play = many_releases(ACTIVATIONS_MAX + 4)
    assert play.state.activations[0].deployment.id == "dpl_n4"
    history = await history_of(play.events, play.state)
    assert [one.deployment for one in history.activations] == [f"dpl_n{n}" for n in range(ACTIVATIONS_MAX + 4)]
    moments = [one.at for one in history.activations[1:]]
    assert moments == [START + timedelta(minutes=5 * n) for n in range(1, ACTIVATIONS_MAX + 4)]


async def test_a_release_whose_old_domain_date_is_implausible_is_dated_by_its_own_job() -> None:
    # Long ago, and good was seen serving ever since: only polls, not looks that saw nothing new, are in the journal.
    play = Playbook()
    again = replace(OLD, alias_assigned_at=START + timedelta(minutes=5))
    play.minutes(GOOD, 0.0, 30)
    went_live = play.moment.at
    job = an_alias_job(OLD, type=AliasJobType.PROMOTE, from_deployment=GOOD.id, requested_at=went_live)
    play.serves(again, alias_job=job).minutes(OLD, 0.0, 2)
    history = await history_of(play.events)
    assert told(history)[1] == (OLD.id, ActivationOrigin.BROUGHT_BACK)
    assert history.activations[1].at == went_live


async def test_every_count_keeps_its_delay_and_the_lag_is_their_median() -> None:
    minute = timedelta(minutes=1)
    events: list[Event] = []
    for number, delay in enumerate((60, 70, 3600)):
        sample = a_sample(GOOD, start=START + number * minute)
        moment = an_instant(60 * (number + 1) + delay)
        events.append(SamplesObserved(moment, "test", (sample,), complete_until=sample.end))
    late = a_sample(GOOD, start=START, requests=3, errors=1, is_late=True)
    events.append(SamplesObserved(an_instant(4000), "test", (late,), complete_until=START + 3 * minute))
    history = await history_of(events)
    assert history.lag == timedelta(seconds=70)
    assert [one.delay.total_seconds() for one in history.counts if not one.sample.is_late] == [60, 70, 3600]
    assert [(one.sample, one.delay.total_seconds()) for one in history.counts if one.sample.is_late] == [(late, 3940)]


async def test_what_was_counted_twice_counts_once_and_is_told() -> None:
    sample = a_sample(GOOD)
    twice = [SamplesObserved(an_instant(seconds), "test", (sample,), complete_until=sample.end) for seconds in (60, 75)]
    history = await history_of(twice)
    assert (samples_of(history), history.repeats) == ([sample], 1)


async def test_failed_readings_are_time_without_data_and_empty_ones_are_not() -> None:
    def failed(seconds: float) -> Event:
        return ReadFailed(an_instant(seconds), ReadTarget.SAMPLES, "no counts: 402")

    sample = a_sample(GOOD)
    first = SamplesObserved(an_instant(60), "test", (sample,), complete_until=sample.end)
    last = SamplesObserved(
        an_instant(900), "test", (a_sample(GOOD, start=START + timedelta(minutes=13)),), complete_until=sample.end
    )
    events = [first, failed(100), failed(115), failed(130), last]
    history = await history_of(events)
    # A failed reading speaks for two minutes at most: afterwards somebody read, and nobody was there to count.
    assert history.no_data == (Span(an_instant(100).at, an_instant(250).at),)
    production = ReadFailed(an_instant(100), ReadTarget.PRODUCTION, "production unread")
    assert (await history_of([first, production, last])).no_data == ()


async def test_what_webhooks_and_people_said_disturbs_nothing() -> None:
    play = a_breached_playbook()
    beside: list[Event] = [
        MoveTold(play.moment, AliasJobType.PROMOTE, None, FIX.id, play.moment.at),
        OperatorRequested(play.moment, OperatorVerb.PAUSE, "ann"),
    ]
    assert await history_of([*play.events, *beside]) == await history_of(play.events)


async def test_a_journal_without_counts_is_no_history() -> None:
    only_production = [ProductionObserved(an_instant(), a_production(GOOD))]
    assert await read_journal(await a_store(only_production), PROJECT, since=LONG_AGO) is None
    assert await read_journal(MemoryStore(), PROJECT, since=LONG_AGO) is None


async def test_projects_are_read_one_after_the_other_as_far_as_they_are_wanted() -> None:
    store = await a_store(a_breached_playbook().events)

    async def projects(wanted: bool) -> list[ProjectId]:
        return [one.project async for one in read_journals(store, lambda _: wanted, since=LONG_AGO)]

    assert await projects(True) == [PROJECT]
    assert await projects(False) == []


@pytest.mark.parametrize("spoiled", ["entry", "state"])
async def test_what_another_version_wrote_is_refused(spoiled: str) -> None:
    store = MemoryStore()
    await store.commit(
        PROJECT,
        expected_version=0,
        lease=None,
        entries=[JournalEntry("magic", '{"kind": "magic"}', "told", an_instant())],
        state="{}" if spoiled == "state" else encode_state(ProjectState(PROJECT)),
        commands=[],
        taken_requests=[],
        moment=an_instant(),
    )
    what = "journal entry 1 of prj_shop" if spoiled == "entry" else "the state of prj_shop"
    with pytest.raises(HistoryError, match=f"{what}.* cannot be read by this version"):
        await read_journal(store, PROJECT, since=LONG_AGO)
