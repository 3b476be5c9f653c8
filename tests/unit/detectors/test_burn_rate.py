"""The burn rate rule: both windows at their limit, gaps, late counts, whose errors they are, and memory."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.core.command import RollBack
from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, ActivationOrigin, Deployment, ErrorRateSample
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from daemon.detectors import decode_memory, encode_memory
from daemon.detectors.burn_rate import COUNTED_MAX, BurnRate, BurnRateMemory, BurnWindows
from tests.builders import BAD, FIX, GOOD, MINUTE, START, Playbook, a_deployment, a_policy, a_sample

HOUR = 60 * MINUTE
FAST = BurnWindows(factor=10, long=HOUR, short=5 * MINUTE)
RULE = BurnRate(slo=0.999, windows=(FAST,))
"""One pair whose limit is 1 %."""


def minutes(
    *errors: int | None, first: float = 0, requests: int = 100, by: Deployment = BAD, length: timedelta = MINUTE
) -> list[ErrorRateSample]:
    """Return a sample for each minute; None leaves a gap."""
    starts = [START + first * MINUTE + number * length for number in range(len(errors))]
    return [
        a_sample(by, start=start, end=start + length, requests=requests, errors=one)
        for start, one in zip(starts, errors, strict=True)
        if one is not None
    ]


def judged(
    samples: Iterable[ErrorRateSample], rule: BurnRate = RULE, activations: Sequence[Activation] = ()
) -> tuple[BurnRateMemory, Finding]:
    memory, finding = rule.begin(), None
    for sample in samples:
        memory, finding = rule.update(memory, sample, activations)
    assert finding is not None
    return memory, finding


def verdict(*errors: int | None, rule: BurnRate = RULE, **facts: Any) -> Verdict:
    return judged(minutes(*errors, **facts), rule)[1].verdict


def activation(deployment: Deployment, minute: float | None) -> Activation:
    at = None if minute is None else START + minute * MINUTE
    return Activation(deployment, at, ActivationOrigin.RELEASE)


# Verdicts


@pytest.mark.parametrize(("errors", "expected"), [(1, Verdict.HEALTHY), (2, Verdict.BREACHING)])
def test_both_windows_must_be_over_the_limit_and_at_the_limit_is_not_over(errors: int, expected: Verdict) -> None:
    assert verdict(*[errors] * 60) is expected


def test_a_burn_in_the_long_window_alone_is_over_and_healthy() -> None:
    assert verdict(*[20] * 55, *[0] * 4) is Verdict.BREACHING
    assert verdict(*[20] * 55, *[0] * 5) is Verdict.HEALTHY


def test_a_burn_in_the_short_window_alone_is_no_breach_yet() -> None:
    assert verdict(*[0] * 55, *[10] * 5) is Verdict.HEALTHY
    assert verdict(*[0] * 55, *[12] * 5) is Verdict.HEALTHY
    assert verdict(*[0] * 55, *[13] * 5) is Verdict.BREACHING


def test_one_pair_of_several_is_enough_and_healthy_takes_all() -> None:
    slow = BurnWindows(factor=5, long=2 * HOUR, short=10 * MINUTE)
    both = BurnRate(slo=0.999, windows=(FAST, slow))
    assert verdict(*[1] * 120, rule=both) is Verdict.BREACHING
    assert verdict(*[0] * 120, rule=both) is Verdict.HEALTHY
    # The fast pair is healthy, and of the slow one's windows too few minutes are known.
    assert verdict(*[1] * 4, rule=both) is Verdict.INCONCLUSIVE


def test_the_defaults_are_the_two_pages_of_the_workbook() -> None:
    assert [(one.factor, one.long, one.short) for one in BurnRate().windows] == [
        (14.4, HOUR, 5 * MINUTE),
        (6, 6 * HOUR, 30 * MINUTE),
    ]
    _, finding = judged(minutes(*[15] * 60, requests=1000), BurnRate())
    assert (finding.verdict, finding.limit) == (Verdict.BREACHING, 0.0144)
    assert verdict(*[14] * 60, requests=1000, rule=BurnRate(windows=BurnRate().windows[:1])) is Verdict.HEALTHY


@pytest.mark.parametrize(("known", "expected"), [(29, Verdict.INCONCLUSIVE), (30, Verdict.BREACHING)])
def test_a_window_with_counts_of_too_few_minutes_never_breaches(known: int, expected: Verdict) -> None:
    assert verdict(*[50] * known) is expected


def test_a_gap_is_not_zero_errors() -> None:
    # Long after the burn, of the short window only two minutes of five are known.
    assert verdict(*[50] * 60, None, None, None, 0, 0) is Verdict.INCONCLUSIVE
    assert verdict(*[50] * 60, None, None, 0, 0, 0) is Verdict.HEALTHY


@pytest.mark.parametrize(("errors_a_minute", "min_errors"), [(2, 120), (3, 180)])
def test_the_long_window_needs_the_minimum_of_errors(errors_a_minute: int, min_errors: int) -> None:
    def found(least: int) -> Verdict:
        return verdict(*[errors_a_minute] * 60, rule=RULE.model_copy(update={"min_errors": least}))

    assert found(min_errors) is Verdict.BREACHING
    assert found(min_errors + 1) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("requests", "expected"), [(1, Verdict.INCONCLUSIVE), (2, Verdict.HEALTHY)])
def test_no_errors_among_so_few_requests_that_one_would_be_too_many_are_no_news(
    requests: int, expected: Verdict
) -> None:
    assert verdict(*[0] * 60, requests=requests) is expected


def test_minutes_without_requests_are_known_and_say_nothing() -> None:
    _, finding = judged(minutes(*[0] * 60, requests=0))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.error_ratio is None
    assert finding.gates[1].value is None


def test_errors_alone_are_inconclusive_and_leave_what_was_known() -> None:
    memory, breaching = judged(minutes(*[50] * 60))
    again, finding = RULE.update(memory, a_sample(start=START + HOUR, requests=None, errors=99))
    assert again == memory
    assert (finding.verdict, finding.onset_at) == (Verdict.INCONCLUSIVE, breaching.onset_at)
    assert finding.sentence.startswith("the source counts errors alone")
    assert RULE.needs_requests
    first = RULE.update(RULE.begin(), a_sample(requests=None, errors=99))
    assert (first[0], first[1].verdict) == (RULE.begin(), Verdict.INCONCLUSIVE)


# The onset, and what is told


def test_the_onset_is_the_minute_in_which_the_present_trouble_began() -> None:
    _, finding = judged(minutes(*[0] * 55, *[20] * 5))
    assert finding.verdict is Verdict.BREACHING
    assert (finding.onset_at, finding.onset_before) == (START + 55 * MINUTE, START + 56 * MINUTE)
    assert (finding.requests, finding.errors) == (400, 80)


def test_the_minute_of_the_onset_counts_while_it_is_alone() -> None:
    _, finding = judged(minutes(*[0] * 5, 20))
    assert (finding.onset_at, finding.requests, finding.errors) == (START + 5 * MINUTE, 100, 20)


def test_a_stray_error_shortly_before_is_not_the_onset() -> None:
    _, finding = judged(minutes(*[0] * 55, 2, 0, 0, *[30] * 2))
    assert finding.onset_at == START + 58 * MINUTE


def test_the_onset_stays_while_the_trouble_does_and_goes_with_it() -> None:
    story = [*[0] * 30, *[50] * 70]
    memory, finding = judged(minutes(*story))
    assert finding.onset_at == START + 30 * MINUTE
    assert finding.requests == 60 * 100
    assert judged(minutes(*story, *[0] * 4))[1].onset_at == START + 30 * MINUTE
    _, finding = judged(minutes(*story, *[0] * 5))
    assert (finding.onset_at, finding.onset_before, memory.onset is None) == (None, None, False)
    assert (finding.requests, finding.errors) == (500, 0)


def test_the_finding_shows_each_gate_in_order() -> None:
    _, finding = judged(minutes(*[0] * 45, *[2] * 5))
    assert [(gate.name, gate.passed) for gate in finding.gates] == [
        ("covered_1h", True),
        ("burn_1h", False),
        ("covered_5m", True),
        ("burn_5m", True),
        ("min_errors", True),
    ]
    assert [gate.value for gate in finding.gates] == pytest.approx([50 / 60, 2, 1, 20, 10])
    assert [gate.threshold for gate in finding.gates] == [0.5, 10, 0.5, 10, 5]


def test_the_sentence_tells_how_fast_the_budget_burns_and_what_nobody_knows() -> None:
    _, finding = judged(minutes(*[2] * 20))
    assert finding.sentence == (
        "the budget of 0.100% burns nobody knows how fast over 1h (33% counted) and 20.0 times over 5m, 10 needed"
    )


def test_the_rule_says_in_one_sentence_what_breaches() -> None:
    assert BurnRate().rule == (
        "a budget of 0.100% errors burns 14.4 times over 1h and 5m or 6 times over 6h and 30m (5 errors at least)"
    )
    odd = BurnWindows(factor=2, long=timedelta(minutes=90, seconds=1), short=90 * MINUTE)
    assert "2 times over 5401s and 90m" in BurnRate(windows=(odd,)).rule


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        # An hour times 1 % by 20 % is three minutes, of which two are over, counted from the onset.
        ([*[0] * 60, 20, 20], timedelta(minutes=1)),
        ([*[0] * 60, 20, 20, 20, 20, 20], timedelta(0)),
        # Only thirty minutes of counts would do.
        ([*[0] * 10, *[50] * 5], timedelta(minutes=15)),
        # No more than one in a hundred since the onset never breaches.
        ([*[0] * 59, 6, 1, 1, 1], None),
        ([*[0] * 60], None),
    ],
)
def test_the_finding_tells_when_it_would_breach(errors: list[int], expected: timedelta | None) -> None:
    assert judged(minutes(*errors))[1].acts_in == expected


def test_the_minimum_of_errors_takes_its_time_as_well() -> None:
    rule = RULE.model_copy(update={"min_errors": 100})
    assert judged(minutes(*[0] * 60, 20), rule)[1].acts_in == timedelta(minutes=4)


# Whose errors they are


def test_the_short_window_begins_with_what_serves_now() -> None:
    story = minutes(*[50] * 60, by=GOOD)
    activations = [activation(GOOD, None), activation(BAD, 60.5)]
    assert judged(story, activations=activations)[1].verdict is Verdict.BREACHING
    # The minute that the activation cuts is of both.
    cut = minutes(0, first=60.5, length=MINUTE / 2)
    assert judged([*story, *cut], activations=activations)[1].verdict is Verdict.INCONCLUSIVE
    for errors, expected in [(0, Verdict.HEALTHY), (50, Verdict.BREACHING)]:
        later = [*story, *cut, *minutes(errors, first=61)]
        assert judged(later, activations=activations)[1].verdict is expected


def test_counts_of_before_an_activation_are_judged_as_of_then() -> None:
    assert judged(minutes(*[50] * 60), activations=[activation(GOOD, -5), activation(BAD, 60)])[1].gates[3].value == 500


def test_a_fix_is_not_blamed_for_what_the_deployment_before_it_burnt() -> None:
    play = Playbook(a_policy(detectors=(RULE,)))
    play.minutes(GOOD, 0.0, 40).serves(BAD).production().minutes(BAD, 0.3, 1).serves(FIX).production()
    play.minutes(FIX, 0.0, 20)
    play.expect_state(None)


def test_a_deployment_that_burns_the_budget_is_blamed_for_it() -> None:
    play = Playbook(a_policy(detectors=(RULE,)))
    play.minutes(GOOD, 0.0, 40).serves(BAD).production().minutes(BAD, 0.3, 2)
    play.expect_state(State.DETECTED)
    assert play.incident.suspect == BAD


def test_errors_that_began_before_a_deployment_are_not_its_fault() -> None:
    play = Playbook(a_policy(detectors=(RULE,)))
    play.minutes(GOOD, 0.0, 40).minutes(GOOD, 0.3, 1).serves(BAD).production().minutes(BAD, 0.3, 5)
    play.expect_state(State.ESCALATED, Reason.SUSPECT_UNCLEAR)
    assert play.count(RollBack) == 0


# Counts once


def test_I_04_replayed_and_overlapping_counts_are_counted_once() -> None:
    story = minutes(*[2] * 60)
    memory, finding = judged(story)
    for offset in range(-120, 3600, 15):
        overlapping = a_sample(start=START + timedelta(seconds=offset), requests=1000, errors=999)
        assert RULE.update(memory, overlapping) == (memory, finding)


def test_two_deployments_count_in_the_same_time() -> None:
    memory, _ = judged([*minutes(0, 0), *minutes(50, 50, by=GOOD)])
    assert [(one.requests, one.errors) for one in memory.cells] == [(200, 50), (200, 50)]


def test_a_memory_without_a_finding_still_answers_a_replay() -> None:
    memory, finding = judged(minutes(*[2] * 60))
    forgetful = BurnRateMemory(memory.cells, memory.until, None, memory.counted, None, memory.onset)
    assert RULE.update(forgetful, minutes(2)[0])[1] == finding


def test_late_counts_are_more_of_their_own_minutes_each_time_they_come() -> None:
    late = a_sample(start=START + MINUTE, requests=10, errors=7, is_late=True)
    memory, _ = judged([*minutes(0, 0, 0), late, late])
    assert [(one.requests, one.errors) for one in memory.cells] == [(100, 0), (120, 14), (100, 0)]
    assert memory.counted == ((BAD.id, START + 3 * MINUTE),)


def test_late_counts_can_make_a_breach_and_unmake_it() -> None:
    story = minutes(*[1] * 60)
    late = a_sample(start=START + 58 * MINUTE, requests=50, errors=50, is_late=True)
    assert judged([*story, late])[1].verdict is Verdict.BREACHING
    calm = a_sample(start=START + 58 * MINUTE, requests=9000, errors=0, is_late=True)
    assert judged([*story, late, calm])[1].verdict is Verdict.HEALTHY


def test_deployments_that_are_forgotten_are_not_counted_again() -> None:
    fleet = [a_deployment(f"{number}") for number in range(COUNTED_MAX + 1)]
    samples = [one for number, by in enumerate(fleet) for one in minutes(1, first=number, by=by)]
    memory, finding = judged(samples)
    assert len(memory.counted) == COUNTED_MAX
    assert memory.forgotten == START + MINUTE
    assert RULE.update(memory, samples[0]) == (memory, finding)


# Memory and settings


@pytest.mark.slow
@settings(max_examples=30, derandomize=True, database=None, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 100)), min_size=1, max_size=80))
def test_a_restart_at_any_sample_changes_no_finding(errors: list[int | None]) -> None:
    memory, restarted = RULE.begin(), RULE.begin()
    for sample in minutes(*errors):
        memory, finding = RULE.update(memory, sample)
        restarted = decode_memory(RULE.name, json.loads(json.dumps(encode_memory(RULE.name, restarted))))
        restarted, again = RULE.update(restarted, sample)
        assert (restarted, again) == (memory, finding)


@pytest.mark.slow
def test_memory_is_bounded_however_long_it_counts() -> None:
    memory, _ = judged(minutes(*[1] * 1000), BurnRate())
    assert len(memory.cells) <= 37 + 67
    assert len(json.dumps(encode_memory("burn_rate", memory))) < 8000


def test_a_budget_is_the_projects() -> None:
    assert RULE.follows_production
    assert not RULE.dry_run


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"windows": ({"factor": 2, "long": HOUR, "short": HOUR},)}, "short 1h is not shorter than long 1h"),
        ({"slo": 0.9}, "factor 14.4 times the budget of slo 0.9 is a limit of 1.44, more than all requests"),
        ({"windows": ()}, "at least 1 item"),
        ({"windows": ({"factor": 2, "long": 73 * HOUR, "short": HOUR},)}, "less than or equal"),
        ({"windows": ({"factor": 0.9, "long": 2 * HOUR, "short": HOUR},)}, "greater than or equal to 1"),
    ],
)
def test_what_can_never_be_met_is_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BurnRate(**facts)
