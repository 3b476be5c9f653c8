"""Recorded counts: what is decided, whom it names, what is refused; and the score on the public traces."""

import json
from typing import Any

import pytest

from bench.score import scored
from daemon.detectors.evidence.knobs import Design, Sensitivity
from daemon.detectors.evidence.offline import BadTrace, Decision, judge_trace, parse_trace

GOOD, BAD = (100, 0), (100, 20)


def a_story(activations: list[tuple[int, str]], counts: list[Any], *, lag: int = 0, poll: float = 10) -> str:
    """Return a story in which *counts* are those of whatever serves; others have none."""
    by_id: dict[str, dict[str, list[int | None]]] = {}
    for name in {name for _, name in activations}:
        by_id[name] = {"n": [0] * len(counts), "x": [0] * len(counts)}
    for index, count in enumerate(counts):
        serving = [name for at, name in activations if at <= index][-1]
        by_id[serving]["n"][index], by_id[serving]["x"][index] = count or (None, None)
    story = {"id": "s", "poll_s": poll, "lag_polls": lag, "activations": activations, "counts": by_id}
    return json.dumps(story)


def decide(*story: Any, **facts: Any) -> tuple[int | None, str | None]:
    decision = judge_trace(parse_trace(a_story(*story, **facts)), Design())
    return decision.decided_poll, decision.target


def test_a_pair_is_decided_at_a_poll_of_the_new_deployment() -> None:
    trace = {
        "id": "a",
        "poll_s": 10,
        "prev": {"n": [100] * 200, "x": [0] * 200},
        "new": {"n": [100] * 40, "x": [20] * 40},
    }
    decision = judge_trace(parse_trace(json.dumps(trace)), Design())
    assert decision.as_line() == '{"id": "a", "decided_poll": 11}'


def test_a_pair_without_a_past_is_judged_by_the_floor() -> None:
    trace = {"id": "a", "poll_s": 60, "prev": {"n": [], "x": []}, "new": {"n": [100, None, 100], "x": [100, 3, 100]}}
    assert judge_trace(parse_trace(json.dumps(trace)), Design()).decided_poll == 2


def test_a_healthy_pair_is_left_alone() -> None:
    trace = {"id": "a", "poll_s": 10, "prev": {"n": [5] * 9, "x": [0] * 9}, "new": {"n": [9] * 99, "x": [0] * 99}}
    assert judge_trace(parse_trace(json.dumps(trace)), Design()).as_line() == '{"id": "a", "decided_poll": null}'


def test_a_story_names_the_target() -> None:
    decision = judge_trace(parse_trace(a_story([(0, "P"), (100, "A")], [GOOD] * 100 + [BAD] * 20)), Design())
    assert decision == Decision("s", 111, "P", names_target=True)
    assert decision.as_line() == '{"id": "s", "decided_poll": 111, "target": "P"}'


def test_a_decision_comes_one_lag_later_and_what_nobody_read_decides_nothing() -> None:
    counts = [GOOD] * 100 + [BAD] * 20
    assert decide([(0, "P"), (100, "A")], counts, lag=6) == (117, "P")
    assert decide([(0, "P"), (100, "A")], counts[:-3], lag=6) == (None, None)


def test_the_first_deployment_has_nothing_to_go_back_to() -> None:
    assert decide([(0, "A")], [BAD] * 100) == (None, None)


def test_counts_before_the_first_activation_are_nobodys() -> None:
    story = json.loads(a_story([(0, "P"), (50, "A")], [GOOD] * 50 + [BAD] * 20))
    story["activations"][0][0] = 3
    assert judge_trace(parse_trace(json.dumps(story)), Design()).decided_poll == 61


def test_bad_then_the_same_fault_goes_back_to_before_the_first() -> None:
    counts = [GOOD] * 100 + [BAD] * 40
    assert decide([(0, "P"), (100, "A"), (105, "B")], counts)[1] == "P"


def test_healthy_then_bad_goes_back_to_the_healthy_one() -> None:
    counts = [GOOD] * 120 + [BAD] * 40
    assert decide([(0, "P"), (100, "A"), (120, "B")], counts) == (131, "A")


def test_a_target_that_was_rolled_back_from_is_skipped() -> None:
    # Somebody went back from A, and promoted it again later.
    activations = [(0, "P"), (100, "A"), (110, "P"), (300, "A"), (420, "F")]
    assert decide(activations, [GOOD] * 420 + [BAD] * 40) == (431, "P")
    assert decide(activations[:2] + activations[-1:], [GOOD] * 420 + [BAD] * 40) == (431, "A")


def test_a_deployment_is_no_way_back_from_itself() -> None:
    assert decide([(0, "A"), (100, "A")], [GOOD] * 100 + [BAD] * 40) == (None, None)


def test_a_target_that_serves_already_means_nothing_to_do() -> None:
    # With the lag the rollback by somebody else is known before the decision is made.
    counts = [GOOD] * 100 + [BAD] * 12 + [GOOD] * 40
    assert decide([(0, "P"), (100, "A"), (112, "P")], counts, lag=6) == (None, None)


def test_what_the_story_rolls_back_itself_is_not_decided_again() -> None:
    counts = [GOOD] * 100 + [BAD] * 40 + [GOOD] * 100
    assert decide([(0, "P"), (100, "A"), (140, "P")], counts) == (None, None)


def test_a_fix_that_came_while_counts_lagged_is_given_its_chance() -> None:
    activations, counts = [(0, "P"), (100, "A"), (114, "B")], [GOOD] * 100 + [BAD] * 14 + [GOOD] * 40
    assert decide(activations, counts, lag=6) == (None, None)
    assert decide(activations, counts, lag=0) == (111, "P")
    still_bad = [GOOD] * 100 + [BAD] * 40
    assert decide(activations, still_bad, lag=6) == (120, "P")


def test_two_activations_at_one_poll() -> None:
    assert decide([(0, "P"), (100, "A"), (100, "B")], [GOOD] * 100 + [BAD] * 40) == (111, "A")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "not JSON"),
        ("[1]", "a trace is an object, not list"),
        ('{"id": 1}', "`id` must be a text"),
        ('{"id": "a"}', "`poll_s` must be a number of seconds up to 86400, not None"),
        ('{"id": "a", "poll_s": true}', "not True"),
        ('{"id": "a", "poll_s": 0}', "not 0"),
        ('{"id": "a", "poll_s": 86401}', "not 86401"),
        ('{"id": "a", "poll_s": 10}', "`prev` must be an object with `n` and `x`"),
        ('{"id": "a", "poll_s": 10, "prev": {"n": 3, "x": []}}', "`prev.n` must be a list"),
        ('{"id": "a", "poll_s": 10, "prev": {"n": [1], "x": []}}', "`prev` has 1 counts of requests and 0 of errors"),
        ('{"id": "a", "poll_s": 10, "prev": {"n": [1.5], "x": [0]}}', "whole numbers or null, not 1.5"),
        ('{"id": "a", "poll_s": 10, "prev": {"n": [true], "x": [0]}}', "whole numbers or null, not True"),
        ('{"id": "a", "poll_s": 10, "activations": 3}', "`activations` must be a list"),
        ('{"id": "a", "poll_s": 10, "activations": []}', "in order of time, one at least"),
        ('{"id": "a", "poll_s": 10, "activations": [[5, "P"], [3, "A"]]}', "in order of time, one at least"),
        ('{"id": "a", "poll_s": 10, "activations": [["P", 5]]}', "an activation is [poll, deployment]"),
        ('{"id": "a", "poll_s": 10, "activations": [[-1, "P"]]}', "an activation is [poll, deployment]"),
        ('{"id": "a", "poll_s": 10, "activations": [[0, "P"]], "lag_polls": -1}', "`lag_polls` must be a whole number"),
        ('{"id": "a", "poll_s": 10, "activations": [[0, "P"]]}', "`counts` must be an object"),
        ('{"id": "a", "poll_s": 10, "activations": [[0, "P"]], "counts": {}}', "`counts` has nothing of P"),
        (
            '{"id": "a", "poll_s": 10, "activations": [[0, "P"]], "counts": {"P": {"n": [1], "x": [0]}, '
            '"A": {"n": [], "x": []}}}',
            "`counts` must be of equal length, and not [0, 1]",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused_with_the_reason(line: str, sentence: str) -> None:
    with pytest.raises(BadTrace) as refused:
        parse_trace(line)
    assert sentence in str(refused.value)


@pytest.mark.slow
def test_decides_the_public_traces_rightly_and_in_time() -> None:
    result = scored("public.jsonl.gz", Sensitivity.BALANCED, None)
    assert (result["healthy"], result["bad"], result["outage"]) == (96, 132, 24)
    assert (result["false"], result["missed"], result["wrong"], result["before_onset"]) == (0, 0, 0, 0)
    assert result["delay_seconds"]["10"]["median"] <= 120


@pytest.mark.slow
def test_decides_polls_of_a_minute_in_time_when_asked_to_be_fast() -> None:
    result = scored("public.jsonl.gz", Sensitivity.FAST, 60)
    assert (result["false"], result["missed"], result["wrong"], result["before_onset"]) == (0, 0, 0, 0)
    assert result["delay_seconds"]["60"]["median"] <= 240


@pytest.mark.slow
@pytest.mark.parametrize("sensitivity", [Sensitivity.BALANCED, Sensitivity.FAST])
def test_decides_the_stories_rightly_and_names_the_right_target(sensitivity: Sensitivity) -> None:
    result = scored("stories.jsonl.gz", sensitivity, None)
    assert (result["healthy"], result["bad"], result["outage"]) == (30, 24, 12)
    assert (result["false"], result["missed"], result["wrong_target"], result["before_onset"]) == (0, 0, 0, 0)
    assert result["wrong"] <= 0.05 * result["outage"]
