"""What a policy did is compared with what was true."""

from daemon.certify.kinds import BY_NAME
from daemon.certify.trace import Label, Trace, Truth
from daemon.certify.trial import Outcome, Rollback
from daemon.certify.verdict import Judged, judge


def a_trace(truth: Truth) -> Trace:
    return Trace(poll_seconds=10, polls=100, releases=(), counts={}, truth=truth)


BAD = a_trace(Truth(Label.BAD, "jump-10", onset_poll=50, target="dpl_P"))
HEALTHY = a_trace(Truth(Label.HEALTHY, "steady"))


def judged(trace: Trace, *rollbacks: Rollback, asked_poll: int | None = None) -> Judged:
    return judge(BY_NAME[trace.truth.kind], 0, trace, Outcome(rollbacks, asked_poll, "min_errors", 5.0))


def test_the_delay_counts_whole_polls_the_onsets_and_the_decisions_included() -> None:
    assert judged(BAD, Rollback(50, "dpl_A", "dpl_P")).delay_seconds == 10
    assert judged(BAD, Rollback(61, "dpl_A", "dpl_P")).delay_seconds == 120


def test_a_rollback_before_the_onset_is_no_find() -> None:
    early = judged(BAD, Rollback(49, "dpl_A", "dpl_P"))
    assert (early.acted, early.is_early, early.delay_seconds, early.is_astray) == (True, True, None, False)


def test_going_to_another_deployment_is_astray() -> None:
    assert judged(BAD, Rollback(55, "dpl_A", "dpl_Q")).is_astray
    assert not judged(BAD, Rollback(55, "dpl_A", "dpl_P")).is_astray


def test_a_second_rollback_is_one_too_many() -> None:
    assert judged(BAD, Rollback(55, "dpl_A", "dpl_P"), Rollback(70, "dpl_P", "dpl_O")).goes_on


def test_doing_nothing_tells_what_stood_against_it() -> None:
    missed = judged(BAD)
    assert (missed.acted, missed.stopped_by, missed.stopped_at, missed.is_asking) == (False, "min_errors", 5.0, False)


def test_asking_a_person_is_not_acting() -> None:
    asked = judged(BAD, asked_poll=60)
    assert (asked.acted, asked.is_asking) == (False, True)


def test_any_rollback_of_something_healthy_counts() -> None:
    assert judged(HEALTHY, Rollback(55, "dpl_A", "dpl_P")).acted
    assert not judged(HEALTHY).acted


def test_what_was_done_before_the_story_that_counts_does_not_count() -> None:
    late = a_trace(Truth(Label.HEALTHY, "good-fix", judged_from=60))
    assert not judged(late, Rollback(59, "dpl_A", "dpl_P")).acted
    assert judged(late, Rollback(60, "dpl_B", "dpl_P")).acted
