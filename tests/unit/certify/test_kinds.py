"""Every kind of story does what its docstring says: possible counts, the truth told right, and the seed alone."""

import statistics
from dataclasses import replace

import pytest

from daemon.certify.kinds import BAD, BY_NAME, HEALTHY, HISTORIES, OUTAGES, STORIES, Kind, draw
from daemon.certify.scene import PREVIOUS, SUSPECT
from daemon.certify.trace import Label, Trace
from daemon.certify.traffic import Traffic
from tests.unit.certify.scenes import a_scene

CLEAN = [kind for kind in BY_NAME.values() if "late" not in kind.name and "dirty" not in kind.name]
SCENE = a_scene(poll_seconds=30)
ALL = list(BY_NAME.values())


def ids(kind: Kind) -> str:
    return kind.name


def a_trace(name: str, number: int = 0) -> Trace:
    return draw(BY_NAME[name], SCENE, seed=7, number=number)


def ratio(trace: Trace, deployment: str, first: int, end: int) -> float:
    """Return errors by requests of polls [first, end)."""
    pairs = [trace.counts[deployment].at(poll) for poll in range(first, end)]
    requests = sum(one or 0 for one, _ in pairs)
    return sum(errors or 0 for _, errors in pairs) / requests if requests else 0.0


@pytest.mark.parametrize("kind", ALL, ids=ids)
def test_a_story_comes_from_its_seed_and_number_alone(kind: Kind) -> None:
    scene = a_scene(poll_seconds=60)
    story = draw(kind, scene, seed=3, number=4)
    assert story == draw(kind, scene, seed=3, number=4)
    assert story != draw(kind, scene, seed=3, number=5)
    assert story != draw(kind, scene, seed=4, number=4)


@pytest.mark.parametrize("kind", CLEAN, ids=ids)
def test_clean_counts_are_possible(kind: Kind) -> None:
    trace = draw(kind, a_scene(), seed=1, number=0)
    for read in trace.counts.values():
        assert len(read.requests) == len(read.errors)
        for requests, errors in zip(read.requests, read.errors, strict=True):
            assert requests is not None
            assert errors is not None
            assert 0 <= errors <= requests


@pytest.mark.parametrize("kind", ALL, ids=ids)
def test_the_truth_is_that_of_the_kind_and_everything_that_serves_has_counts(kind: Kind) -> None:
    trace = draw(kind, a_scene(), seed=1, number=0)
    truth = trace.truth
    assert (truth.kind, truth.label) == (kind.name, kind.label)
    assert (truth.onset_poll is None) == (kind.label is Label.HEALTHY)
    assert (truth.target is not None) == (kind.label is Label.BAD)
    assert kind.size is None or truth.size == kind.size
    served = {trace.serving(poll) for poll in range(trace.polls)}
    assert served <= trace.counts.keys()
    assert truth.target is None or truth.target in served
    assert trace.polls > max(one.poll for one in trace.releases)


@pytest.mark.parametrize("kind", ALL, ids=ids)
@pytest.mark.parametrize("poll_seconds", [60, 120])
def test_every_release_serves_for_a_poll_at_least(kind: Kind, poll_seconds: int) -> None:
    for number in range(3):
        polls = [one.poll for one in draw(kind, a_scene(poll_seconds), seed=2, number=number).releases]
        assert polls == sorted(set(polls))


@pytest.mark.parametrize("kind", BAD, ids=ids)
def test_errors_of_a_bad_release_begin_at_its_onset_and_reach_their_size(kind: Kind) -> None:
    trace = draw(kind, replace(SCENE, traffic=Traffic(500.0)), seed=7, number=1)
    onset, released = trace.truth.onset_poll, trace.releases[1].poll
    assert onset is not None
    background = 0.05 if kind.name == "high-background-bad" else 0.003
    assert ratio(trace, SUSPECT, released, onset) <= background + 0.01
    assert ratio(trace, PREVIOUS, 0, released) <= background + 0.005
    at_worst = ratio(trace, SUSPECT, trace.polls - 40, trace.polls)
    assert at_worst == pytest.approx(trace.truth.size, rel=0.35, abs=background + 0.01)


@pytest.mark.parametrize("size", [0.03, 0.05, 0.1, 0.3, 1.0])
def test_a_jump_has_its_size_from_the_first_poll_on(size: float) -> None:
    trace = a_trace(f"jump-{round(size * 100)}")
    assert trace.truth.onset_poll == trace.releases[1].poll == trace.live_from
    assert ratio(trace, SUSPECT, trace.live_from, trace.live_from + 10) == pytest.approx(size, rel=0.15)


def test_a_ramp_grows() -> None:
    trace = a_trace("ramp", 2)
    first = trace.live_from
    assert ratio(trace, SUSPECT, first, first + 2) < trace.truth.size / 2
    assert ratio(trace, SUSPECT, trace.polls - 20, trace.polls) == pytest.approx(trace.truth.size, rel=0.1)


def test_delayed_errors_begin_one_to_ten_minutes_after_the_release() -> None:
    for number in range(6):
        trace = a_trace("delayed", number)
        assert trace.truth.onset_poll is not None
        assert 60 <= (trace.truth.onset_poll - trace.live_from + 1) * 30 <= 630


def test_a_cold_start_is_over_after_ninety_seconds() -> None:
    for number in range(6):
        trace = a_trace("cold-start", number)
        first = trace.live_from
        assert ratio(trace, SUSPECT, first, first + 1) > 0.03
        assert ratio(trace, SUSPECT, first + 3, trace.polls) < 0.005


def test_flapping_comes_and_goes_on_both_sides_of_the_release() -> None:
    traces = [a_trace("flapping", number) for number in range(8)]
    peaks = [max(ratio(trace, PREVIOUS, poll, poll + 1) for poll in range(trace.live_from)) for trace in traces]
    assert sum(peak > 0.03 for peak in peaks) >= 4


def test_a_high_background_is_as_high_before_as_after() -> None:
    for number in range(4):
        trace = a_trace("high-background", number)
        before = ratio(trace, PREVIOUS, 0, trace.live_from)
        assert 0.012 <= before <= 0.055
        assert ratio(trace, SUSPECT, trace.live_from, trace.polls) == pytest.approx(before, rel=0.2)


def test_overdispersed_errors_vary_more_than_independent_ones() -> None:
    def dispersion(name: str) -> float:
        read = a_trace(name, 3).counts[PREVIOUS]
        mean = sum(e or 0 for e in read.errors) / sum(r or 0 for r in read.requests)
        scores = [
            ((e or 0) - (r or 0) * mean) ** 2 / ((r or 0) * mean)
            for r, e in zip(read.requests, read.errors, strict=True)
            if r
        ]
        return statistics.mean(scores)

    assert dispersion("overdispersed") > 2
    assert dispersion("steady") < 1.5


@pytest.mark.parametrize("name", ["low-traffic", "low-traffic-bad"])
def test_low_traffic_is_one_to_five_requests_a_minute_whatever_was_asked_for(name: str) -> None:
    trace = a_trace(name, 1)
    read = trace.counts[PREVIOUS].requests
    assert 0.4 <= sum(one or 0 for one in read) / (len(read) / 2) <= 7


def test_bursts_multiply_the_traffic_soon_after_the_release() -> None:
    trace = a_trace("traffic-bursts", 1)
    after = [one or 0 for one in trace.counts[SUSPECT].requests]
    assert max(after[:40]) >= 3 * statistics.median(after[60:])


def test_late_counts_are_all_there_in_the_end_and_some_polls_are_missed() -> None:
    served = draw(replace(BY_NAME["steady"], name="late-and-gaps"), SCENE, seed=7, number=0).counts[SUSPECT]
    read = a_trace("late-and-gaps").counts[SUSPECT]
    assert None in read.requests
    assert read.requests[-1] is not None
    lost = sum(one or 0 for one in served.requests) - sum(one or 0 for one in read.requests)
    assert 0 <= lost < 4 * max(one or 0 for one in served.requests)


@pytest.mark.parametrize("name", ["dirty-feed-bad", "dirty-feed-healthy"])
def test_a_dirty_feed_misses_repeats_and_corrects(name: str) -> None:
    traces = [draw(BY_NAME[name], a_scene(30, traffic=Traffic(0.3)), seed=7, number=n) for n in range(6)]
    reads = [(requests, errors) for t in traces for requests, errors in _pairs(t)]
    assert any(requests is None for requests, _ in reads)
    assert any(requests is not None and requests < 0 for requests, _ in reads)
    assert any(trace.repeats for trace in traces)


@pytest.mark.slow
def test_a_dirty_feed_can_count_more_errors_than_requests() -> None:
    traces = [draw(BY_NAME["dirty-feed-bad"], SCENE, seed=7, number=n) for n in range(8)]
    assert any(r is not None and e is not None and e > r for t in traces for r, e in _pairs(t))


def _pairs(trace: Trace) -> list[tuple[int | None, int | None]]:
    read = trace.counts[SUSPECT]
    return list(zip(read.requests, read.errors, strict=True))


@pytest.mark.parametrize("kind", [*OUTAGES, BY_NAME["just-before-seen-late"]], ids=ids)
def test_an_outage_hits_whatever_serves(kind: Kind) -> None:
    for number in range(4):
        trace = draw(kind, SCENE, seed=7, number=number)
        onset, released = trace.truth.onset_poll, trace.releases[1].poll
        assert onset is not None
        if kind.name == "mid-life":
            assert 20 * 60 - 30 <= (onset - released) * 30 <= 3 * 3600
        else:
            assert onset < released
            # A quiet minute has no visitors; the outage is there all the same.
            assert ratio(trace, SUSPECT, released, released + 30) > 0.4 * trace.truth.size
        served = trace.serving(onset + 1)
        assert ratio(trace, served, onset + 1, onset + 2) in (0.0, pytest.approx(trace.truth.size, rel=0.4))


def test_an_outage_that_is_seen_late_has_at_least_a_minute_of_lag() -> None:
    assert draw(BY_NAME["just-before-seen-late"], a_scene(10), seed=1, number=0).lag_polls == 6
    assert draw(BY_NAME["just-before-seen-late"], a_scene(60, lag_polls=3), seed=1, number=0).lag_polls == 3


def test_trains_go_back_to_what_served_before_the_fault() -> None:
    assert a_trace("train-same-fault").truth.target == PREVIOUS
    assert a_trace("healthy-then-bad").truth.target == SUSPECT


@pytest.mark.parametrize(("name", "cold"), [("healthy-train", 1), ("cold-train", 5)])
def test_trains_have_five_healthy_releases_of_which_the_first_or_all_start_cold(name: str, cold: int) -> None:
    trace = draw(BY_NAME[name], a_scene(10), seed=7, number=2)
    releases = trace.releases[1:]
    assert [one.deployment for one in releases] == [f"dpl_{letter}" for letter in "ABCDE"]
    starts = [ratio(trace, one.deployment, one.poll, one.poll + 2) > 0.01 for one in releases]
    assert starts == [True] * cold + [False] * (5 - cold)
    assert all(ratio(trace, one.deployment, one.poll + 10, trace.polls) < 0.005 for one in releases)


def test_nobody_sees_an_unvisited_release_before_its_onset() -> None:
    trace = a_trace("unvisited")
    onset, read = trace.truth.onset_poll, trace.counts[SUSPECT]
    assert onset is not None
    assert 20 * 60 - 30 <= (onset - trace.live_from) * 30 <= 40 * 60
    assert not any(read.requests[: onset - trace.live_from])
    assert ratio(trace, SUSPECT, onset, trace.polls) == 1.0


@pytest.mark.parametrize("name", ["bad-fix", "good-fix"])
def test_a_fix_comes_after_a_person_went_back_and_is_judged_alone(name: str) -> None:
    trace = a_trace(name)
    _, broken, back, fix = trace.releases
    assert (broken.deployment, back.deployment, back.is_rollback, fix.is_rollback) == (SUSPECT, PREVIOUS, True, False)
    assert trace.truth.judged_from == fix.poll
    assert trace.goes_on


def test_damage_that_outlasts_the_rollback_stays_on_what_served_before() -> None:
    trace = a_trace("rollback-does-not-help")
    assert ratio(trace, PREVIOUS, 0, trace.live_from) < 0.01
    assert ratio(trace, PREVIOUS, trace.live_from, trace.polls) == pytest.approx(trace.truth.size, rel=0.1)


@pytest.mark.parametrize(("name", "is_cold"), [("history-jump-10", False), ("cold-history-jump-10", True)])
def test_histories_have_seven_kept_releases_before_the_one_that_is_judged(name: str, is_cold: bool) -> None:
    trace = a_trace(name)
    kept = [ratio(trace, one.deployment, one.poll, one.poll + 1) > 0.03 for one in trace.releases[1:-1]]
    assert kept == [is_cold] * 7
    assert [one.poll < trace.live_from for one in trace.releases[1:]] == [True] * 7 + [False]
    assert trace.truth.target == trace.releases[-2].deployment


def test_every_name_is_used_once() -> None:
    assert len(BY_NAME) == len(HEALTHY) + len(BAD) + len(OUTAGES) + len(STORIES) + len(HISTORIES)
