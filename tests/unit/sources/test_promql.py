"""What a range query's answer means: counts are whole, never guessed, and contradictions are no counts."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.core.signal import SignalReason
from daemon.ports.errors import Unintelligible
from daemon.ports.source import Reading
from daemon.sources.promql import MARK, Counts, Labels, judge, moments_between, read_series, sort_series
from tests.builders import START

STEP = timedelta(seconds=60)
END = START + 5 * STEP
MOMENTS = moments_between(START, END, STEP)
SECONDS = list(MOMENTS)
LABELS = Labels("project", "deployment")
SHOP, BLOG = "prj_shop", "prj_blog"


def values(*numbers: object, first: int = 0) -> list[list[Any]]:
    """Values at moments one after another; None leaves one out."""
    pairs = zip(SECONDS[first:], numbers, strict=False)
    return [[seconds, str(number)] for seconds, number in pairs if number is not None]


def a_series(
    mark: str, *numbers: object, deployment: str = "dpl_a", project: str = SHOP, first: int = 0
) -> dict[str, Any]:
    labels = {MARK: mark, "deployment": deployment, "project": project}
    return {"metric": {name: value for name, value in labels.items() if value}, "values": values(*numbers, first=first)}


def an_answer(*series: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}} | changes


def counts_of(*series: dict[str, Any], projects: tuple[str, ...] = (SHOP,)) -> dict[str, Counts]:
    counts = {project: Counts() for project in projects}
    sort_series(read_series(an_answer(*series), what="it"), counts, labels=LABELS, moments=MOMENTS, what="it")
    return counts


def a_reading(*series: dict[str, Any], zero: bool = False, start=START, end=END) -> Reading:
    counts = counts_of(*series)[SHOP]
    return judge(counts, source="prometheus", start=start, end=end, step=STEP, missing_errors_are_zero=zero)


def told(reading: Reading) -> list[tuple[str, int, int, int]]:
    """Deployment, step, requests and errors of each sample."""
    assert all(one.end - one.start == STEP for one in reading.samples)
    steps = [(one.start - START) // STEP for one in reading.samples]
    return [
        (one.deployment, step, one.requests or 0, one.errors) for one, step in zip(reading.samples, steps, strict=True)
    ]


# Form


def test_moments_are_the_ends_of_whole_steps():
    assert list(MOMENTS.values()) == [START + number * STEP for number in range(1, 6)]
    assert [seconds - START.timestamp() for seconds in MOMENTS] == [60, 120, 180, 240, 300]


@pytest.mark.parametrize(
    "changes",
    [
        {"warnings": ["partial response: store 10.0.0.1 is away"]},
        {"warnings": ["PromQL warning: mixed histograms and floats"]},
        {"warnings": ["PromQL info: name does not end in _total", "something else"]},
        {"isPartial": True},
    ],
)
def test_I_01_a_partial_answer_is_truncated(changes):
    with pytest.raises(Unintelligible, match="it: a partial answer") as caught:
        read_series(an_answer(a_series("requests", 1), **changes), what="it")
    assert caught.value.reason is SignalReason.TRUNCATED


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"warnings": None},
        {"warnings": []},
        {"isPartial": False},
        {"infos": ["PromQL info: metric might not be a counter"]},
        {"warnings": ["PromQL info: metric might not be a counter"]},
        {"stats": {"seriesFetched": "2"}, "trace": None},
    ],
)
def test_remarks_on_style_and_unknown_keys_are_no_trouble(changes):
    assert len(read_series(an_answer(a_series("requests", 1), **changes), what="it")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"status": "error", "errorType": "timeout", "error": "too slow"},
        {"status": "success"},
        {"status": "success", "data": {"resultType": "vector", "result": []}},
        {"status": "success", "data": {"resultType": "matrix", "result": {}}},
        an_answer({"metric": {}}),
        an_answer({"metric": {}, "histograms": []}),
        an_answer({"metric": {"a": 1}, "values": []}),
        an_answer({"metric": {}, "values": [[1, 2]]}),
        an_answer({"metric": {}, "values": [["1", "2"]]}),
        an_answer({"metric": {}, "values": [[1]]}),
        an_answer({"metric": {}, "values": [[True, "2"]]}),
        an_answer(warnings="partial"),
        an_answer(isPartial="no"),
    ],
)
def test_an_answer_of_another_form_is_no_answer(answer):
    with pytest.raises(Unintelligible) as caught:
        read_series(answer, what="it")
    assert caught.value.reason is SignalReason.SCHEMA_DRIFT


@pytest.mark.parametrize("seconds", [SECONDS[0] - 60, SECONDS[-1] + 60, SECONDS[0] + 1, SECONDS[0] + 0.5, 0, -1, 1e308])
def test_a_value_at_another_moment_is_a_shifted_window(seconds):
    series = {"metric": {MARK: "requests", "project": SHOP}, "values": [[seconds, "1"]]}
    with pytest.raises(Unintelligible, match="shifted window") as caught:
        counts_of(series)
    assert caught.value.reason is SignalReason.SHIFTED_WINDOW


@pytest.mark.parametrize("order", [(1, 0), (0, 0), (0, 2, 1)])
def test_values_out_of_order_or_given_twice_contradict_each_other(order):
    series = a_series("requests") | {"values": [[SECONDS[one], "1"] for one in order]}
    with pytest.raises(Unintelligible, match="do not go forward") as caught:
        counts_of(series)
    assert caught.value.reason is SignalReason.INCONSISTENT


def test_a_value_that_is_no_number_is_no_answer():
    with pytest.raises(Unintelligible, match="not a number") as caught:
        counts_of(a_series("requests", "many"))
    assert caught.value.reason is SignalReason.SCHEMA_DRIFT


@pytest.mark.parametrize("mark", ["", "other"])
def test_a_series_of_neither_expression_is_no_answer(mark):
    with pytest.raises(Unintelligible, match=f"without the label {MARK}"):
        counts_of(a_series(mark, 1))


# Whose it is


def test_each_project_gets_its_own_series_and_strangers_none():
    series = [a_series("requests", 5, project=one) for one in (SHOP, BLOG, "prj_strange", "")]
    counts = counts_of(*series, projects=(SHOP, BLOG))
    assert {one: list(found.requests) for one, found in counts.items()} == {SHOP: ["dpl_a"], BLOG: ["dpl_a"]}


def test_series_without_any_projects_label_are_no_answer():
    with pytest.raises(Unintelligible, match="no series has a label 'project'"):
        counts_of(a_series("requests", 5, project=""))


def test_series_without_a_projects_label_are_those_of_the_one_that_was_asked_for():
    counts = counts_of(a_series("requests", 5, project=""), a_series("requests", 5, project=BLOG), projects=("", SHOP))
    assert [len(found.requests) for found in counts.values()] == [1, 0]


def test_a_deployment_that_is_counted_twice_contradicts_itself():
    series = [a_series("requests", 5), a_series("requests", 6)]
    with pytest.raises(Unintelligible, match="dpl_a is counted twice; write `sum by") as caught:
        a_reading(*series)
    assert caught.value.reason is SignalReason.INCONSISTENT


@pytest.mark.parametrize("deployment", ["", "v1.2.3", "shop-abc.vercel.app", "dpl_", "dpl_a b"])
def test_what_no_deployment_served_is_left_out(deployment):
    named = [a_series("requests", 5), a_series("errors", 1)]
    assert told(a_reading(*named, a_series("requests", 7, deployment=deployment))) == [("dpl_a", 0, 5, 1)]
    with pytest.raises(Unintelligible, match="no series names its deployment by an id"):
        a_reading(a_series("requests", 7, deployment=deployment))


# Counts


def test_counts_of_several_deployments_come_in_order_of_time():
    reading = a_reading(
        a_series("requests", 10, 5, 0, 0, 0),
        a_series("errors", 1, 0, 0, 0, 0),
        a_series("requests", 6, 11, 12, 13, first=1, deployment="dpl_b"),
        a_series("errors", 6, 0, 3, 13, first=1, deployment="dpl_b"),
    )
    assert told(reading) == [
        ("dpl_a", 0, 10, 1),
        ("dpl_a", 1, 5, 0),
        ("dpl_b", 1, 6, 6),
        ("dpl_b", 2, 11, 0),
        ("dpl_b", 3, 12, 3),
        ("dpl_b", 4, 13, 13),
    ]
    assert (reading.source, reading.complete_until, reading.covered) == ("prometheus", END, 1.0)


@pytest.mark.parametrize(
    ("requests", "errors", "count"),
    [
        ("57.4", "0.4", (57, 0)),
        ("57.6", "0.6", (58, 1)),
        ("57.5", "57.5", (58, 58)),
        ("2.4999999", "2.5000001", (2, 2)),
        ("0.6", "0.6", (1, 1)),
        ("1e3", "1.5e2", (1000, 150)),
    ],
)
def test_fractions_are_rounded_and_errors_never_exceed_requests(requests, errors, count):
    assert told(a_reading(a_series("requests", requests), a_series("errors", errors))) == [("dpl_a", 0, *count)]


@pytest.mark.parametrize("requests", ["0", "0.4", "-0"])
def test_I_02_nobody_asking_is_no_sample_and_still_complete(requests):
    reading = a_reading(a_series("requests", *[requests] * 5), a_series("errors", *["0"] * 5))
    assert (told(reading), reading.complete_until, reading.covered) == ([], END, 1.0)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", None])
def test_I_02_requests_that_nobody_knows_are_no_zero_and_no_complete_time(value):
    reading = a_reading(a_series("requests", 5, value, 7, value, value), a_series("errors", 1, 1, 1, 1, 1))
    assert told(reading) == [("dpl_a", 0, 5, 1), ("dpl_a", 2, 7, 1)]
    assert reading.complete_until == START + 3 * STEP
    assert reading.covered == pytest.approx(2 / 3)


@pytest.mark.parametrize(("value", "zero"), [("NaN", False), ("NaN", True), (None, False)])
def test_I_02_errors_that_nobody_knows_are_no_zero(value, zero):
    reading = a_reading(a_series("requests", 5, 6, 7), a_series("errors", 1, value, 1), zero=zero)
    assert told(reading) == [("dpl_a", 0, 5, 1), ("dpl_a", 2, 7, 1)]
    assert reading.covered == pytest.approx(2 / 3)


def test_beyond_the_newest_whole_moment_nothing_is_told_of_anybody():
    reading = a_reading(
        a_series("requests", 5, 6),
        a_series("errors", 1, 2),
        a_series("requests", 5, 6, deployment="dpl_b"),
        a_series("errors", 1, deployment="dpl_b"),
    )
    assert told(reading) == [("dpl_a", 0, 5, 1), ("dpl_b", 0, 5, 1)]
    assert reading.complete_until == START + STEP


def test_nothing_at_all_is_no_sample_and_no_complete_time():
    reading = a_reading()
    assert (told(reading), reading.complete_until) == ([], START)


def test_I_02_requests_without_a_series_of_errors_are_refused_with_the_remedy():
    with pytest.raises(
        Unintelligible, match=r"requests of dpl_a and no series of errors; .*`or 0 \* <requests>`"
    ) as caught:
        a_reading(a_series("requests", 0, 5))
    assert caught.value.reason is SignalReason.INCONSISTENT


def test_missing_errors_are_zero_where_the_settings_say_so():
    reading = a_reading(a_series("requests", 5, "NaN", 6), zero=True)
    assert told(reading) == [("dpl_a", 0, 5, 0), ("dpl_a", 2, 6, 0)]
    # A counter with a label for the status is born with the first error.
    reading = a_reading(a_series("requests", 5, 6, 7), a_series("errors", 2, first=2), zero=True)
    assert told(reading) == [("dpl_a", 0, 5, 0), ("dpl_a", 1, 6, 0), ("dpl_a", 2, 7, 2)]


def test_nobody_asking_needs_no_series_of_errors():
    assert told(a_reading(a_series("requests", 0, 0))) == []


@pytest.mark.parametrize(
    ("requests", "errors"),
    [("10", "11"), ("10", "10.1"), ("0", "1"), ("10", "-1"), ("-1", "0"), ("-1", "-1"), ("5", "+Inf")],
)
def test_I_08_more_errors_than_requests_or_less_than_none_are_no_answer(requests, errors):
    with pytest.raises(Unintelligible, match=r"errors of .* requests of dpl_a; taken as no answer") as caught:
        a_reading(a_series("requests", requests), a_series("errors", errors))
    assert caught.value.reason is SignalReason.INCONSISTENT


def test_I_08_less_than_no_requests_is_no_answer_even_without_errors_beside_it():
    with pytest.raises(Unintelligible, match="nan errors of -3 requests of dpl_a"):
        a_reading(a_series("requests", "-3"))


def test_only_the_projects_own_window_counts():
    reading = a_reading(
        a_series("requests", 1, 2, 3, 4, 5),
        a_series("errors", 1, 1, 1, 1, 1),
        start=START + STEP,
        end=START + 4 * STEP,
    )
    assert told(reading) == [("dpl_a", 1, 2, 1), ("dpl_a", 2, 3, 1), ("dpl_a", 3, 4, 1)]
    assert reading.complete_until == START + 4 * STEP
