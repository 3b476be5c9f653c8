"""An alias job that runs, or whose effect is not seen yet, holds the rollback until it is called stuck."""

import pytest

from daemon.core.facts import AliasJobStatus, AliasJobType, Deployment
from daemon.core.guardrail import Reason, Strictness
from daemon.guardrails.alias_job import AliasJobGuardrail
from tests.builders import BAD, FIX, START, a_production, an_alias_job
from tests.unit.guardrails.cases import a_case


def ruling(status: AliasJobStatus, age_seconds: float) -> tuple[Strictness, Reason, str]:
    job = an_alias_job(FIX, type=AliasJobType.PROMOTE, status=status, requested_at=START)
    case = a_case(production=a_production(BAD, alias_job=job), alias_job_age_seconds=age_seconds)
    found = AliasJobGuardrail().rule(case)
    return found.strictness, found.reason, found.sentence


@pytest.mark.parametrize("status", [AliasJobStatus.PENDING, AliasJobStatus.IN_PROGRESS])
@pytest.mark.parametrize(
    ("age", "strictness"),
    [(0, Strictness.HOLD), (179.9, Strictness.HOLD), (180, Strictness.ALLOW)],
)
def test_I_20_a_running_job_holds_until_it_is_stale(status: AliasJobStatus, age: float, strictness: Strictness) -> None:
    assert ruling(status, age)[0] is strictness


@pytest.mark.parametrize("status", [AliasJobStatus.FAILED, AliasJobStatus.SKIPPED])
def test_a_job_that_ended_without_effect_holds_nobody(status: AliasJobStatus) -> None:
    assert ruling(status, 0)[0] is Strictness.ALLOW


@pytest.mark.parametrize(
    ("age", "strictness"),
    [(0, Strictness.HOLD), (179.9, Strictness.HOLD), (180, Strictness.ALLOW)],
)
def test_I_31_a_young_job_that_succeeded_holds_while_production_is_not_seen_to_have_moved(
    age: float, strictness: Strictness
) -> None:
    assert ruling(AliasJobStatus.SUCCEEDED, age)[0] is strictness


@pytest.mark.parametrize("serving", [FIX, None], ids=["its target", "nothing"])
def test_a_job_that_succeeded_holds_nobody_once_production_serves_its_target(serving: Deployment | None) -> None:
    production = a_production(serving, alias_job=an_alias_job(FIX, status=AliasJobStatus.SUCCEEDED))
    assert AliasJobGuardrail().rule(a_case(production=production)).strictness is Strictness.ALLOW


def test_no_job_holds_nobody() -> None:
    assert AliasJobGuardrail().rule(a_case()).strictness is Strictness.ALLOW


def test_the_reason_names_the_job() -> None:
    assert ruling(AliasJobStatus.PENDING, 7)[1:] == (
        Reason.ALIAS_JOB_RUNNING,
        "a promote to dpl_fix has been pending for 7 s",
    )
    assert ruling(AliasJobStatus.SUCCEEDED, 7)[1:] == (
        Reason.ALIAS_JOB_RUNNING,
        "a promote to dpl_fix, asked for 7 s ago, has succeeded, but dpl_bad is still read as serving",
    )
