"""What becomes of an incident when Vercel answers the rollback in every way that it can, over the whole wire.

I-22's table, and every fate of an alias job: fault knob of the emulator, real client, real engine. Both counts come
from the emulator's own ledger.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from daemon.core.guardrail import Reason
from daemon.core.incident import State, Trigger
from daemon.emulator.fault_specs import JobFault
from daemon.emulator.scenario import DeploySpec, Knobs, Plan, Scenario, TeamSpec
from daemon.emulator.scenario_files import load_scenario
from tests.integration.virtual_time import run_virtually
from tests.integration.whole_daemon import ACTOR, BOTH_SOURCES, READER, REQUEST_LOGS, Whole, whole_daemon

pytestmark = pytest.mark.slow

_MINUTES_AFTERWARDS = 15
"""Longer than any request that was given up may still be at work."""

Hindrance = Callable[[Whole], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which the write fails or not, and where the incident must end.

    `page` are words of the only page, `by_hand` words of what it tells people to do; None: nobody may be woken.
    `production` is what the emulator serves in the end.
    """

    name: str
    hinder: Hindrance
    state: State
    trigger: Trigger
    sent: int
    applied: int
    reason: Reason = Reason.NONE
    page: str | None = None
    by_hand: str = "vercel rollback web-"
    production: str = "bad"
    token: str = ACTOR
    sources: tuple[dict[str, str], ...] = BOTH_SOURCES
    changes: dict[str, Any] = field(default_factory=dict)


def fault(**spec: Any) -> Hindrance:
    """Hinder by one fault; it strikes rollbacks alone."""
    return lambda whole: whole.fault(**{"route": "rollback", **spec})


def nothing(_whole: Whole) -> None:
    """Hinder nothing."""


def before_the_rollback_is_applied(happen: Callable[[Whole], None]) -> Hindrance:
    """Let *happen* what happens while our first rollback is on its way: after our last look, before its effect."""

    def hinder(whole: Whole) -> None:
        def hook(when: str, entry: Any) -> None:
            if when == "before_apply" and entry.route == "rollback":
                whole.world.request_hook = None
                happen(whole)

        whole.world.request_hook = hook

    return hinder


def both(first: Hindrance, second: Hindrance) -> Hindrance:
    """Hinder in two ways at once."""

    def hinder(whole: Whole) -> None:
        first(whole)
        second(whole)

    return hinder


def somebody_rolls_back(whole: Whole) -> None:
    project = whole.world.project("web")
    whole.world.request_rollback(project, whole.world.deployment("web", "v2").id, by="human")


def somebody_rolls_back_to_our_target(whole: Whole) -> None:
    project = whole.world.project("web")
    whole.world.request_rollback(project, whole.world.deployment("web", "good").id, by="human")


def somebody_promotes(whole: Whole) -> None:
    project = whole.world.project("web")
    whole.world.request_promote(project, whole.world.deployment("web", "v3").id, by="human")


def somebody_releases_a_fix(whole: Whole) -> None:
    whole.world.deploy(DeploySpec.model_validate({"project": "web", "name": "fix", "build": "0s"}))


def recovers(name: str, hinder: Hindrance, *, sent: int) -> Row:
    """The trouble passes: the rollback is applied once, and the recovery verified."""
    return Row(name, hinder, State.RESOLVED, Trigger.RECOVERED, sent=sent, applied=1, production="good")


def refused(name: str, status: int, reason: Reason) -> Row:
    hinder = fault(kind="status", status=status)
    page = f"Vercel refused the rollback ({status})"
    return Row(name, hinder, State.ESCALATED, Trigger.REFUSED, sent=1, applied=0, reason=reason, page=page)


def escalates(name: str, hinder: Hindrance, trigger: Trigger, reason: Reason, page: str, **facts: Any) -> Row:
    return Row(name, hinder, State.ESCALATED, trigger, reason=reason, page=page, **facts)


def stands_down(name: str, hinder: Hindrance, **facts: Any) -> Row:
    return Row(name, hinder, State.STOOD_DOWN, Trigger.FOREIGN_MOVE, reason=Reason.FOREIGN_MOVE, **facts)


_UNKNOWN = {"trigger": Trigger.OUTCOME_UNKNOWN, "reason": Reason.OUTCOME_UNKNOWN, "page": "two requests left no trace"}

I_22 = (
    recovers("no trouble", nothing, sent=1),
    recovers("time-out, applied late", fault(kind="slow", delay="30s", count=1), sent=1),
    recovers("time-out, already applied", fault(kind="slow", delay="30s", when="after_apply", count=1), sent=1),
    recovers("time-out, at work for longer than our patience", fault(kind="slow", delay="90s", count=1), sent=2),
    escalates("time-out for ever", fault(kind="slow", delay="2h"), **_UNKNOWN, sent=2, applied=0),
    recovers("5xx once, not applied", fault(kind="status", status=500, count=1), sent=2),
    recovers("5xx, though applied", fault(kind="status", status=503, when="after_apply", count=1), sent=1),
    escalates("5xx for ever", fault(kind="status", status=502), **_UNKNOWN, sent=2, applied=0),
    recovers("reset once, not applied", fault(kind="reset", count=1), sent=2),
    recovers("reset, though applied", fault(kind="reset", when="after_apply", count=1), sent=1),
    escalates("reset for ever", fault(kind="reset"), **_UNKNOWN, sent=2, applied=0),
    recovers("200 with a page of HTML", fault(kind="html", count=1), sent=2),
    recovers("409 once", fault(kind="status", status=409, count=1), sent=2),
    escalates("409 for ever", fault(kind="status", status=409), **_UNKNOWN, sent=2, applied=0),
    recovers("429 with Retry-After once", fault(kind="status", status=429, retry_after_seconds=20, count=1), sent=2),
    escalates(
        "429 for ever",
        fault(kind="status", status=429, retry_after_seconds=20),
        Trigger.REFUSED,
        Reason.SENT_TWICE,
        "Vercel answered 429 twice",
        sent=2,
        applied=0,
    ),
    refused("401", 401, Reason.UNAUTHORIZED),
    refused("402", 402, Reason.PLAN),
    refused("403", 403, Reason.FORBIDDEN),
    refused("404", 404, Reason.NOT_FOUND),
    refused("422", 422, Reason.UNPROCESSABLE),
    refused("400", 400, Reason.REFUSED),
    escalates(
        "403 of a token that may only read",
        nothing,
        Trigger.REFUSED,
        Reason.FORBIDDEN,
        "Vercel refused the rollback (403)",
        sent=1,
        applied=0,
        token=READER,
    ),
    escalates(
        "402 of the hobby plan",
        nothing,
        Trigger.REFUSED,
        Reason.PLAN,
        "upgrade to pro",
        sent=1,
        applied=0,
        sources=REQUEST_LOGS,
        changes={"plan": Plan.HOBBY, "production": "v3"},
    ),
)

ALIAS_JOBS = (
    recovers("stale for a while", fault(kind="stale-alias-request", route="project", seconds=30), sent=1),
    recovers("stale for ever", fault(kind="stale-alias-request", route="project", seconds=7200), sent=1),
    escalates(
        "stuck in progress",
        fault(kind="job", outcome="stuck"),
        Trigger.OUTCOME_UNKNOWN,
        Reason.JOB_STUCK,
        "the rollback job does not end",
        sent=1,
        applied=0,
    ),
    escalates(
        "stuck pending",
        fault(kind="job", outcome="stuck-pending"),
        Trigger.OUTCOME_UNKNOWN,
        Reason.JOB_STUCK,
        "the rollback job does not end",
        sent=1,
        applied=0,
    ),
    recovers("slow", fault(kind="job", duration="2m"), sent=1),
    escalates(
        "failed",
        fault(kind="job", outcome="failed"),
        Trigger.FAILED,
        Reason.JOB_FAILED,
        "www.example.com",
        sent=1,
        applied=0,
    ),
    escalates(
        "skipped",
        fault(kind="job", outcome="skipped"),
        Trigger.FAILED,
        Reason.JOB_SKIPPED,
        "Vercel skipped the rollback",
        sent=1,
        applied=0,
    ),
    escalates(
        "partial, production unmoved",
        fault(kind="job", outcome="partial"),
        Trigger.FAILED,
        Reason.JOB_FAILED,
        "www.example.com",
        sent=1,
        applied=0,
        changes={"partial_job_moves_production": False},
    ),
    escalates(
        "partial, production moved",
        fault(kind="job", outcome="partial"),
        Trigger.FAILED,
        Reason.JOB_PARTIAL,
        "not all domains did: www.example.com",
        sent=1,
        applied=1,
        production="good",
        changes={"partial_job_moves_production": True},
    ),
    stands_down(
        "foreign rollback elsewhere, in our way",
        before_the_rollback_is_applied(somebody_rolls_back),
        sent=1,
        applied=0,
        production="v2",
    ),
    stands_down(
        "foreign promote, in our way",
        before_the_rollback_is_applied(somebody_promotes),
        sent=1,
        applied=0,
        production="v3",
        changes={"promote_older": "accept"},
    ),
    Row(
        "foreign rollback to our own target, in our way",
        before_the_rollback_is_applied(somebody_rolls_back_to_our_target),
        State.RESOLVED,
        Trigger.RECOVERED,
        sent=1,
        applied=0,
        production="good",
    ),
    escalates(
        "foreign release replaced by our rollback",
        both(fault(kind="job", duration="0s"), before_the_rollback_is_applied(somebody_releases_a_fix)),
        Trigger.FAILED,
        Reason.JOB_MISAPPLIED,
        "somebody released in between",
        sent=1,
        applied=1,
        production="good",
        by_hand="to restore what was there: vercel promote dpl_",
    ),
    stands_down(
        "foreign release seen, then replaced by our rollback",
        before_the_rollback_is_applied(somebody_releases_a_fix),
        sent=1,
        applied=1,
        production="good",
        page="a rollback request sent earlier took effect late",
        by_hand="to restore what was there: vercel promote dpl_",
    ),
)


def a_scenario(*, plan: Plan = Plan.PRO, production: str | None = None, **knobs: Any) -> Scenario:
    """The built-in bad deployment with a quarter of its traffic; *production* None: the newest one serves first."""
    scenario = load_scenario("bad-deployment", {"requests_per_second": 5})
    [project] = scenario.projects
    changes = {
        "team": TeamSpec(plan=plan),
        "knobs": Knobs(**knobs),
        "projects": (project.model_copy(update={"production": production}),),
    }
    return scenario.model_copy(update=changes)


async def play(row: Row) -> Whole:
    """Return the daemon and the world when the incident has ended, and a while has passed."""
    scenario = a_scenario(**row.changes)
    async with whole_daemon(scenario, acting_token=row.token, posture="automatic", sources=row.sources) as whole:
        row.hinder(whole)
        await whole.watch_until_ended()
        await whole.watch(_MINUTES_AFTERWARDS)
    return whole


def ends_as_the_row_says(row: Row) -> None:
    whole = run_virtually(play(row))
    incident = whole.ended
    assert incident is not None
    story = "\n".join(f"{one.target}: {one.sentence}" for one in incident.trail)
    assert (incident.state, incident.trail[-1].trigger) == (row.state, row.trigger), story
    assert incident.reason is row.reason, story
    assert (whole.sent, whole.applied) == (row.sent, row.applied), story
    assert whole.production == row.production, story
    if row.page is None:
        assert whole.people.pages == [], story
    else:
        [page] = whole.people.pages
        assert row.page in page.sentence
        assert row.by_hand in page.next_step


@pytest.mark.parametrize("row", I_22, ids=lambda row: row.name)
def test_I_22_every_answer_to_the_write_ends_as_it_should(row: Row) -> None:
    ends_as_the_row_says(row)


@pytest.mark.parametrize("row", ALIAS_JOBS, ids=lambda row: row.name)
def test_I_23_every_alias_job_ends_as_it_should(row: Row) -> None:
    ends_as_the_row_says(row)


async def play_beside_a_foreign_job(*, begins_after_minutes: float, **job: Any) -> Whole:
    """Let somebody promote v3 while the bad deployment fails; *job* says what becomes of that."""
    scenario = a_scenario(promote_older="accept")
    async with whole_daemon(scenario, posture="automatic", sources=BOTH_SOURCES) as whole:
        await whole.watch(begins_after_minutes)
        project, target = whole.world.project("web"), whole.world.deployment("web", "v3")
        whole.world.request_promote(project, target.id, by="human", fault=JobFault.model_validate(job))
        await whole.watch_until_ended()
        await whole.watch(_MINUTES_AFTERWARDS)
    return whole


def test_I_20_it_holds_while_a_foreign_job_runs_and_stands_down_when_that_moves_production() -> None:
    # The breach is known after four minutes and three quarters, when the promote is ten seconds old.
    whole = run_virtually(play_beside_a_foreign_job(begins_after_minutes=4 + 35 / 60, duration="60s"))
    incident = whole.ended
    assert incident is not None
    assert [(one.target, one.reason) for one in incident.trail] == [
        (State.HELD, Reason.ALIAS_JOB_RUNNING),
        (State.STOOD_DOWN, Reason.FOREIGN_MOVE),
    ]
    assert (whole.sent, whole.production) == (0, "v3")


def test_I_20_a_foreign_job_that_never_ends_is_paged_and_waited_for_no_longer() -> None:
    whole = run_virtually(play_beside_a_foreign_job(begins_after_minutes=2.5, outcome="stuck"))
    incident = whole.ended
    assert incident is not None
    assert [one.target for one in incident.trail] == [State.HELD, State.MITIGATING, State.ESCALATED]
    assert incident.reason is Reason.OUTCOME_UNKNOWN
    assert [one.title.partition(": ")[2] for one in whole.people.pages] == ["alias job stuck", "escalated"]
    assert "two requests left no trace" in whole.people.pages[-1].sentence
    assert (whole.sent, whole.applied, whole.production) == (2, 0, "bad")
