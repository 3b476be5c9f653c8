"""`vercel rollback` by the real CLI: what it asks, what it says, and what is true of the emulated world afterwards."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.emulator.fault_specs import JobFault, JobOutcome
from daemon.emulator.ledger import LedgerEntry
from tests.conformance.stage import Stage, Truth, staged, stopped_clock
from tests.requires import requires_vercel_cli

pytestmark = [requires_vercel_cli, pytest.mark.slow]


def rolled_back_to(name: str, *, before: Truth) -> Truth:
    """Return what is true once a rollback of *before* to *name* has succeeded: domains moved, project pinned."""
    return replace(
        before,
        production=name,
        domains=dict.fromkeys(before.domains, name),
        auto_assigns=False,
        job=("rollback", "succeeded", before.production, name),
    )


def ending(outcome: JobOutcome) -> JobFault:
    return JobFault(outcome=outcome)


async def test_rollback_by_url_waits_until_production_has_moved(stage: Stage, untouched: Truth) -> None:
    await stage.conforms_to("rollback-by-url")
    assert [(entry.method, entry.status) for entry in stage.writes] == [("POST", 201)]
    assert stage.truth() == rolled_back_to("v6", before=untouched)


async def test_a_rollback_that_nobody_waits_for_is_accepted_before_it_is_done(tmp_path: Path, untouched: Truth) -> None:
    clock = stopped_clock()
    async with staged(tmp_path, clock=clock) as stage:
        await stage.conforms_to("rollback-by-id-without-waiting")
        accepted = replace(untouched, auto_assigns=False, job=("rollback", "pending", "v7", "v6"))
        assert stage.truth() == accepted
        clock.advance(0.6)
        assert stage.truth() == rolled_back_to("v6", before=untouched)


async def test_a_failed_rollback_lists_the_domain_that_did_not_move(stage: Stage, untouched: Truth) -> None:
    stage.world.faults.set(ending(JobOutcome.PARTIAL))
    await stage.conforms_to("rollback-failed")
    assert stage.truth() == replace(
        untouched,
        domains={"web-acme.vercel.app": "v6", "www.example.com": "v7"},
        auto_assigns=False,
        job=("rollback", "failed", "v7", "v6"),
    )


async def test_a_rollback_that_moved_nothing_lists_every_domain(stage: Stage, untouched: Truth) -> None:
    stage.world.faults.set(ending(JobOutcome.FAILED))
    run = await stage.vercel("rollback", stage.deployment("v6").url)
    listed = [line.split()[1:] for line in run.stderr.splitlines() if line.startswith(">   failed")]
    assert run.exit_code == 1
    assert listed == [["failed", domain, f"({stage.deployment('v7').id})"] for domain in untouched.domains]
    assert stage.truth().production == "v7"


async def test_a_rollback_that_never_ends_runs_out_of_time_and_stays_in_progress(
    stage: Stage, untouched: Truth
) -> None:
    stage.world.faults.set(ending(JobOutcome.STUCK))
    await stage.conforms_to("rollback-out-of-time")
    assert stage.truth() == replace(untouched, auto_assigns=False, job=("rollback", "in-progress", "v7", "v6"))


async def test_the_hobby_plan_refuses_to_roll_back_further_than_the_previous_deployment(
    tmp_path: Path, untouched: Truth
) -> None:
    async with staged(tmp_path, plan="hobby") as stage:
        await stage.conforms_to("rollback-refused-on-hobby")
        assert [entry.status for entry in stage.writes] == [402]
        assert stage.truth() == untouched


async def test_the_hobby_plan_rolls_back_to_the_previous_deployment(tmp_path: Path, untouched: Truth) -> None:
    async with staged(tmp_path, plan="hobby") as stage:
        await stage.conforms_to("rollback-by-url")
        assert stage.truth() == rolled_back_to("v6", before=untouched)


async def test_a_second_rollback_is_refused_while_the_first_is_at_work(stage: Stage, untouched: Truth) -> None:
    stage.world.request_rollback(stage.project, "v6", by="human", fault=ending(JobOutcome.STUCK))
    await stage.conforms_to("rollback-refused-as-conflict")
    assert [entry.status for entry in stage.writes] == [409]
    assert stage.truth() == replace(untouched, auto_assigns=False, job=("rollback", "in-progress", "v7", "v6"))


async def test_an_unknown_deployment_is_not_found_and_nothing_is_written(stage: Stage, untouched: Truth) -> None:
    await stage.conforms_to("rollback-of-unknown")
    assert stage.writes == []
    assert stage.truth() == untouched


async def test_status_polls_a_pending_rollback_until_it_succeeds(stage: Stage, untouched: Truth) -> None:
    stage.world.request_rollback(stage.project, "v6", by="human", fault=ending(JobOutcome.STUCK_PENDING))
    polls = 0

    def finish_at_third_poll(when: str, entry: LedgerEntry) -> None:
        nonlocal polls
        if when == "before_apply" and "rollbackInfo=true" in entry.query:
            polls += 1
            if polls == 3:
                stage.world.finish_stuck_job(stage.project, JobOutcome.SUCCEEDED)

    stage.world.request_hook = finish_at_third_poll
    await stage.conforms_to("rollback-status-pending-then-ok")
    assert polls == 3
    assert stage.writes == []
    assert stage.truth() == rolled_back_to("v6", before=untouched)


async def test_status_says_that_a_rollback_was_skipped(tmp_path: Path, untouched: Truth) -> None:
    clock = stopped_clock(seconds_ago=5)
    async with staged(tmp_path, clock=clock) as stage:
        stage.world.request_rollback(stage.project, "v6", by="human", fault=ending(JobOutcome.SKIPPED))
        clock.advance(5)
        await stage.conforms_to("rollback-status-skipped")
        assert stage.writes == []
        assert stage.truth() == replace(untouched, auto_assigns=False, job=("rollback", "skipped", "v7", "v6"))


async def test_status_forgets_a_rollback_of_three_minutes_ago(tmp_path: Path, untouched: Truth) -> None:
    clock = stopped_clock(seconds_ago=200)
    async with staged(tmp_path, clock=clock) as stage:
        stage.world.request_rollback(stage.project, "v6", by="human")
        clock.advance(200)
        await stage.conforms_to("rollback-status-long-ago")
        assert stage.writes == []
        assert stage.truth() == rolled_back_to("v6", before=untouched)


async def test_status_calls_a_promote_a_rollback(tmp_path: Path) -> None:
    clock = stopped_clock(seconds_ago=5)
    async with staged(tmp_path, clock=clock) as stage:
        stage.world.request_promote(stage.project, "v6", by="human")
        clock.advance(5)
        await stage.conforms_to("rollback-status-after-promote")
        assert stage.truth().job == ("promote", "succeeded", "v7", "v6")
