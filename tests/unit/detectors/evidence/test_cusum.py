"""The cumulative sum: the reference values R5, and where it stops."""

import pytest

from daemon.detectors.evidence.cusum import NATS_MAX, accumulate

R5 = [
    (0, 0), (1, 0), (2, 0), (3, 0.072321), (10, 0.542324), (30, 1.673726), (0, 1.511207), (0, 1.348689),
    (5, 1.551629), (0, 1.38911), (0, 1.226592), (0, 1.064073), (0, 0.901554), (0, 0.739035), (0, 0.576516),
    (0, 0.413997), (0, 0.251478), (0, 0.088959), (0, 0),
]  # fmt: skip


def test_agrees_with_the_reference_values() -> None:
    nats = 0.0
    for errors, expected in R5:
        nats = accumulate(nats, errors / 100 / 0.02)
        assert nats == pytest.approx(expected, abs=5e-7)


def test_a_bucket_at_the_limit_leaves_it_where_it_is() -> None:
    assert accumulate(2.5, 1.0) == 2.5


def test_never_leaves_zero_to_forty() -> None:
    assert accumulate(0.01, 0.0) == 0.0
    assert accumulate(39.9, 50.0) == NATS_MAX
