"""The end of trouble is proved by fresh counts, never by silence."""

import pytest

from daemon.core import binomial
from daemon.detectors.evidence.recovering import NOTHING_COUNTED, Calm, count_calm, is_below, requests_min

LIMIT = 0.02


def test_takes_three_over_the_limit_requests_at_least() -> None:
    assert requests_min(LIMIT) == 150
    assert not is_below(0, 149, LIMIT)
    assert is_below(0, 150, LIMIT)


@pytest.mark.parametrize(
    ("errors", "requests"), [(0, 150), (1, 235), (1, 236), (1, 237), (3, 385), (20, 1480), (2, 100)]
)
def test_agrees_with_the_upper_confidence_limit(errors: int, requests: int) -> None:
    assert is_below(errors, requests, LIMIT) == (binomial.upper_limit(errors, requests) <= LIMIT)


def test_takes_two_buckets_in_a_row_that_agree() -> None:
    once = count_calm(NOTHING_COUNTED, 200, 0, LIMIT)
    assert not once.is_proved
    assert count_calm(once, 50, 0, LIMIT).is_proved
    # In between one that does not agree.
    doubtful = count_calm(once, 50, 0, LIMIT)._replace(is_proved=False, agreeing=1, requests=200, errors=3)
    assert count_calm(doubtful, 50, 0, LIMIT).agreeing == 0


def test_a_bucket_at_the_limit_begins_anew() -> None:
    calm = count_calm(count_calm(NOTHING_COUNTED, 200, 0, LIMIT), 200, 0, LIMIT)
    assert calm.is_proved
    assert count_calm(calm, 100, 2, LIMIT) == Calm(was_hot=True)
    assert count_calm(calm, 100, 1, LIMIT).is_proved
