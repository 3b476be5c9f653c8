"""The one function that moves a project: pure, and loud about what it does not know."""

from types import SimpleNamespace
from typing import Any

import pytest

from daemon.core.event import CycleEnded, PreflightRead
from daemon.core.step import step
from tests.builders import a_breached_playbook, a_deciding_playbook


def test_the_same_state_and_event_give_the_same_answer_and_leave_the_state_alone() -> None:
    play = a_deciding_playbook()
    event = PreflightRead(play.moment, play.world)
    before = repr(play.state)
    assert step(play.state, event, play.policy) == step(play.state, event, play.policy)
    assert repr(play.state) == before


def test_a_story_told_again_from_the_start_ends_in_the_same_state() -> None:
    play = a_breached_playbook()
    again = type(play)(policy=play.policy)
    for event in play.events:
        again.event(event)
    assert (again.state, again.log) == (play.state, play.log)


def test_an_event_that_nobody_knows_is_a_bug() -> None:
    play = a_breached_playbook()
    stranger: Any = SimpleNamespace(moment=play.moment, kind="surprise")
    with pytest.raises(AssertionError):
        step(play.state, stranger, play.policy)
    assert step(play.state, CycleEnded(play.moment), play.policy)
