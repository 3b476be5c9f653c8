"""The transition table is the whole truth: pairs in it happen, all others are refused, and every story can end."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from daemon.core.facts import IncidentId
from daemon.core.guardrail import Reason
from daemon.core.incident import LIVE_STATES, TERMINAL_STATES, TRANSITIONS, Incident, State, Trigger
from tests.builders import BAD, Playbook, a_breached_playbook

PAIRS = [(state, trigger) for state in State for trigger in Trigger]
MOMENT = Playbook().moment


def an_incident(state: State = State.DETECTED) -> Incident:
    finding = a_breached_playbook().incident.finding
    return Incident(IncidentId("inc_1"), BAD, BAD.id, finding, MOMENT, state=state)


def reachable(start: State) -> Iterator[State]:
    """Yield every state that can follow *start*, itself included."""
    seen, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        yield state
        following = {target for (source, _), target in TRANSITIONS.items() if source is state} - seen
        seen |= following
        waiting += following


@pytest.mark.parametrize(("state", "trigger"), [pair for pair in PAIRS if pair in TRANSITIONS])
def test_a_pair_of_the_table_leads_where_the_table_says(state: State, trigger: Trigger) -> None:
    moved = an_incident(state).move(trigger, MOMENT, reason=Reason.PAUSED, sentence="why")
    assert moved.state is TRANSITIONS[state, trigger]
    assert moved.reason is Reason.PAUSED
    (step,) = moved.trail
    assert (step.source, step.trigger, step.target, step.sentence) == (state, trigger, moved.state, "why")


@pytest.mark.parametrize(("state", "trigger"), [pair for pair in PAIRS if pair not in TRANSITIONS])
def test_a_pair_outside_of_the_table_is_refused(state: State, trigger: Trigger) -> None:
    with pytest.raises(AssertionError, match=f"{trigger} cannot happen in {state}"):
        an_incident(state).move(trigger, MOMENT, reason=Reason.NONE, sentence="")


def test_the_states_are_live_terminal_or_escalated() -> None:
    assert set(State) == LIVE_STATES | TERMINAL_STATES | {State.ESCALATED}
    assert not LIVE_STATES & TERMINAL_STATES
    assert [state for state in State if state.is_live] == [one for one in State if one in LIVE_STATES]
    assert {state for state in State if state.is_terminal} == TERMINAL_STATES


@pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
def test_a_terminal_state_has_no_way_out(state: State) -> None:
    assert not [trigger for source, trigger in TRANSITIONS if source is state]


@pytest.mark.parametrize("state", sorted(LIVE_STATES))
def test_I_31_every_live_state_yields_to_a_person(state: State) -> None:
    assert TRANSITIONS[state, Trigger.FOREIGN_MOVE] is State.STOOD_DOWN


@pytest.mark.parametrize("state", sorted(LIVE_STATES | {State.ESCALATED}))
def test_every_state_that_is_not_terminal_reaches_an_end(state: State) -> None:
    assert TERMINAL_STATES & set(reachable(state))


def test_every_state_can_be_reached_from_the_first() -> None:
    assert set(reachable(State.DETECTED)) == set(State)


def test_every_trigger_has_a_place_in_the_table() -> None:
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)


def test_escalated_waits_for_an_acknowledgement_and_nothing_else() -> None:
    assert [trigger for source, trigger in TRANSITIONS if source is State.ESCALATED] == [Trigger.ACKNOWLEDGED]


def test_only_a_decision_just_taken_leads_to_mitigating() -> None:
    ways_in = {trigger for (_, trigger), target in TRANSITIONS.items() if target is State.MITIGATING}
    assert ways_in == {Trigger.AUTHORIZED, Trigger.LATE_EFFECT}


def test_I_32_every_rollback_enters_verification_or_is_told_to_a_person() -> None:
    ways_out = {target for (source, _), target in TRANSITIONS.items() if source is State.MITIGATING}
    assert ways_out == {State.VERIFYING, State.ESCALATED, State.DETECTED, State.STOOD_DOWN}


def test_an_incident_has_ended_when_it_is_no_longer_live() -> None:
    incident = an_incident()
    assert incident.ended is None
    later = replace(MOMENT, elapsed=MOMENT.elapsed + 60)
    assert incident.move(Trigger.DENIED, later, reason=Reason.NO_TARGET, sentence="").ended == later


def test_the_trail_is_bounded() -> None:
    incident = an_incident()
    for _ in range(100):
        incident = incident.move(Trigger.AUTHORIZED, MOMENT, reason=Reason.NONE, sentence="")
        incident = incident.move(Trigger.DECIDE_AGAIN, MOMENT, reason=Reason.NONE, sentence="")
    assert len(incident.trail) == 60
