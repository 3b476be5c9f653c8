"""How well a project is seen: every reason on both sides of its bound, and whom blindness wakes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.core.command import Notify, Severity
from daemon.core.event import CycleEnded, Event, ProductionObserved, ReadFailed, ReadTarget, SamplesObserved
from daemon.core.facts import ErrorRateSample
from daemon.core.guardrail import Reason
from daemon.core.seeing import POLLS_UNREAD_MAX, wants_close_up, wants_routes
from daemon.core.signal import Signal, SignalReason, SignalState, SourceTrouble
from daemon.core.state import ProjectState
from daemon.core.step import step
from daemon.detectors.burn_rate import BurnRate
from daemon.detectors.threshold import Threshold
from tests.builders import BAD, PROJECT, a_deciding_playbook, a_policy, a_production, a_released_playbook, an_instant

POLL = 15.0
POLICY = a_policy()


class Watcher:
    """Polls one project by hand: what each poll could read is said, and the signal is looked at."""

    def __init__(self) -> None:
        self.state = ProjectState(PROJECT)
        self.seconds = 0.0
        self.told: list[Notify] = []

    def tell(self, event: Event) -> None:
        self.state, commands = step(self.state, event, POLICY)
        self.told += [one for one in commands if isinstance(one, Notify)]

    def counts(self, *, age: float = 60.0, visitors: int = 100, troubles: tuple[SourceTrouble, ...] = ()) -> None:
        """Poll: counts came, complete up to *age* seconds ago."""
        self.seconds += POLL
        now = an_instant(self.seconds)
        until = now.at - timedelta(seconds=age)
        samples = (ErrorRateSample(BAD.id, until - timedelta(minutes=1), until, visitors, 0),) if visitors else ()
        self.tell(SamplesObserved(now, "drain", samples, until, troubles=troubles))
        self.tell(CycleEnded(now))

    def fails(self, what: ReadTarget = ReadTarget.SAMPLES, reason: SignalReason = SignalReason.PLAN) -> None:
        """Poll: *what* could not be read."""
        self.seconds += POLL
        now = an_instant(self.seconds)
        self.tell(ReadFailed(now, what, "402", reason))
        self.tell(CycleEnded(now))

    def sleeps(self, seconds: float) -> None:
        self.seconds += seconds - POLL

    @property
    def signal(self) -> Signal:
        assert self.state.signal is not None, "no poll was told to its end"
        return self.state.signal

    @property
    def sight(self) -> tuple[SignalState, SignalReason]:
        return self.signal.state, self.signal.reason


SEEING = (SignalState.OBSERVING, SignalReason.NONE)


def test_before_the_first_counts_nobody_sees_anything() -> None:
    watcher = Watcher()
    watcher.tell(CycleEnded(an_instant(0)))
    assert watcher.sight == (SignalState.DEGRADED, SignalReason.NOT_POLLED)


def test_fresh_counts_are_seen() -> None:
    watcher = Watcher()
    watcher.counts()
    assert watcher.sight == SEEING


@pytest.mark.parametrize("what", [ReadTarget.SAMPLES, ReadTarget.PRODUCTION])
def test_I_01_the_third_poll_in_a_row_without_an_answer_is_blind_since_the_first_of_them(what: ReadTarget) -> None:
    watcher = Watcher()
    watcher.counts()
    for _ in range(POLLS_UNREAD_MAX - 1):
        watcher.fails(what)
        assert watcher.sight == (SignalState.DEGRADED, SignalReason.PLAN)
    watcher.fails(what)
    assert watcher.sight == (SignalState.BLIND, SignalReason.PLAN)
    assert watcher.signal.since.elapsed == 2 * POLL
    assert watcher.state.decision.reason is Reason.BLIND


def test_an_answer_in_between_begins_the_count_anew() -> None:
    watcher = Watcher()
    for _ in range(3):
        watcher.fails()
        watcher.fails()
        watcher.counts()
    assert watcher.sight == SEEING


def test_a_target_list_that_cannot_be_read_blinds_nobody() -> None:
    watcher = Watcher()
    for _ in range(5):
        watcher.counts()
        watcher.tell(ReadFailed(an_instant(watcher.seconds), ReadTarget.TARGETS, "503"))
    assert watcher.sight == SEEING


@pytest.mark.parametrize(("age", "sight"), [(300, SEEING), (301, (SignalState.BLIND, SignalReason.LAGGING))])
def test_I_09_counts_that_come_and_are_older_than_the_bound_say_nothing_of_now(age: float, sight: object) -> None:
    watcher = Watcher()
    watcher.counts(age=age)
    assert watcher.sight == sight


def test_I_02_a_source_that_counts_nobody_is_neither_healthy_nor_a_reason_to_wake_anybody() -> None:
    watcher = Watcher()
    watcher.counts(age=0, visitors=10)
    until = watcher.seconds
    for _ in range(100):
        watcher.counts(age=watcher.seconds + POLL - until, visitors=0)
    assert watcher.sight == (SignalState.DEGRADED, SignalReason.NO_TRAFFIC)
    assert "counted nobody for 1500 s" in watcher.signal.sentence
    assert watcher.told == []


@pytest.mark.parametrize(("age", "sight"), [(300, SEEING), (301, (SignalState.BLIND, SignalReason.NOT_POLLED))])
def test_a_look_at_production_that_is_too_old_blinds_although_no_read_failed(age: float, sight: object) -> None:
    watcher = Watcher()
    seen = an_instant(POLL)
    watcher.tell(ProductionObserved(seen, a_production()))
    watcher.counts()
    watcher.state = replace(watcher.state, cycle_ended=an_instant(POLL + age - 1))
    watcher.seconds = age
    watcher.counts()
    assert watcher.sight == sight


@pytest.mark.parametrize(("gap", "reason"), [(120, SignalReason.NONE), (121, SignalReason.NOT_POLLED)])
def test_a_long_pause_between_two_polls_is_told_for_one_poll(gap: float, reason: SignalReason) -> None:
    watcher = Watcher()
    watcher.counts()
    watcher.sleeps(gap)
    watcher.counts()
    assert watcher.signal.reason is reason
    watcher.counts()
    assert watcher.sight == SEEING


def test_another_source_in_trouble_is_told_and_another_story_is_the_worst_trouble() -> None:
    watcher = Watcher()
    plan = SourceTrouble("observability", SignalReason.PLAN, "needs Plus")
    story = SourceTrouble("request_logs", SignalReason.DISAGREEING, "counts 5 of 10")
    watcher.counts(troubles=(plan,))
    assert watcher.sight == (SignalState.DEGRADED, SignalReason.PLAN)
    watcher.counts(troubles=(plan, story))
    assert watcher.sight == (SignalState.DEGRADED, SignalReason.DISAGREEING)
    assert watcher.signal.sentence == "observability: needs Plus; request_logs: counts 5 of 10"
    assert watcher.signal.since.elapsed == POLL, "degraded since the first of them"
    watcher.counts()
    assert watcher.sight == SEEING


@pytest.mark.parametrize("reason", [SignalReason.WITNESS_ONLY, SignalReason.DISAGREEING])
def test_I_01_a_doubt_is_not_hidden_by_a_passing_trouble(reason: SignalReason) -> None:
    doubt = SourceTrouble("probe", reason, "doubtful")
    watcher = Watcher()
    watcher.counts(troubles=(doubt,))
    watcher.tell(ReadFailed(an_instant(watcher.seconds), ReadTarget.PRODUCTION, "502"))
    watcher.counts(troubles=(doubt,))
    assert watcher.sight == (SignalState.DEGRADED, reason)
    watcher.sleeps(300)
    watcher.counts(troubles=(doubt,))
    assert watcher.sight == (SignalState.DEGRADED, reason)


def test_I_01_what_a_witness_saw_stays_in_doubt_for_as_long_as_it_may_be_judged_by() -> None:
    watcher = Watcher()
    watcher.counts(troubles=(SourceTrouble("probe", SignalReason.WITNESS_ONLY, "alone"),))
    seen = watcher.seconds
    while watcher.seconds - seen < POLICY.attribution_window.total_seconds():
        watcher.counts()
        assert watcher.sight == (SignalState.DEGRADED, SignalReason.WITNESS_ONLY)
    watcher.counts()
    assert watcher.sight == SEEING


def test_many_failed_reads_between_two_polls_are_one_poll() -> None:
    watcher = Watcher()
    watcher.counts()
    for _ in range(5):
        watcher.tell(ReadFailed(an_instant(watcher.seconds), ReadTarget.PRODUCTION, "502"))
    watcher.counts()
    assert watcher.signal.state is SignalState.DEGRADED


def test_blindness_of_both_kinds_is_one_page_that_names_both_and_one_all_clear() -> None:
    watcher = Watcher()
    for _ in range(60):
        watcher.fails(ReadTarget.SAMPLES)
        watcher.tell(ReadFailed(an_instant(watcher.seconds), ReadTarget.PRODUCTION, "403", SignalReason.UNAUTHORIZED))
    [page] = watcher.told
    assert (page.severity, page.title) == (Severity.PAGE, f"{PROJECT}: blind")
    assert "error rates could not be read" in page.sentence
    assert "which deployment serves production could not be read" in page.sentence
    watcher.state = replace(watcher.state, unread={})
    watcher.counts()
    assert [one.title for one in watcher.told[1:]] == [f"{PROJECT}: sees again"]
    watcher.counts()
    assert len(watcher.told) == 2


def test_the_finest_counts_are_wanted_after_an_activation_and_during_an_incident() -> None:
    play = a_released_playbook()
    assert wants_close_up(play.state, POLICY, play.moment)
    later = replace(play.moment, at=play.moment.at + POLICY.attribution_window)
    assert not wants_close_up(play.state, POLICY, later)
    live = a_deciding_playbook().state
    assert wants_close_up(live, POLICY, replace(later, at=later.at + timedelta(days=1)))
    assert not wants_close_up(ProjectState(PROJECT), POLICY, an_instant(0))


@pytest.mark.parametrize(
    ("detectors", "wanted"),
    [
        ((Threshold(),), False),
        ((BurnRate(),), False),
        ((BurnRate(), Threshold(per_route=True)), True),
    ],
)
def test_routes_are_wanted_where_a_detector_judges_them(
    detectors: tuple[BurnRate | Threshold, ...], wanted: bool
) -> None:
    assert wants_routes(a_policy(detectors=detectors)) is wanted


# Silence


def after_silence(*, visitors: int, polls: int) -> Watcher:
    """Two hours of visits, and then a watermark that stands still, as where a source answers and has nothing new."""
    watcher = Watcher()
    for _ in range(480):
        watcher.counts(visitors=visitors)
    until = watcher.seconds
    for _ in range(polls):
        watcher.counts(age=watcher.seconds + POLL - until, visitors=0)
    return watcher


BLIND, QUIET = (SignalState.BLIND, SignalReason.NO_TRAFFIC), (SignalState.DEGRADED, SignalReason.NO_TRAFFIC)


@pytest.mark.parametrize(
    ("visitors", "polls", "sight"),
    [
        # Four hundred a minute: missed as soon as counts may be no older.
        (100, 20, SEEING),
        (100, 21, BLIND),
        # Four a minute: fifty are missing after a bit more than twelve minutes.
        (1, 21, QUIET),
        (1, 45, QUIET),
        (1, 60, BLIND),
    ],
)
def test_I_01_a_site_that_counts_nobody_where_fifty_would_have_come_is_seen_by_nobody(
    visitors: int, polls: int, sight: object
) -> None:
    watcher = after_silence(visitors=visitors, polls=polls)
    assert watcher.sight == sight
    if sight == BLIND:
        assert watcher.signal.since.elapsed == 480 * POLL, "since visitors were counted last"
        assert "a minute were usual" in watcher.signal.sentence


def test_a_silence_wakes_somebody_once_and_after_a_day_it_is_how_it_is_now() -> None:
    day = round(24 * 3600 / POLL)
    watcher = after_silence(visitors=100, polls=day)
    assert watcher.sight == BLIND
    assert len(watcher.told) == 1
    watcher.counts(age=(day + 1) * POLL, visitors=0)
    assert watcher.sight == QUIET


def test_errors_alone_tell_nothing_of_usual_traffic() -> None:
    watcher = Watcher()
    sample = ErrorRateSample(BAD.id, an_instant(0).at, an_instant(60).at, None, 9)
    watcher.tell(SamplesObserved(an_instant(60), "logs", (sample,), an_instant(60).at))
    assert watcher.state.traffic == 0.0
