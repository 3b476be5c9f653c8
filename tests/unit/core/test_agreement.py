"""Two sources of one time: the same story, another one, or too little to tell."""

from datetime import timedelta

import pytest

from daemon.core.agreement import Tally, find_disagreement, tally
from tests.builders import BAD, GOOD, MINUTE, START, a_sample


def test_whole_samples_within_the_time_are_added_up_by_deployment() -> None:
    samples = [
        a_sample(BAD, start=START - MINUTE, errors=9),
        a_sample(BAD, errors=1),
        a_sample(BAD, start=START + MINUTE, errors=2, platform_errors=3),
        a_sample(GOOD, start=START + MINUTE),
        a_sample(GOOD, start=START + timedelta(seconds=90), errors=50),
    ]
    found = tally(samples, start=START, end=START + 2 * MINUTE)
    assert found == {BAD.id: Tally(200, 6), GOOD.id: Tally(100, 0)}


def test_counts_without_requests_and_samples_of_nobody_tell_no_story() -> None:
    samples = [a_sample(requests=None, errors=5), a_sample(GOOD, requests=0)]
    assert tally(samples, start=START, end=START + MINUTE) == {}


def test_nobody_asking_has_no_errors() -> None:
    assert Tally(0, 0).ratio == 0.0


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Tally(1000, 50), Tally(1000, 50)),
        (Tally(100_000, 5000), Tally(100_000, 6900)),  # certain, and less than two points apart
        (Tally(20, 0), Tally(20, 3)),  # far apart, and too few to be sure
        (Tally(5000, 500), Tally(40, 7)),  # a small sample of the same
    ],
)
def test_the_same_story(one: Tally, two: Tally) -> None:
    assert find_disagreement({BAD.id: one}, {BAD.id: two}) is None


@pytest.mark.parametrize(("one", "two"), [(Tally(1000, 0), Tally(1000, 50)), (Tally(500, 100), Tally(60, 1))])
def test_another_story_whichever_of_the_two_tells_it(one: Tally, two: Tally) -> None:
    assert find_disagreement({BAD.id: one}, {BAD.id: two}) == (BAD.id, one, two)
    assert find_disagreement({BAD.id: two}, {BAD.id: one}) == (BAD.id, two, one)


def test_I_02_silence_of_one_source_is_no_other_story() -> None:
    assert find_disagreement({BAD.id: Tally(1000, 300)}, {GOOD.id: Tally(1000, 0)}) is None
