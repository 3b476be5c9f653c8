"""An outage of the platform: nothing is rolled back while it is suspected, and everything goes on afterwards."""

from daemon.core.command import RollBack
from daemon.core.event import PlatformSuspected
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from daemon.core.platform import SUSPECTED_FOR
from tests.builders import BAD, Playbook, a_breached_playbook, a_deciding_playbook

SENTENCE = "errors began on 4 of 9 projects without a recent deployment within 2 min of 12:00:00 UTC"


def suspected(play: Playbook) -> Playbook:
    return play.happens(PlatformSuspected, sentence=SENTENCE)


def test_I_18_a_breach_while_the_platform_is_suspected_is_held_and_paged() -> None:
    play = suspected(a_breached_playbook())
    play.targets_listed()
    play.expect_state(State.HELD, Reason.PLATFORM)
    assert SENTENCE in play.ending
    assert play.count(RollBack) == 0


def test_I_18_a_suspicion_between_decision_and_request_stops_the_request() -> None:
    play = suspected(a_deciding_playbook())
    play.preflight()
    assert play.count(RollBack) == 0
    play.expect_state(State.DETECTED, Reason.PLATFORM)


def test_when_nobody_suspects_the_platform_any_more_a_person_decides() -> None:
    play = suspected(a_breached_playbook())
    play.targets_listed()
    minutes = SUSPECTED_FOR.total_seconds() / 60
    play.minutes(BAD, 0.3, round(minutes) - 1)
    play.targets_listed()
    play.expect_state(State.HELD, Reason.PLATFORM)
    play.minutes(BAD, 0.3)
    play.targets_listed()
    play.expect_state(State.AWAITING_APPROVAL, Reason.PLATFORM)
    assert play.count(RollBack) == 0
