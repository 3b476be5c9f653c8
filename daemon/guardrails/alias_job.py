"""No rollback while another alias job may still move the production domains."""

from dataclasses import dataclass

from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class AliasJobGuardrail:
    """Holds while a job runs. One that has run for longer than `alias_job_stale_after` is stale and holds nobody."""

    def rule(self, case: Case) -> Ruling:
        """Return HOLD while a young job is pending or in progress."""
        job = case.production.alias_job
        if job is None or not job.status.is_running:
            return Ruling.allow()
        age = case.alias_job_age_seconds
        if age >= case.alias_job_stale_after.total_seconds():
            return Ruling.allow()
        return Ruling.hold(
            Reason.ALIAS_JOB_RUNNING, f"a {job.type} to {job.to_deployment} has been {job.status} for {age:.0f} s"
        )
