"""What a policy's detectors mean together. Those on dry run, and those that only advise, have no say."""

from collections.abc import Iterator

from daemon.core.detector import Finding, Verdict
from daemon.core.policy import Combination, Policy
from daemon.core.state import Watch


def breach_of(watch: Watch, policy: Policy) -> Finding | None:
    """Return the first finding that is BREACHING, where the policy calls it a breach; None when it does not.

    Under `all` a detector that has found nothing yet is no witness.
    """
    findings = tuple(_heard(watch, policy))
    breaching = [one for one in findings if one and one.verdict is Verdict.BREACHING]
    is_unanimous = len(breaching) == len(findings)
    return breaching[0] if breaching and (policy.combine is Combination.ANY or is_unanimous) else None


def onset_of(watch: Watch, policy: Policy) -> Finding | None:
    """Return the first finding with an onset, breaching already or not; None when no detector sees trouble."""
    return next((one for one in _heard(watch, policy) if one and one.onset_at is not None), None)


def is_healthy(watch: Watch, policy: Policy) -> bool:
    """Return whether every detector that has a say calls the deployment healthy; silence does not."""
    findings = tuple(_heard(watch, policy))
    return bool(findings) and all(one is not None and one.verdict is Verdict.HEALTHY for one in findings)


def advice_of(watch: Watch, policy: Policy) -> Finding | None:
    """Return the first BREACHING finding of a detector that only advises; None without one."""
    advising = (one.name for one in policy.detectors if one.is_advisory and not one.dry_run)
    findings = (watch.findings.get(name) for name in advising)
    return next((one for one in findings if one and one.verdict is Verdict.BREACHING), None)


def has_say(detector: str, policy: Policy) -> bool:
    """Return whether the detector of this name decides under *policy*."""
    return any(one.name == detector and not (one.dry_run or one.is_advisory) for one in policy.detectors)


def _heard(watch: Watch, policy: Policy) -> Iterator[Finding | None]:
    deciding = (one.name for one in policy.detectors if not (one.dry_run or one.is_advisory))
    return (watch.findings.get(name) for name in deciding)
