"""What a whole daemon does in each of the emulator's own scenarios, and that it does nothing where it may not.

Every count of requests is the emulator's: its ledger marks the routes that may change something.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from daemon.core.event import OperatorVerb
from daemon.core.guardrail import Reason
from daemon.core.incident import Incident, State, Trigger
from daemon.emulator.scenario_files import Parameter, builtin_scenario_names, load_scenario
from tests.integration.virtual_time import run_virtually
from tests.integration.whole_daemon import BOTH_SOURCES, REQUEST_LOGS, Whole, whole_daemon

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Ending:
    """How a scenario ends under posture automatic. `state` None: no incident was ever opened."""

    state: State | None
    triggers: tuple[Trigger, ...]
    applied: int
    production: str


NOTHING = {"state": None, "triggers": (), "applied": 0}
PAGED_ONLY = {"state": State.ESCALATED, "triggers": (Trigger.DENIED,), "applied": 0}

ENDINGS = {
    "already-failing": Ending(**PAGED_ONLY, production="innocent"),
    "bad-deployment": Ending(State.RESOLVED, (Trigger.RECOVERED,), 1, "good"),
    "blip": Ending(**NOTHING, production="cold"),
    "healthy": Ending(**NOTHING, production="next"),
    "no-target": Ending(**PAGED_ONLY, production="bad"),
    # Soon after a deployment an outage looks like its fault: one rollback, which does not help, and then people.
    # Whether it even looks worse depends on how much of the suspect's first bad window lay before the outage.
    "outage": Ending(State.ESCALATED, (Trigger.NOT_RECOVERED, Trigger.WORSE), 1, "good"),
    "quiet": Ending(**NOTHING, production="bad"),
}


async def play(name: str, *, minutes: float, parameters: dict[str, Parameter] | None = None, **project: Any) -> Whole:
    """Return daemon and world after *minutes* of the built-in scenario *name*, with a quarter of its traffic."""
    traffic: dict[str, Parameter] = {} if name == "quiet" else {"requests_per_second": 5}
    async with whole_daemon(load_scenario(name, {**traffic, **(parameters or {})}), **project) as whole:
        await whole.watch(minutes)
    return whole


def incidents(whole: Whole) -> list[Incident]:
    """Return every incident that the daemon knows of: there should never be more than one."""
    state = whole.state
    every: Iterable[Incident | None] = (*state.unacknowledged, state.last_ended, state.incident)
    return list({one.id: one for one in every if one}.values())


def test_every_scenario_of_the_emulator_has_its_ending_here() -> None:
    assert set(ENDINGS) == set(builtin_scenario_names())


@pytest.mark.parametrize("scenario", builtin_scenario_names())
def test_I_28_nothing_but_an_id_configured_means_observe_and_sends_nothing(scenario: str) -> None:
    whole = run_virtually(play(scenario, minutes=15))
    assert whole.sent == 0
    assert whole.world.ledger.applied("rollback") == []
    assert {entry.token for entry in whole.world.ledger.entries} == {"reader"}


@pytest.mark.parametrize("scenario", builtin_scenario_names())
def test_I_28_posture_approve_sends_nothing_without_an_approval(scenario: str) -> None:
    whole = run_virtually(play(scenario, minutes=15, posture="approve", sources=BOTH_SOURCES))
    assert whole.sent == 0
    assert whole.world.ledger.applied("rollback") == []


def test_observe_tells_what_it_would_do_and_how_to_do_it_by_hand() -> None:
    whole = run_virtually(play("bad-deployment", minutes=10))
    incident = whole.state.incident
    assert incident is not None
    assert (incident.state, incident.reason) == (State.HELD, Reason.POSTURE_OBSERVE)
    _, message = whole.people.messages[-1]
    assert "would roll" in message.sentence
    assert message.next_step.startswith("by hand: vercel rollback web-")


def test_approve_asks_a_person_and_gives_up_when_nobody_answers() -> None:
    whole = run_virtually(play("bad-deployment", minutes=45, posture="approve", sources=BOTH_SOURCES))
    [incident] = incidents(whole)
    assert [one.target for one in incident.trail] == [State.AWAITING_APPROVAL, State.ESCALATED]
    assert incident.reason is Reason.APPROVAL_EXPIRED
    assert len(whole.people.pages) == 2


def test_approve_rolls_back_once_a_person_approved() -> None:
    async def approve() -> Whole:
        scenario = load_scenario("bad-deployment")
        async with whole_daemon(scenario, posture="approve", sources=BOTH_SOURCES) as whole:
            await whole.watch_until(State.AWAITING_APPROVAL)
            await whole.ask(OperatorVerb.APPROVE)
            await whole.watch_until_ended()
        return whole

    whole = run_virtually(approve())
    [incident] = incidents(whole)
    assert (incident.state, incident.approved_by) == (State.RESOLVED, "grace")
    assert (whole.sent, whole.applied, whole.production) == (1, 1, "good")


@pytest.mark.parametrize("sources", [BOTH_SOURCES, REQUEST_LOGS], ids=["observability", "request_logs"])
@pytest.mark.parametrize("scenario", builtin_scenario_names())
def test_posture_automatic_ends_every_scenario_as_it_should(scenario: str, sources: tuple[dict[str, str], ...]) -> None:
    whole = run_virtually(play(scenario, minutes=15, posture="automatic", sources=sources))
    expected = ENDINGS[scenario]
    assert whole.sent == expected.applied
    assert whole.applied == expected.applied
    assert whole.production == expected.production
    if expected.state is None:
        assert incidents(whole) == []
        assert whole.people.messages == []
        return
    [incident] = incidents(whole)
    assert incident.state is expected.state
    assert incident.trail[-1].trigger in expected.triggers
    assert len(whole.people.pages) == (1 if expected.state is State.ESCALATED else 0)


def test_I_06_an_outage_long_after_a_deployment_is_paged_and_not_rolled_back() -> None:
    later: dict[str, Parameter] = {"outage_at": "20m"}
    whole = run_virtually(play("outage", minutes=30, parameters=later, posture="automatic", sources=BOTH_SOURCES))
    [incident] = incidents(whole)
    assert (incident.state, incident.reason) == (State.ESCALATED, Reason.ONSET_OUTSIDE_WINDOW)
    assert len(whole.people.pages) == 1
    assert (whole.sent, whole.production) == (0, "innocent")


async def play_without_observability_plus() -> Whole:
    """Return daemon and world after a bad deployment of a team whose observability answers 402."""
    async with whole_daemon(load_scenario("bad-deployment"), posture="automatic", sources=BOTH_SOURCES) as whole:
        whole.fault(kind="status", status=402, route="observability")
        await whole.watch(15)
    return whole


def test_where_observability_is_not_to_be_had_the_request_log_takes_its_place() -> None:
    whole = run_virtually(play_without_observability_plus())
    assert (whole.applied, whole.production) == (1, "good"), whole.state.decision.sentence
