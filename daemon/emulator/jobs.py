"""Alias jobs: what each outcome does to the domains, step by step."""

from collections.abc import Iterable
from dataclasses import dataclass

from daemon.emulator.fault_specs import JobOutcome
from daemon.emulator.model import AliasJob, AliasStatus, JobStatus


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ends: its status, and the domains that it moved."""

    status: JobStatus
    moved: tuple[str, ...]


def begin(job: AliasJob) -> None:
    """Let a pending *job* start its work, unless it is stuck or will be skipped."""
    if job.status is not JobStatus.PENDING or job.outcome == JobOutcome.STUCK_PENDING:
        return
    job.status = JobStatus.IN_PROGRESS
    for domain in job.aliases:
        job.aliases[domain] = AliasStatus.IN_PROGRESS


def ending_of(job: AliasJob) -> Ending | None:
    """Return how *job* ends; None for a stuck one, which never does."""
    domains = tuple(job.aliases)
    match job.outcome:
        case JobOutcome.STUCK | JobOutcome.STUCK_PENDING:
            return None
        case JobOutcome.SKIPPED:
            return Ending(JobStatus.SKIPPED, ())
        case JobOutcome.FAILED:
            return Ending(JobStatus.FAILED, ())
        case JobOutcome.PARTIAL:
            # A single domain cannot be moved in part: then nothing moves.
            return Ending(JobStatus.FAILED, domains[: len(domains) // 2])
        case _:
            return Ending(JobStatus.SUCCEEDED, domains)


def finish(job: AliasJob, ending: Ending, at_ms: int) -> None:
    """Write *ending* into *job* and its domains."""
    job.status = ending.status
    job.finished_at_ms = at_ms
    if ending.status is JobStatus.SKIPPED:
        return
    for domain in job.aliases:
        job.aliases[domain] = AliasStatus.COMPLETED if domain in ending.moved else AliasStatus.FAILED


def last_shown(jobs: Iterable[AliasJob], *, now_ms: int, stale_seconds: float) -> AliasJob | None:
    """Return the newest job that is at least *stale_seconds* old; None when there is none."""
    limit_ms = now_ms - stale_seconds * 1000
    return max(
        (job for job in jobs if job.requested_at_ms <= limit_ms), key=lambda job: job.requested_at_ms, default=None
    )
