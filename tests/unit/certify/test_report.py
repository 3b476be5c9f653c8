"""Figures are counted as they are said, with exact intervals, and what cannot be seen is said in words."""

import pytest

from daemon.certify.report import Delays, Report, Share, count
from daemon.certify.verdict import Judged
from daemon.certify.words import false_rollbacks, summary, tables, unseen


def missed(kind: str, number: int, stopped_by: str = "", stopped_at: float = 0.0) -> Judged:
    return Judged(kind, number, acted=False, stopped_by=stopped_by, stopped_at=stopped_at)


def found(kind: str, number: int, delay_seconds: float, **facts: bool) -> Judged:
    return Judged(kind, number, acted=True, delay_seconds=delay_seconds, **facts)


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    # Source: exact two-sided 95 % limits, 1 - 0.025^(1/n) for none of n; 3 of 800 by the beta quantiles.
    low, high = Share(0, 100).interval
    assert (low, high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 100), abs=1e-9))
    low, high = Share(100, 100).interval
    assert (low, high) == (pytest.approx(0.025 ** (1 / 100), abs=1e-9), 1.0)
    low, high = Share(5, 10).interval
    assert (low, high) == (pytest.approx(0.187086, abs=1e-6), pytest.approx(0.812914, abs=1e-6))


def test_of_nothing_is_nothing_known() -> None:
    assert Share(0, 0).interval == (0.0, 1.0)
    assert Share(0, 0).ratio == 0.0


@pytest.mark.parametrize(
    ("seconds", "median", "p95"),
    [((), None, None), ((10.0,), 10.0, 10.0), (tuple(map(float, range(1, 21))), 10.5, 19.0), ((1.0, 2.0), 1.5, 2.0)],
)
def test_delays_have_a_median_and_a_95th_percentile(
    seconds: tuple[float, ...], median: float | None, p95: float | None
) -> None:
    assert (Delays(seconds).median, Delays(seconds).p95) == (median, p95)


def a_report() -> Report:
    return count(
        [
            *(missed("steady", number) for number in range(3)),
            Judged("cold-start", 0, acted=True),
            *(missed("jump-3", number, "max_error_rate", 0.05) for number in range(3)),
            found("jump-3", 3, 600),
            found("jump-10", 0, 120),
            found("jump-10", 1, 180, is_astray=True),
            Judged("jump-30", 0, acted=True, is_early=True),
            Judged("mid-life", 0, acted=True),
            missed("already-running", 0),
            found("rollback-does-not-help", 0, 60, goes_on=True),
        ]
    )


def test_each_figure_counts_its_own_kinds() -> None:
    report = a_report()
    assert report.false == Share(1, 4)
    assert report.missed == Share(3, 7)
    assert report.misguided == Share(2, 7)
    assert report.outages == Share(1, 2)
    assert report.delays.seconds == (120, 180, 600)
    assert [row.again for row in report.stories] == [1]


def test_false_rollbacks_are_stated_by_days_and_by_years() -> None:
    days, years = false_rollbacks(Share(3, 800), deployments_per_year=2_000)
    assert "3 in 800 healthy project-days: 3.8 in 1,000 (95 % interval 0.8 to 10.9)" in days
    assert "at 2,000 deployments a year: 7.5 a year (1.5 to 21.8)" in years


def test_what_is_missed_more_often_than_not_is_said_in_words() -> None:
    assert unseen(a_report()) == ["a jump to 3% is below max_error_rate 5 % (missed 3 of 4)"]


def test_a_kind_of_which_half_is_missed_can_be_seen() -> None:
    assert unseen(count([missed("jump-3", 0), found("jump-3", 1, 60)])) == []


@pytest.mark.parametrize(
    ("judged", "sentence"),
    [
        (missed("low-traffic-bad", 0, "min_requests", 20.0), "fewer requests than the 20 of min_requests"),
        (missed("jump-30", 0, "blind"), "the daemon is blind"),
        (missed("jump-3", 0, "rate", 0.06), "a jump to 3% is below the limit 6 %"),
        (missed("jump-10", 0, "max_error_rate", 0.05), "mostly the error ratio stays below max_error_rate 0.05"),
        (missed("ramp", 0), "no detector says anything"),
        (missed("ramp", 0, "moon_phase", 0.5), "moon_phase is not met"),
        (Judged("bad-fix", 0, acted=False, is_asking=True), "a person is asked instead"),
    ],
)
def test_every_obstacle_has_words(judged: Judged, sentence: str) -> None:
    [said] = unseen(count([judged]))
    assert sentence in said


def test_the_summary_and_the_tables_show_every_kind_that_was_told() -> None:
    text = "\n".join([*summary(a_report()), *tables(a_report())])
    assert "3 of 7 (42.9%" in text
    assert "median 180 s, 95 % within 600 s" in text
    for kind in ("steady", "cold-start", "jump-3", "mid-life", "rollback-does-not-help"):
        assert f"  {kind} " in text


def test_machines_get_the_same_figures() -> None:
    plain = a_report().as_json()
    assert plain["false_rollbacks"]["count"] == 1
    [row] = [one for one in plain["kinds"] if one["kind"] == "jump-10"]
    assert (row["runs"], row["missed"], row["wrong_target"]) == (2, 0, 1)
    assert row["delay"] == {"found": 2, "median_seconds": 150.0, "p95_seconds": 180.0}
