"""States, events and commands as documents: they come back as they were, nothing else comes back at all."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import get_args

import pytest

from daemon.core.command import Command, ListTargets, Notify, ObserveProduction, Preflight, Severity
from daemon.core.event import Event, OperatorRequested, OperatorVerb, ReadFailed, ReadTarget, SamplesObserved
from daemon.core.facts import Activation, ActivationOrigin, DeploymentId, IncidentId
from daemon.core.state import (
    ACTIVATIONS_MAX,
    KNOWN_BAD_MAX,
    UNACKNOWLEDGED_MAX,
    WATCHES_MAX,
    HoldPeriod,
    KnownBad,
    Pause,
    ProjectState,
)
from daemon.engine import codec
from tests.builders import BAD, GOOD, PROJECT, START, Playbook, a_deployment, a_sample, a_switched_playbook

STATE_BYTES_MAX = 2_000_000


def a_whole_incident() -> Playbook:
    """Return a playbook that has told an incident from the breach to the proof of recovery."""
    play = a_switched_playbook()
    return play.minutes(GOOD, 0.0, 4)


def test_every_event_of_an_incident_comes_back_as_it_was() -> None:
    play = a_whole_incident()
    assert {type(event) for event in play.events} > {SamplesObserved}
    for event in play.events:
        assert codec.decode_event(codec.encode_event(event)) == event


def test_every_command_of_an_incident_comes_back_as_it_was() -> None:
    play = a_whole_incident()
    kinds = {type(command) for command in play.log}
    assert kinds == set(get_args(get_args(Command)[0]))
    for command in play.log:
        assert codec.decode_command(codec.encode_command(command)) == command


def test_every_state_on_the_way_comes_back_as_it_was() -> None:
    play = Playbook()
    for _ in range(3):
        play.minutes(GOOD, 0.0)
        assert codec.decode_state(codec.encode_state(play.state)) == play.state
    whole = a_whole_incident()
    assert whole.state.last_ended is not None
    assert codec.decode_state(codec.encode_state(whole.state)) == whole.state


@pytest.mark.parametrize(
    "event",
    [
        ReadFailed(Playbook().moment, ReadTarget.SAMPLES, "503"),
        OperatorRequested(Playbook().moment, OperatorVerb.PAUSE, by="ann", reason="ü", for_seconds=0.1),
        OperatorRequested(Playbook().moment, OperatorVerb.APPROVE, by="ann", incident="inc_1"),
    ],
)
def test_other_events_come_back_as_they_were(event: Event) -> None:
    assert codec.decode_event(codec.encode_event(event)) == event


@pytest.mark.parametrize("command", [ListTargets(), Preflight(0.1), ObserveProduction(1e-9)])
def test_a_command_names_its_kind(command: Command) -> None:
    assert json.loads(codec.encode_command(command))["kind"] == command.kind


@pytest.mark.parametrize("document", ["", "null", "[]", "{}", '{"kind": "launch"}', "not json", '{"project": 7}'])
def test_an_unknown_document_is_refused(document: str) -> None:
    for decode in (codec.decode_state, codec.decode_event, codec.decode_command):
        with pytest.raises(ValueError):
            decode(document)


def test_a_broken_fact_deep_inside_is_refused() -> None:
    play = a_whole_incident()
    document = json.loads(codec.encode_state(play.state))
    document["last_ended"]["state"] = "confused"
    with pytest.raises(ValueError, match="last_ended"):
        codec.decode_state(json.dumps(document))


def test_a_memory_of_a_detector_that_nobody_knows_is_refused() -> None:
    document = json.loads(codec.encode_state(a_whole_incident().state))
    for watch in document["watches"]:
        watch["memories"] = {"horoscope": {}}
    with pytest.raises(ValueError, match="horoscope"):
        codec.decode_state(json.dumps(document))


def test_a_state_that_would_not_come_back_is_a_bug_and_not_written() -> None:
    endless = replace(ProjectState(PROJECT), hold=HoldPeriod(until=float("inf"), sentence="for ever"))
    with pytest.raises((AssertionError, ValueError)):
        codec.encode_state(endless)


def test_a_state_with_everything_at_its_bound_stays_small() -> None:
    play = a_whole_incident()
    incident = play.incident
    trail = incident.trail * (60 // len(incident.trail))
    waiting = [replace(incident, id=IncidentId(f"inc_{n}"), trail=trail) for n in range(UNACKNOWLEDGED_MAX)]
    names = [f"dpl_{n:028}" for n in range(KNOWN_BAD_MAX)]
    activations = [a_deployment(name, commit_message="m" * 200) for name in names[:ACTIVATIONS_MAX]]
    watches = [replace(play.state.watches[0], deployment=DeploymentId(name)) for name in names[:WATCHES_MAX]]
    state = replace(
        play.state,
        activations=tuple(Activation(one, START, ActivationOrigin.RELEASE) for one in activations),
        known_bad=tuple(KnownBad(DeploymentId(name), "a" * 40, "somebody else") for name in names),
        watches=tuple(watches),
        unacknowledged=tuple(waiting),
        paused=Pause("ann", "r" * 500, None),
    )
    assert len(codec.encode_state(state)) < STATE_BYTES_MAX


def test_a_state_does_not_grow_with_the_weeks() -> None:
    play = Playbook()
    play.minutes(GOOD, 0.0, 30)
    before = len(codec.encode_state(play.state))
    play.minutes(GOOD, 0.0, 300)
    assert len(codec.encode_state(play.state)) < before * 1.1


def test_times_keep_their_microseconds_and_zone() -> None:
    odd = datetime.fromisoformat("2026-03-01T13:00:00.000001+01:00")
    event = SamplesObserved(Playbook().moment, "test", (a_sample(BAD, start=odd),), odd + timedelta(minutes=1))
    read = codec.decode_event(codec.encode_event(event))
    assert read == event
    assert isinstance(read, SamplesObserved)
    assert read.complete_until.tzinfo is not None


def test_a_message_keeps_its_words() -> None:
    message = Notify(IncidentId("inc_1"), Severity.PAGE, "“shop”: down – 30 %", "…", "vercel rollback x")
    assert codec.decode_command(codec.encode_command(message)) == message
