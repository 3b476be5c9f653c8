"""A baseline from before the daemon's start: off probation only, and nothing twice."""

from datetime import timedelta

from daemon.core.facts import ErrorRateSample
from daemon.detectors.evidence.baseline import UNTAUGHT
from daemon.detectors.evidence.history import learn_history
from daemon.detectors.evidence.knobs import Design
from tests.builders import BAD, GOOD, MINUTE, OLD, START, a_sample


def minutes(deployment=GOOD, *, first: int, count: int, **facts) -> list[ErrorRateSample]:
    return [a_sample(deployment, start=START + (first + index) * MINUTE, **facts) for index in range(count)]


def test_the_first_deployment_of_the_history_teaches_from_its_first_count() -> None:
    learned = learn_history(UNTAUGHT, minutes(first=0, count=60, errors=1), Design())
    assert (learned.requests, learned.errors) == (6000, 60)


def test_the_first_window_of_every_other_deployment_teaches_nothing() -> None:
    samples = minutes(first=0, count=10) + minutes(BAD, first=10, count=15, errors=50) + minutes(BAD, first=25, count=5)
    learned = learn_history(UNTAUGHT, samples, Design())
    assert (learned.requests, learned.errors) == (1500, 0)


def test_a_deployment_that_serves_again_has_proved_itself_before() -> None:
    samples = minutes(OLD, first=0, count=10) + minutes(BAD, first=10, count=5) + minutes(OLD, first=15, count=5)
    assert learn_history(UNTAUGHT, samples, Design()).requests == 1500


def test_a_bucket_that_is_open_at_the_end_is_learned_too() -> None:
    last = a_sample(GOOD, start=START + 3 * MINUTE, end=START + 3 * MINUTE + MINUTE / 2, requests=7)
    samples = [*minutes(first=0, count=3), last]
    assert learn_history(UNTAUGHT, samples, Design()).requests == 307


def test_counts_of_the_same_time_and_late_ones_are_more_of_it() -> None:
    half = [a_sample(GOOD, start=START, end=START + timedelta(seconds=30), requests=20, errors=1)]
    more = [a_sample(GOOD, start=START, end=START + timedelta(seconds=30), requests=10, errors=2)]
    late = [a_sample(GOOD, start=START - MINUTE, requests=10, errors=3, is_late=True)]
    learned = learn_history(UNTAUGHT, half + more + late, Design())
    assert (learned.requests, learned.errors) == (40, 6)


def test_what_has_no_requests_teaches_nothing() -> None:
    assert learn_history(UNTAUGHT, minutes(first=0, count=5, requests=None, errors=3), Design()) == UNTAUGHT


def test_an_episode_of_the_past_is_seen() -> None:
    samples = minutes(first=0, count=600) + minutes(first=600, count=5, errors=40)
    assert learn_history(UNTAUGHT, samples, Design()).nats > 3.0
