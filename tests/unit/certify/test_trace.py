"""Traces keep to the lines that detection rules are scored on, in both of their forms."""

import json
from typing import Any

import pytest

from daemon.certify.kinds import BY_NAME, draw
from daemon.certify.trace import Counts, Label, as_line, from_line
from tests.unit.certify.scenes import a_scene

PAIR: dict[str, Any] = {
    "id": "p1",
    "poll_s": 10,
    "prev": {"n": [5, 6, 7], "x": [0, 1, 0]},
    "new": {"n": [8, None, 9], "x": [4, None, 9]},
    "truth": {"label": "bad", "kind": "b_jump", "onset_poll": 1, "size": 0.5, "served_errors": [4, 4, 5]},
}


def test_counts_outside_of_what_was_read_are_zero() -> None:
    counts = Counts(2, (5, None), (1, None))
    assert [counts.at(poll) for poll in range(1, 5)] == [(0, 0), (5, 1), (None, None), (0, 0)]


def test_a_pair_of_counts_becomes_one_release() -> None:
    trace = from_line(PAIR)
    assert [(one.poll, one.deployment) for one in trace.releases] == [(0, "dpl_P"), (3, "dpl_A")]
    assert trace.counts["dpl_A"].at(4) == (None, None)
    assert (trace.truth.onset_poll, trace.truth.target, trace.live_from, trace.polls) == (4, "dpl_P", 3, 6)


def test_an_outage_that_began_before_the_release_is_told_from_its_onset_on() -> None:
    trace = from_line({**PAIR, "truth": {"label": "outage", "kind": "o_pre", "onset_poll": -2}})
    assert (trace.truth.onset_poll, trace.live_from, trace.truth.target) == (1, 1, None)


@pytest.mark.parametrize("name", ["jump-10", "steady", "bad-fix", "train-same-fault", "just-before-seen-late"])
def test_a_story_survives_the_way_through_its_line(name: str) -> None:
    told = draw(BY_NAME[name], a_scene(), seed=1, number=0)
    read = from_line(json.loads(json.dumps(as_line(told, name="s1"))))
    assert (read.truth, read.releases, read.polls) == (told.truth, told.releases, told.polls)
    assert (read.poll_seconds, read.lag_polls, read.goes_on) == (told.poll_seconds, told.lag_polls, told.goes_on)
    for poll in range(told.polls):
        serving = told.serving(poll)
        assert read.counts[serving].at(poll) == told.counts[serving].at(poll)


def test_a_line_counts_only_what_served() -> None:
    line = as_line(draw(BY_NAME["jump-30"], a_scene(), seed=1, number=0), name="s1")
    released = line["activations"][1][0]
    assert not any(line["counts"]["dpl_P"]["n"][released:])
    assert not any(line["counts"]["dpl_A"]["n"][:released])
    assert line["truth"]["label"] == Label.BAD


def test_a_line_of_another_form_is_refused() -> None:
    with pytest.raises(KeyError):
        from_line({"id": "x"})
