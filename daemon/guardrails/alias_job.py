"""No rollback while another alias job may still move the production domains, or has moved them unseen."""

from dataclasses import dataclass

from daemon.core.facts import AliasJob, AliasJobStatus, Production
from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class AliasJobGuardrail:
    """Holds while a job runs, or has succeeded and production is not seen to have moved: then one of the two is stale.

    A job that was asked for longer than `alias_job_stale_after` ago holds nobody: it is stuck, or something went live
    after it. Vercel promises no freshness of either.
    """

    def rule(self, case: Case) -> Ruling:
        """Return HOLD while a young job is pending, in progress, or without its effect."""
        job, age = case.production.alias_job, case.alias_job_age_seconds
        if job is None or age >= case.alias_job_stale_after.total_seconds():
            return Ruling.allow()
        if job.status.is_running:
            sentence = f"a {job.type} to {job.to_deployment} has been {job.status} for {age:.0f} s"
            return Ruling.hold(Reason.ALIAS_JOB_RUNNING, sentence)
        return _rule_on_effect(job, case.production, age_seconds=age)


def _rule_on_effect(job: AliasJob, production: Production, *, age_seconds: float) -> Ruling:
    serving = production.deployment
    if job.status is not AliasJobStatus.SUCCEEDED or serving is None or serving.id == job.to_deployment:
        return Ruling.allow()
    what = f"a {job.type} to {job.to_deployment}, asked for {age_seconds:.0f} s ago, has succeeded"
    return Ruling.hold(Reason.ALIAS_JOB_RUNNING, f"{what}, but {serving.id} is still read as serving")
