"""Reads that keep failing: nothing is done, and somebody is told once that nobody watches."""

import pytest

from daemon.core.command import Notify, RollBack, Severity
from daemon.core.event import CycleEnded, PreflightRead, ProductionObserved, ReadFailed, ReadTarget, SamplesObserved
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from tests.builders import BAD, Playbook, a_deciding_playbook, a_released_playbook


def fail(play: Playbook, what: ReadTarget, minutes: int) -> None:
    """Let *what* be unreadable for so many minutes, one cycle a minute."""
    for _ in range(minutes):
        play.after(60).happens(ReadFailed, what=what, sentence=f"{what} unread: 401")
        if what is ReadTarget.PRODUCTION:
            play.happens(SamplesObserved, source="test", samples=(), complete_until=play.moment.at)
        else:
            play.happens(ProductionObserved, production=play.world)
        play.happens(CycleEnded)


@pytest.mark.parametrize("what", [ReadTarget.PRODUCTION, ReadTarget.SAMPLES])
def test_blindness_pages_once_and_its_end_is_told(what: ReadTarget) -> None:
    play = a_released_playbook()
    fail(play, what, 10)
    assert not play.pages
    fail(play, what, 30)
    assert len(play.pages) == 1
    assert "401" in play.pages[0].sentence
    assert play.state.decision.reason is Reason.BLIND
    play.minutes(BAD, 0.0)
    [told] = [one for one in play.asked if isinstance(one, Notify)]
    assert (told.severity, "sees again" in told.title) == (Severity.NOTICE, True)
    assert play.state.trouble == ""


def test_a_short_blindness_is_nobodys_business() -> None:
    play = a_released_playbook()
    fail(play, ReadTarget.SAMPLES, 9)
    play.minutes(BAD, 0.0)
    assert not play.pages
    assert play.count(Notify) == 0


def test_an_action_whose_preflight_cannot_be_read_is_decided_again_and_its_looks_do_not_multiply() -> None:
    play = a_deciding_playbook()
    for _ in range(4):
        play.asked = []
        play.after(60).happens(ReadFailed, what=ReadTarget.PRODUCTION, sentence="no answer").happens(CycleEnded)
        assert [one for one in play.asked if not isinstance(one, Notify)] == []
    play.expect_state(State.DETECTED, Reason.DECISION_EXPIRED)
    play.happens(PreflightRead, production=play.world)
    assert play.count(RollBack) == 0
