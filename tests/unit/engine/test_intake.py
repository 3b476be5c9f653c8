"""Operators' requests: what is written into the queue comes out as the event that it means."""

from datetime import timedelta

import pytest

from daemon.core.event import OperatorRequested, OperatorVerb
from daemon.core.facts import Instant
from daemon.engine.intake import Ask, Outdated, encode_ask, to_event
from daemon.ports.store import OperatorRequest
from tests.builders import PROJECT, START

NOW = Instant(START, 5.0)


def a_request(document: str) -> OperatorRequest:
    return OperatorRequest(1, PROJECT, document, requested_at=START, requested_by="ann")


@pytest.mark.parametrize("verb", list(OperatorVerb))
def test_every_verb_comes_out_as_it_was_asked(verb: OperatorVerb) -> None:
    ask = Ask(verb, reason="a migration – until noon", for_seconds=60.0, incident="inc_1")
    assert to_event(a_request(encode_ask(ask)), NOW) == OperatorRequested(
        NOW, verb, by="ann", reason="a migration – until noon", for_seconds=60.0, incident="inc_1"
    )


def test_what_is_left_out_means_nothing_special() -> None:
    event = to_event(a_request('{"verb": "pause"}'), NOW)
    assert event == OperatorRequested(NOW, OperatorVerb.PAUSE, by="ann", reason="", for_seconds=None, incident=None)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "pause",
        "{}",
        '{"verb": "launch"}',
        '{"verb": "pause", "for_seconds": 0}',
        '{"verb": "pause", "for_seconds": -1}',
        '{"verb": "pause", "for_seconds": 1e999}',
        '{"verb": "pause", "for_seconds": NaN}',
        '{"verb": "pause", "reason": "' + "x" * 501 + '"}',
    ],
)
def test_what_cannot_be_meant_is_refused(document: str) -> None:
    with pytest.raises(ValueError):
        to_event(a_request(document), NOW)


def test_a_reason_may_be_as_long_as_the_bound() -> None:
    assert len(to_event(a_request('{"verb": "pause", "reason": "' + "x" * 500 + '"}'), NOW).reason) == 500


# How long ago it was asked for


def after(seconds: float) -> Instant:
    return Instant(START + timedelta(seconds=seconds), seconds)


@pytest.mark.parametrize(("seconds", "left"), [(-5.0, 60.0), (0.0, 60.0), (45.0, 15.0)])
def test_a_pause_counts_from_when_it_was_asked_for(seconds: float, left: float) -> None:
    document = encode_ask(Ask(OperatorVerb.PAUSE, for_seconds=60.0))
    assert to_event(a_request(document), after(seconds)).for_seconds == left


@pytest.mark.parametrize("seconds", [60.0, 60.001, 1e6])
def test_a_pause_that_is_over_pauses_nothing(seconds: float) -> None:
    with pytest.raises(Outdated):
        to_event(a_request(encode_ask(Ask(OperatorVerb.PAUSE, for_seconds=60.0))), after(seconds))


@pytest.mark.parametrize("verb", sorted(set(OperatorVerb) - {OperatorVerb.PAUSE}))
@pytest.mark.parametrize(("seconds", "is_meant"), [(3600.0, True), (3600.001, False)])
def test_what_was_asked_for_over_an_hour_ago_is_not_meant_still(
    verb: OperatorVerb, seconds: float, is_meant: bool
) -> None:
    request = a_request(encode_ask(Ask(verb)))
    if is_meant:
        assert to_event(request, after(seconds)).verb is verb
        return
    with pytest.raises(Outdated, match=f"ann asked to {verb} 3600 s ago"):
        to_event(request, after(seconds))


def test_a_pause_is_never_too_old_for_a_project_that_was_there() -> None:
    """Whoever paused while the daemon was down relies on it."""
    request = a_request(encode_ask(Ask(OperatorVerb.PAUSE)))
    assert to_event(request, after(86_400)).for_seconds is None
    with pytest.raises(Outdated):
        to_event(request, after(86_400), is_new_project=True)
