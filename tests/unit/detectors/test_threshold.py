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
from daemon.core.facts import ErrorRateSample
from daemon.detectors import decode_memory, encode_memory
from daemon.detectors.threshold import Threshold, ThresholdMemory
from tests.builders import MINUTE, START, a_sample

SECOND = timedelta(seconds=1)
RULE = Threshold(window=MINUTE, max_error_rate=0.05, min_requests=20, min_errors=5, breaches_min=2, windows=3)


def minutes(*counts: tuple[int, int] | None, first: int = 0) -> list[ErrorRateSample]:
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


def verdict(*counts: tuple[int, int] | None, rule: Threshold = RULE) -> Verdict:
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


def test_I_04_replayed_overlapping_and_late_counts_are_counted_once() -> None:
    story = minutes((100, 50), (100, 0), (100, 0))
    memory, finding = judged(RULE, story)
    for offset in range(-120, 180, 15):
        late = a_sample(start=START + offset * SECOND, requests=1000, errors=999)
        assert RULE.update(memory, late) == (memory, finding)


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
