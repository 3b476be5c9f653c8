"""Operators' requests: what is written into the queue comes out as the event that it means."""

import pytest

from daemon.core.event import OperatorRequested, OperatorVerb
from daemon.core.facts import Instant
from daemon.engine.intake import Ask, encode_ask, to_event
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
