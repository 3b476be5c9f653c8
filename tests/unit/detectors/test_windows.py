"""Windows and episodes: what they add up to, and what nobody knows."""

import pytest

from daemon.detectors.windows import Episode, Window, add, episode_of, shared_time
from tests.builders import MINUTE, START, a_sample


def a_window(minute: int = 0, requests: int | None = 100, errors: int = 5) -> Window:
    return Window(START + minute * MINUTE, START + (minute + 1) * MINUTE, requests, errors)


def test_a_window_takes_more_counts_and_stays_where_it_is() -> None:
    fuller = a_window().with_more(a_sample(requests=20, errors=3, is_sampled=True))
    assert fuller == Window(START, START + MINUTE, 120, 8, is_sampled=True)
    assert fuller.with_more(a_sample(requests=None, errors=2)) == Window(START, START + MINUTE, None, 10, True)


@pytest.mark.parametrize(("requests", "ratio"), [(100, 0.05), (0, None), (None, None)])
def test_without_requests_there_is_no_ratio(requests: int | None, ratio: float | None) -> None:
    assert a_window(requests=requests).error_ratio == ratio


def test_errors_a_minute_are_told_of_the_windows_own_length() -> None:
    assert Window(START, START + 2 * MINUTE, None, 5).errors_per_minute == 2.5


def test_an_episode_counts_its_first_window_only_while_it_is_alone() -> None:
    assert episode_of([a_window()]) == Episode(START, START + MINUTE, 1, 100, 5)
    assert episode_of([a_window(), a_window(1, 50, 2), a_window(2, 20, 1)]) == Episode(START, START + MINUTE, 3, 70, 3)
    assert episode_of([a_window(), a_window(1, None, 2)]).requests is None


def test_what_nobody_knows_adds_up_to_nothing_known() -> None:
    assert (add(1, 2), add(None, 2), add(1, None)) == (3, None, None)


@pytest.mark.parametrize(("begins", "shared"), [(-2, -1), (-1, 0), (-0.25, 0.75), (0, 1), (0.5, 0.5), (1, 0), (2, -1)])
def test_shared_time_is_what_both_have_in_common(begins: float, shared: float) -> None:
    assert shared_time(a_window(), a_sample(start=START + begins * MINUTE)) == shared * MINUTE
