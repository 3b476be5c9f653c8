"""The threshold rule: each bound at its edge, counts counted once, gaps, onset, and memory across a restart."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, ActivationOrigin, Deployment, ErrorRateSample, RouteCounts
from daemon.detectors import decode_memory, encode_memory
from daemon.detectors.threshold import Threshold, ThresholdMemory
from daemon.detectors.windows import Window
from tests.builders import BAD, GOOD, MINUTE, START, a_sample

SECOND = timedelta(seconds=1)
RULE = Threshold(window=MINUTE, max_error_rate=0.05, min_requests=20, min_errors=5, breaches_min=2, windows=3)
COUNTING = Threshold(window=MINUTE, errors_per_minute_max=30, min_errors=5, breaches_min=2, windows=3)


def minutes(*counts: tuple[int | None, int] | None, first: int = 0) -> list[ErrorRateSample]:
    """Return a sample for each minute of (requests, errors); None leaves a gap."""
    return [
        a_sample(start=START + (first + number) * MINUTE, requests=count[0], errors=count[1])
        for number, count in enumerate(counts)
        if count
    ]


def judged(rule: Threshold, samples: Iterable[ErrorRateSample]) -> tuple[ThresholdMemory, Finding]:
    memory, finding = rule.begin(), None
    for sample in samples:
        memory, finding = rule.update(memory, sample)
    assert finding is not None
    return memory, finding


def late(minute: float, requests: int | None, errors: int, **facts: Any) -> ErrorRateSample:
    """Return counts that come on top of those of that minute."""
    return a_sample(start=START + minute * MINUTE, requests=requests, errors=errors, is_late=True, **facts)


def verdict(*counts: tuple[int | None, int] | None, rule: Threshold = RULE) -> Verdict:
    return judged(rule, minutes(*counts))[1].verdict


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ((100, 5), Verdict.BREACHING),
        ((101, 5), Verdict.HEALTHY),
        ((100, 4), Verdict.HEALTHY),
        ((20, 5), Verdict.BREACHING),
        ((19, 5), Verdict.INCONCLUSIVE),
        ((20, 4), Verdict.INCONCLUSIVE),
        ((0, 0), Verdict.INCONCLUSIVE),
        ((19, 0), Verdict.INCONCLUSIVE),
        ((20, 0), Verdict.HEALTHY),
    ],
)
def test_I_03_each_bound_is_met_at_its_value_and_not_one_before(count: tuple[int, int], expected: Verdict) -> None:
    assert verdict(count, count, count) is expected


@pytest.mark.parametrize("percent", range(1, 100))
def test_the_limit_itself_is_bad_whatever_floating_point_makes_of_it(percent: int) -> None:
    rule = Threshold(max_error_rate=percent / 100, min_errors=1, breaches_min=2, windows=3)
    assert verdict((100, percent), (100, percent), rule=rule) is Verdict.BREACHING
    assert verdict((1000, 10 * percent - 1), (1000, 10 * percent - 1), rule=rule) is not Verdict.BREACHING


@pytest.mark.parametrize("breaches_min", [2, 3, 4])
def test_I_04_m_windows_are_needed_and_one_fewer_is_not_enough(breaches_min: int) -> None:
    rule = Threshold(breaches_min=breaches_min, windows=5)
    assert verdict(*[(100, 50)] * (breaches_min - 1), rule=rule) is Verdict.INCONCLUSIVE
    assert verdict(*[(100, 50)] * breaches_min, rule=rule) is Verdict.BREACHING


def test_m_of_n_looks_at_the_last_n_windows_only() -> None:
    assert verdict((100, 50), (100, 0), (100, 50)) is Verdict.BREACHING
    assert verdict((100, 50), (100, 0), (100, 0), (100, 50)) is Verdict.INCONCLUSIVE
    assert verdict((100, 50), None, (100, 50)) is Verdict.BREACHING
    assert verdict((100, 50), None, None, (100, 50)) is Verdict.INCONCLUSIVE


def test_a_breach_is_over_when_it_leaves_the_windows_and_healthy_when_none_is_left() -> None:
    bad = [(100, 50)] * 2
    assert verdict(*bad, (100, 0)) is Verdict.BREACHING
    assert verdict(*bad, (100, 0), (100, 0)) is Verdict.INCONCLUSIVE
    assert verdict(*bad, *[(100, 0)] * 3) is Verdict.HEALTHY


def test_silence_after_a_breach_is_not_healthy() -> None:
    assert verdict((100, 50), (100, 50), *[(0, 0)] * 10) is Verdict.INCONCLUSIVE


def test_without_a_complete_window_nothing_is_known() -> None:
    _, finding = judged(RULE, [a_sample(end=START + 59 * SECOND, errors=90)])
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.error_ratio is None
    assert finding.sentence == "no complete window yet"


def test_small_pieces_make_one_window() -> None:
    pieces = [
        a_sample(start=START + 10 * n * SECOND, end=START + 10 * (n + 1) * SECOND, requests=20, errors=10)
        for n in range(12)
    ]
    memory, finding = judged(RULE, pieces[:6])
    assert [(one.requests, one.errors) for one in memory.completed] == [(120, 60)]
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert judged(RULE, pieces)[1].verdict is Verdict.BREACHING


def test_I_04_replayed_and_overlapping_counts_are_counted_once() -> None:
    story = minutes((100, 50), (100, 0), (100, 0))
    memory, finding = judged(RULE, story)
    for offset in range(-120, 180, 15):
        overlapping = a_sample(start=START + offset * SECOND, requests=1000, errors=999)
        assert RULE.update(memory, overlapping) == (memory, finding)


def test_a_replay_into_an_open_window_counts_once() -> None:
    half = a_sample(end=START + 30 * SECOND, errors=20)
    memory, finding = judged(RULE, [half])
    assert RULE.update(memory, half) == (memory, finding)


def test_a_memory_without_a_finding_still_answers_a_replay() -> None:
    memory, finding = judged(RULE, minutes((100, 50)))
    forgetful = ThresholdMemory(memory.completed, memory.open, memory.onset)
    assert RULE.update(forgetful, minutes((100, 50))[0])[1] == finding


@pytest.mark.parametrize(("gap_seconds", "requests"), [(60, 200), (61, 100)])
def test_an_open_window_waits_for_one_window_and_then_is_forgotten(gap_seconds: int, requests: int) -> None:
    first = a_sample(end=START + 30 * SECOND)
    second = a_sample(start=START + (30 + gap_seconds) * SECOND)
    memory, _ = judged(RULE, [first, second])
    assert memory.completed[-1].requests == requests


@pytest.mark.parametrize(("later", "counted"), [([], (100, 10)), ([50], (100, 50)), ([50, 70], (200, 120))])
def test_the_onset_is_the_first_hot_window_which_counts_only_while_it_is_alone(
    later: list[int], counted: tuple[int, int]
) -> None:
    _, finding = judged(RULE, minutes((100, 0), (100, 10), *((100, errors) for errors in later)))
    assert (finding.onset_at, finding.onset_before) == (START + MINUTE, START + 2 * MINUTE)
    assert (finding.requests, finding.errors, finding.limit) == (*counted, 0.05)


def test_a_hot_window_below_the_minimum_is_neither_an_onset_nor_a_breach() -> None:
    _, finding = judged(RULE, minutes((10, 1)))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.onset_at is None


def test_an_episode_lasts_while_one_of_the_windows_is_hot() -> None:
    _, finding = judged(RULE, minutes((100, 50), (100, 0), (100, 0)))
    assert finding.onset_at == START
    _, finding = judged(RULE, minutes((100, 50), (100, 0), (100, 0), (100, 0)))
    assert finding.onset_at is None
    assert (finding.requests, finding.errors) == (100, 0)


@pytest.mark.parametrize(("quiet", "onset_minute"), [(1, 0), (2, 3), (60, 61)])
def test_trouble_after_a_gap_is_a_new_episode(quiet: int, onset_minute: int) -> None:
    _, finding = judged(RULE, minutes((100, 50), *[None] * quiet, (100, 50)))
    assert finding.onset_at == START + onset_minute * MINUTE


def test_the_finding_shows_each_gate_with_its_value() -> None:
    _, finding = judged(RULE, minutes((100, 4)))
    assert {gate.name: (gate.value, gate.threshold, gate.passed) for gate in finding.gates} == {
        "min_requests": (100, 20, True),
        "min_errors": (4, 5, False),
        "max_error_rate": (0.04, 0.05, False),
        "breaches_min": (0, 2, False),
    }
    _, finding = judged(RULE, minutes((0, 0)))
    assert finding.gates[2].value is None
    assert not finding.gates[2].passed


def test_the_sentence_tells_the_newest_window_and_how_many_were_bad() -> None:
    _, finding = judged(RULE, minutes((200, 60)))
    assert finding.sentence == "60 of 200 requests failed (30.0%, limit 5.0%); 1 of the last 3 windows bad, 2 needed"


def test_the_rule_says_in_one_sentence_what_breaches() -> None:
    assert RULE.rule == (
        "2 of the last 3 windows of 60 s with at least 5.0% errors (5 errors and 20 requests at least)"
    )


# Counts that come late


def test_late_counts_are_added_to_the_window_in_which_they_lie() -> None:
    story = minutes((100, 0), (100, 1), (100, 0))
    memory, finding = judged(RULE, [*story, late(1, 50, 9), late(1.4, 10, 1), late(2, 5, 0)])
    assert [(one.requests, one.errors) for one in memory.completed] == [(100, 0), (160, 11), (105, 0)]
    assert (finding.onset_at, finding.verdict) == (START + MINUTE, Verdict.INCONCLUSIVE)


def test_late_counts_between_two_windows_go_where_more_of_their_time_lies() -> None:
    memory, _ = judged(RULE, [*minutes((100, 0), (100, 0)), late(0.4, 1, 1), late(0.5, 10, 10), late(0.6, 100, 100)])
    assert [one.errors for one in memory.completed] == [11, 100]


def test_late_counts_can_make_a_breach_and_unmake_it() -> None:
    story = minutes((100, 50), (100, 4), (100, 0))
    assert judged(RULE, story)[1].verdict is Verdict.INCONCLUSIVE
    made = [*story, late(1, 10, 4)]
    assert judged(RULE, made)[1].verdict is Verdict.BREACHING
    assert judged(RULE, [*made, late(1, 200, 0)])[1].verdict is Verdict.INCONCLUSIVE


def test_late_counts_go_into_the_open_window_which_is_not_judged_yet() -> None:
    half = a_sample(start=START + MINUTE, end=START + 1.5 * MINUTE, requests=10)
    memory, before = judged(RULE, [*minutes((100, 0)), half])
    memory, finding = RULE.update(memory, late(1.1, 7, 7, end=START + 1.4 * MINUTE))
    assert memory.open == Window(half.start, half.end, 17, 7)
    assert finding == before


@pytest.mark.parametrize("minute", [-1, 0, 3, 9])
def test_late_counts_of_no_window_that_is_remembered_are_dropped(minute: int) -> None:
    # Minute 0 has left the horizon, and of minute 3 and 9 nothing was counted in time.
    memory, finding = judged(RULE, minutes((100, 50), (100, 0), (100, 0), None, (100, 0)))
    assert RULE.update(memory, late(minute, 100, 100)) == (memory, finding)


def test_late_counts_alone_open_no_window() -> None:
    assert judged(RULE, [late(0, 100, 100)])[0].completed == ()


def test_late_counts_that_come_again_are_more_of_the_same_time() -> None:
    memory, _ = judged(RULE, [*minutes((100, 0)), late(0, 5, 1), late(0, 5, 1)])
    assert (memory.completed[0].requests, memory.completed[0].errors) == (110, 2)


def test_counts_in_time_go_on_after_late_ones() -> None:
    memory, _ = judged(RULE, [*minutes((100, 0), (100, 0)), late(0, 5, 1), *minutes((70, 7), first=2)])
    assert [(one.requests, one.errors) for one in memory.completed] == [(105, 1), (100, 0), (70, 7)]


def test_the_onset_moves_to_the_first_window_that_late_counts_make_bad() -> None:
    story = minutes((100, 0), (100, 50), (100, 60))
    _, finding = judged(RULE, story)
    assert (finding.onset_at, finding.requests, finding.errors) == (START + MINUTE, 100, 60)
    _, finding = judged(RULE, [*story, late(0, 20, 20)])
    assert (finding.onset_at, finding.onset_before) == (START, START + MINUTE)
    assert (finding.requests, finding.errors) == (200, 110)


def test_the_onset_moves_on_when_late_counts_clear_the_window_it_was_in() -> None:
    _, finding = judged(RULE, [*minutes((100, 5), (100, 50)), late(0, 100, 0)])
    assert (finding.onset_at, finding.errors) == (START + MINUTE, 50)
    _, finding = judged(RULE, [*minutes((100, 5), (100, 0)), late(0, 100, 0)])
    assert finding.onset_at is None


def test_an_episode_that_began_before_the_horizon_takes_late_counts_and_keeps_its_beginning() -> None:
    story = minutes((100, 50), (100, 50), (100, 50), (100, 50), (100, 0))
    _, before = judged(RULE, story)
    memory, finding = judged(RULE, [*story, late(4, 100, 30)])
    assert memory.completed[0].start > START
    assert finding.onset_at == before.onset_at == START
    assert before.requests is not None
    assert (finding.requests, finding.errors) == (before.requests + 100, before.errors + 30)


# Errors a minute, without requests


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ((None, 30), Verdict.BREACHING),
        ((None, 29), Verdict.HEALTHY),
        ((None, 0), Verdict.HEALTHY),
        ((1_000_000, 30), Verdict.BREACHING),
        ((1_000_000, 29), Verdict.HEALTHY),
        ((30, 30), Verdict.BREACHING),
        ((19, 0), Verdict.INCONCLUSIVE),
        ((0, 0), Verdict.INCONCLUSIVE),
    ],
)
def test_I_03_errors_a_minute_breach_at_the_limit_and_not_one_before(
    count: tuple[int | None, int], expected: Verdict
) -> None:
    assert verdict(count, count, count, rule=COUNTING) is expected


@pytest.mark.parametrize(("errors", "expected"), [(4, Verdict.INCONCLUSIVE), (5, Verdict.BREACHING)])
def test_I_03_errors_a_minute_need_the_minimum_of_errors_as_well(errors: int, expected: Verdict) -> None:
    rule = Threshold(errors_per_minute_max=1, min_errors=5, breaches_min=2, windows=3)
    assert verdict((None, errors), (None, errors), rule=rule) is expected


@pytest.mark.parametrize(("errors", "is_bad"), [(44, False), (45, True)])
def test_errors_a_minute_are_counted_over_the_windows_own_length(errors: int, is_bad: bool) -> None:
    rule = COUNTING.model_copy(update={"window": 90 * SECOND})
    memory, finding = judged(rule, [a_sample(end=START + 90 * SECOND, requests=None, errors=errors)])
    assert (finding.onset_at is not None) is is_bad
    assert memory.completed[0].errors_per_minute == pytest.approx(errors / 1.5)


def test_few_errors_without_requests_are_called_healthy_after_as_many_windows_as_a_breach_needs() -> None:
    assert verdict((None, 0), rule=COUNTING) is Verdict.INCONCLUSIVE
    assert verdict((None, 0), (None, 3), rule=COUNTING) is Verdict.HEALTHY
    # One bad window is no breach, and no health either, until it has left the windows that are looked at.
    assert verdict((None, 50), (None, 0), (None, 0), rule=COUNTING) is Verdict.INCONCLUSIVE
    assert verdict((None, 50), (None, 0), (None, 0), (None, 0), rule=COUNTING) is Verdict.HEALTHY
    # Over the limit, and too few to be called bad.
    rule = Threshold(errors_per_minute_max=1, min_errors=5, breaches_min=2, windows=3)
    assert verdict((None, 2), (None, 0), (None, 0), rule=rule) is Verdict.INCONCLUSIVE


def test_a_breach_of_counted_errors_tells_its_numbers_and_no_ratio() -> None:
    _, finding = judged(COUNTING, minutes((None, 0), (None, 40), (None, 41)))
    assert finding.verdict is Verdict.BREACHING
    assert (finding.onset_at, finding.requests, finding.errors, finding.error_ratio) == (START + MINUTE, None, 41, None)
    assert finding.limit == 0.05
    assert finding.sentence == ("41 errors in 60 s (41.0 a minute, limit 30); 2 of the last 3 windows bad, 2 needed")
    assert {gate.name: (gate.value, gate.threshold, gate.passed) for gate in finding.gates} == {
        "min_errors": (41, 5, True),
        "errors_per_minute_max": (41.0, 30, True),
        "breaches_min": (2, 2, True),
    }


def test_errors_of_a_cut_list_are_told_as_at_least_so_many() -> None:
    cut = a_sample(start=START + 50 * SECOND, end=START + MINUTE, requests=None, errors=200, is_sampled=True)
    _, finding = judged(COUNTING, [a_sample(end=START + 50 * SECOND, requests=None), cut])
    assert finding.sentence.startswith("at least 200 errors in 60 s (200.0 a minute, limit 30)")


def test_a_window_with_errors_alone_in_part_of_it_has_no_ratio() -> None:
    half = START + 30 * SECOND
    pieces = [a_sample(end=half, requests=100), a_sample(start=half, end=START + MINUTE, requests=None, errors=50)]
    memory, finding = judged(COUNTING, pieces)
    assert (memory.completed[0].requests, memory.completed[0].errors) == (None, 50)
    assert finding.requests is None


def test_errors_alone_never_breach_a_ratio_and_the_finding_says_why() -> None:
    memory, finding = judged(RULE, minutes(*[(None, 1000)] * 5))
    assert memory == RULE.begin()
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.sentence == "the source counts errors alone: there is no ratio to compare with 5.0%"


def test_errors_alone_leave_what_was_known_as_it_was_and_in_doubt() -> None:
    memory, breaching = judged(RULE, minutes((100, 50), (100, 50)))
    again, finding = RULE.update(memory, minutes((None, 0), first=2)[0])
    assert again == memory
    assert (finding.verdict, finding.onset_at) == (Verdict.INCONCLUSIVE, breaching.onset_at)


def test_windows_of_another_rule_have_no_ratio_and_break_nothing() -> None:
    # The configuration changed: what the counting rule remembered is judged by a ratio now.
    memory, _ = judged(COUNTING, minutes((None, 40), (None, 40)))
    _, finding = RULE.update(memory, minutes((100, 50), first=2)[0])
    assert (finding.verdict, finding.onset_at) == (Verdict.INCONCLUSIVE, START + 2 * MINUTE)
    # Nor does more of them make a window without a ratio healthy.
    _, finding = RULE.update(memory, late(1, 100, 0))
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_only_a_ratio_needs_requests_and_each_deployment_is_judged_by_its_own() -> None:
    assert not RULE.follows_production
    assert RULE.needs_requests
    assert not COUNTING.needs_requests


def test_the_counting_rule_says_in_one_sentence_what_breaches() -> None:
    assert COUNTING.rule == "2 of the last 3 windows of 60 s with at least 30 errors a minute (5 errors at least)"


@pytest.mark.parametrize("beside", [{"max_error_rate": 0.05}, {"min_requests": 20}])
def test_a_detector_has_one_rule_alone(beside: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=rf"errors_per_minute_max 30 .* {next(iter(beside))} .*; keep one"):
        Threshold(errors_per_minute_max=30, **beside)


# Trouble that begins too late


UNTIL = RULE.model_copy(update={"until": 10 * MINUTE})


def live(minute: float | None, deployment: Deployment = BAD) -> Activation:
    at = None if minute is None else START + minute * MINUTE
    return Activation(deployment, at, ActivationOrigin.RELEASE)


def found_late(began: float, *activations: Activation, windows: int = 2, rule: Threshold = UNTIL) -> Finding:
    memory, finding = rule.begin(), None
    for sample in minutes(*[(100, 50)] * windows, first=began):  # type: ignore[arg-type]
        memory, finding = rule.update(memory, sample, activations)
    assert finding is not None
    return finding


@pytest.mark.parametrize(("began", "expected"), [(9, Verdict.BREACHING), (10, Verdict.INCONCLUSIVE)])
def test_trouble_must_begin_until_then_to_be_a_breach(began: float, expected: Verdict) -> None:
    finding = found_late(began, live(-100), live(0), live(5, GOOD))
    assert finding.verdict is expected
    assert finding.onset_at == START + began * MINUTE
    assert (finding.gates[-1].value, finding.gates[-1].threshold) == (began, 10)
    assert finding.gates[-1].passed is (expected is Verdict.BREACHING)
    assert ("began 10 min after going live, 10 min allowed" in finding.sentence) is not finding.gates[-1].passed
    assert (finding.acts_in is None) is not finding.gates[-1].passed


def test_a_breach_that_began_in_time_does_not_end_because_time_passes() -> None:
    assert UNTIL.rule.endswith(", begun within 10 min of going live")
    assert found_late(9, live(0), windows=60).verdict is Verdict.BREACHING


def test_a_window_that_began_before_the_deployment_went_live_is_in_time() -> None:
    finding = found_late(0, live(0))
    assert (finding.verdict, finding.gates[-1].value) == (Verdict.BREACHING, 0)
    assert found_late(0, live(0.5)).verdict is Verdict.BREACHING


@pytest.mark.parametrize("activations", [[], [live(None)], [live(0, GOOD)]])
def test_where_nobody_knows_since_when_it_serves_nothing_began_in_time(activations: list[Activation]) -> None:
    finding = found_late(0, *activations)
    assert (finding.verdict, finding.gates[-1].value) == (Verdict.INCONCLUSIVE, None)
    assert "began nobody knows how long after going live" in finding.sentence


def test_without_a_bound_or_without_trouble_nobody_asks_since_when_it_serves() -> None:
    assert found_late(0, rule=RULE).verdict is Verdict.BREACHING
    _, finding = judged(UNTIL, minutes((100, 0)))
    assert finding.verdict is Verdict.HEALTHY
    assert "until" not in {gate.name for gate in finding.gates}


# When it would breach


@pytest.mark.parametrize(
    ("counts", "windows_needed"),
    [
        ([(100, 50)], 2),
        ([(100, 50), (100, 0), (100, 50)], 1),
        # The first of them leaves before the third is complete.
        ([(100, 50), (100, 0), (100, 0), (100, 50)], 2),
        ([(100, 50), (100, 50), (100, 50)], 0),
        ([(100, 50), (100, 0)], None),
        ([(100, 0)], None),
        ([], None),
    ],
)
def test_the_finding_tells_how_long_windows_as_bad_as_the_newest_take_to_breach(
    counts: list[tuple[int, int]], windows_needed: int | None
) -> None:
    rule = Threshold(window=MINUTE, breaches_min=3, windows=4)
    half = a_sample(start=START + len(counts) * MINUTE, end=START + (len(counts) + 0.5) * MINUTE, errors=50)
    expected = None if windows_needed is None else windows_needed * MINUTE
    if counts:
        assert judged(rule, minutes(*counts))[1].acts_in == expected
    # What has passed of the next window is not waited for again.
    _, finding = judged(rule, [*minutes(*counts), half])
    assert finding.acts_in == (max(timedelta(0), expected - MINUTE / 2) if expected is not None else None)


@pytest.mark.parametrize(("counts", "expected"), [([1, 1, 1], True), ([1, 1, 0], False), ([1, 0, 1], False)])
def test_as_many_breaches_as_windows_are_needed_in_a_row(counts: list[int], expected: bool) -> None:
    rule = Threshold(breaches_min=3, windows=3)
    assert (verdict(*[(100, 50 * one) for one in counts], rule=rule) is Verdict.BREACHING) is expected


# Routes


def test_a_route_that_fails_is_judged_beside_the_whole_and_told_until_it_is_seen_well() -> None:
    rule = RULE.model_copy(update={"per_route": True})
    assert (rule.wants_routes, RULE.wants_routes) == (True, False)
    calm = {"requests": 2000, "routes": (RouteCounts("/", 1900, 0), RouteCounts("(other)", 100, 0))}
    bad = {"requests": 2000, "errors": 40, "routes": (RouteCounts("/", 1900, 0), RouteCounts("/pay", 100, 40))}
    samples = [a_sample(start=START + number * MINUTE, **facts) for number, facts in enumerate([bad] * 2 + [calm] * 3)]
    found = [judged(rule, samples[:number])[1] for number in (2, 5)]
    assert [one.route for one in found] == ["/pay", "/pay"]
    assert [one.verdict for one in found] == [Verdict.BREACHING, Verdict.INCONCLUSIVE]


# Memory


COUNTS = st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 60), st.integers(0, 60))), min_size=1, max_size=20)


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(counts=COUNTS, again=st.integers(0, 19))
def test_a_restart_at_any_sample_changes_no_finding(counts: list[tuple[int, int] | None], again: int) -> None:
    samples = minutes(*[(n, min(n, x)) if (n, x) else None for n, x in [one or (0, 0) for one in counts]])
    memory = restarted = RULE.begin()
    for index, sample in enumerate(samples):
        if index == again:
            restarted = decode_memory("threshold", json.loads(json.dumps(encode_memory("threshold", restarted))))
        memory, finding = RULE.update(memory, sample)
        restarted, same = RULE.update(restarted, sample)
        assert (restarted, same) == (memory, finding)


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(counts=COUNTS)
def test_memory_is_bounded_and_onset_belongs_to_a_hot_window(counts: list[tuple[int, int] | None]) -> None:
    memory = RULE.begin()
    for sample in minutes(*[(one[0], min(one)) if one else None for one in counts]):
        memory, finding = RULE.update(memory, sample)
        assert len(memory.completed) <= RULE.windows
        assert (finding.onset_at is None) is (finding.onset_before is None)
        assert finding.verdict is not Verdict.BREACHING or finding.onset_at is not None
        assert finding.verdict is not Verdict.HEALTHY or finding.requests >= RULE.min_requests


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(counts=st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=1, max_size=15))
def test_counts_that_come_in_two_parts_are_judged_like_counts_that_come_at_once(
    counts: list[tuple[int, int, int, int]],
) -> None:
    in_parts = at_once = RULE.begin()
    for minute, (first, first_failed, more, more_failed) in enumerate(counts):
        errors, late_errors = min(first, first_failed), min(more, more_failed)
        in_parts, _ = RULE.update(in_parts, minutes((first, errors), first=minute)[0])
        in_parts, finding = RULE.update(in_parts, late(minute, more, late_errors))
        at_once, same = RULE.update(at_once, minutes((first + more, errors + late_errors), first=minute)[0])
        assert (in_parts, finding) == (at_once, same)


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(counts=COUNTS, lates=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 60), st.integers(0, 60))))
def test_an_onset_is_known_exactly_while_a_window_is_bad_however_late_counts_come(
    counts: list[tuple[int, int] | None], lates: list[tuple[int, int, int]]
) -> None:
    memory = RULE.begin()
    for minute, one in enumerate(counts):
        for sample in minutes((one[0], min(one)), first=minute) if one else []:
            memory, _ = RULE.update(memory, sample)
        for _, requests, errors in [it for it in lates if it[0] == minute]:
            memory, finding = RULE.update(memory, late(minute - requests % 3, requests, min(requests, errors)))
            bad = [one for one in memory.completed if one.requests >= 20 and one.errors >= max(5, 0.05 * one.requests)]
            assert (finding.onset_at is not None) is bool(bad)
            assert not bad or (finding.onset_at is not None and finding.onset_at <= bad[0].start)
            assert len(memory.completed) <= RULE.windows


def test_a_memory_from_before_there_were_counts_without_requests_is_still_read() -> None:
    memory, _ = judged(RULE, minutes((100, 50)))
    known = json.loads(json.dumps(encode_memory("threshold", memory)))
    for window in known["completed"]:
        del window["is_sampled"]
    assert decode_memory("threshold", known) == memory


def test_a_memory_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="completed"):
        decode_memory("threshold", {"completed": "nonsense"})


@pytest.mark.parametrize(
    "facts",
    [
        {"window": timedelta(seconds=9)},
        {"window": timedelta(hours=1, seconds=1)},
        {"max_error_rate": 0.0},
        {"max_error_rate": 1.0},
        {"errors_per_minute_max": 0},
        {"errors_per_minute_max": 1_000_001},
        {"min_requests": 0},
        {"min_errors": 0},
        {"breaches_min": 1},
        {"windows": 61},
        {"breaches_min": 4, "windows": 3},
        {"surprise": 1},
    ],
)
def test_settings_out_of_bounds_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Threshold(**facts)


def test_a_rule_that_can_never_be_met_says_so() -> None:
    with pytest.raises(ValidationError, match="breaches_min 4 can never be met within windows 3"):
        Threshold(breaches_min=4, windows=3)
