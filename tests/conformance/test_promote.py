"""`vercel promote` by the real CLI, which also is the only way back out of a rollback."""

from dataclasses import replace

import pytest

from daemon.emulator.fault_specs import JobFault, JobOutcome
from daemon.emulator.ledger import LedgerEntry
from tests.conformance.stage import Stage, Truth
from tests.requires import requires_vercel_cli

pytestmark = [requires_vercel_cli, pytest.mark.slow]


def promoted(name: str, *, before: Truth) -> Truth:
    """Return what is true once a promote of *name* has succeeded: domains moved, nothing pinned."""
    return replace(
        before,
        production=name,
        domains=dict.fromkeys(before.domains, name),
        substates={**before.substates, name: "PROMOTED"},
        auto_assigns=True,
        job=("promote", "succeeded", before.production, name),
    )


async def test_promote_of_a_staged_deployment_makes_it_production(stage: Stage, untouched: Truth) -> None:
    await stage.conforms_to("promote-staged")
    assert [(entry.method, entry.status) for entry in stage.writes] == [("POST", 201)]
    assert stage.truth() == promoted("v8", before=untouched)


async def test_promote_of_what_serves_already_is_a_conflict(stage: Stage, untouched: Truth) -> None:
    await stage.conforms_to("promote-of-current")
    assert [entry.status for entry in stage.writes] == [409]
    assert stage.truth() == untouched


async def test_status_polls_a_pending_promote_until_it_succeeds(stage: Stage, untouched: Truth) -> None:
    stage.world.request_promote(
        stage.project, "v6", by="human", fault=JobFault(outcome=JobOutcome.STUCK_PENDING, duration=0)
    )
    polls = 0

    def finish_at_third_poll(when: str, entry: LedgerEntry) -> None:
        nonlocal polls
        if when == "before_apply" and "rollbackInfo=true" in entry.query:
            polls += 1
            if polls == 3:
                stage.world.finish_stuck_job(stage.project, JobOutcome.SUCCEEDED)

    stage.world.request_hook = finish_at_third_poll
    await stage.conforms_to("promote-status-pending-then-ok")
    assert stage.writes == []
    assert stage.truth() == promoted("v6", before=untouched)


async def test_promote_after_a_rollback_lets_new_builds_go_live_again(stage: Stage, untouched: Truth) -> None:
    await stage.conforms_to("rollback-by-url")
    pinned = stage.truth()
    assert not pinned.auto_assigns
    await stage.conforms_to("promote-staged")
    assert stage.truth() == promoted("v8", before=pinned)
