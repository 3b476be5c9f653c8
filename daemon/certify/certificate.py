"""From the operator's words to a campaign, and from its report to what is printed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from daemon.certify.campaign import Campaign, Progress, plan_runs, run_campaign
from daemon.certify.report import Report, count
from daemon.certify.scene import AFTER_HEALTHY_SECONDS, Scene
from daemon.certify.traffic import BadTraffic, parse_traffic
from daemon.certify.words import false_rollbacks, summary, tables, unseen
from daemon.core.policy import Policy
from daemon.settings import Settings
from daemon.settings.duration import EXAMPLES, format_duration, parse_duration

POLL_MIN, POLL_MAX = timedelta(seconds=1), timedelta(minutes=10)
LAG_MAX = timedelta(minutes=30)
_WINDOW_MAX = timedelta(hours=2)
_SEED_MAX = 2**63


class NotCertifiable(ValueError):
    """Something that cannot be simulated; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A campaign that has been told, and its report."""

    campaign: Campaign
    report: Report
    deployments_per_year: int

    def lines(self) -> Iterator[str]:
        """Yield the certificate for people."""
        yield from _heading(self.campaign)
        yield ""
        yield from false_rollbacks(self.report.false, deployments_per_year=self.deployments_per_year)
        yield from summary(self.report)
        yield ""
        yield from tables(self.report)
        yield ""
        sentences = unseen(self.report)
        yield "This policy cannot see" if sentences else "No kind is missed more often than not."
        yield from (f"  - {sentence}" for sentence in sentences)
        yield ""
        yield "Simulated, by the authors of the rules; docs/certify.md says what these figures do not cover."

    def as_json(self) -> dict[str, Any]:
        """Return the certificate as plain values."""
        campaign, scene = self.campaign, self.campaign.scene
        false = self.report.false
        low, high = false.interval
        years = self.deployments_per_year
        return {
            "policy": campaign.policy.digest,
            "detectors": {one.name: one.rule for one in campaign.policy.detectors},
            "traffic": str(scene.traffic),
            "poll_seconds": scene.poll_seconds,
            "lag_seconds": scene.lag_polls * scene.poll_seconds,
            "seed": campaign.seed,
            "deployments_per_year": years,
            "false_rollbacks_per_year": {"rate": false.ratio * years, "low": low * years, "high": high * years},
            **self.report.as_json(),
            "cannot_see": unseen(self.report),
        }


def prepare(
    settings: Settings, *, project: str | None, traffic: str, poll: str | None, lag: str, days: int, seed: int
) -> Campaign:
    """Return the campaign that the operator asked for. Raises NotCertifiable with what to write instead."""
    every = _duration("--poll", poll, low=POLL_MIN, high=POLL_MAX) if poll else settings.poll.interval
    late = _duration("--lag", lag, low=timedelta(0), high=LAG_MAX)
    try:
        visitors = parse_traffic(traffic)
    except BadTraffic as error:
        raise NotCertifiable(f"--traffic {error}") from error
    if not 0 <= seed < _SEED_MAX:
        raise NotCertifiable(f"--seed {seed} is out of bounds; write a whole number from 0 on")
    policy = replace(_policy(settings, project), poll_gap_max=max(4 * every, timedelta(minutes=2)))
    if policy.attribution_window > _WINDOW_MAX:
        raise NotCertifiable(
            f"attribution_window {format_duration(policy.attribution_window)} is longer than "
            f"{format_duration(_WINDOW_MAX)}; a release is watched for {AFTER_HEALTHY_SECONDS / 3600:.0f} h here, "
            "so that later blame would not be counted"
        )
    seconds = round(every.total_seconds())
    scene = Scene(seconds, math.ceil(late.total_seconds() / seconds), visitors)
    return Campaign(policy, scene, seed, plan_runs(days))


def certificate(
    campaign: Campaign, *, deployments_per_year: int, workers: int, on_progress: Progress = lambda _told: None
) -> Certificate:
    """Tell all stories of *campaign*, and return what came of them."""
    judged = run_campaign(campaign, workers=workers, on_progress=on_progress)
    return Certificate(campaign, count(judged), deployments_per_year)


def _duration(option: str, text: str, *, low: timedelta, high: timedelta) -> timedelta:
    duration = parse_duration(text)
    if duration is None:
        raise NotCertifiable(f"{option} {text!r} is not a length of time; write one such as {EXAMPLES}")
    if not low <= duration <= high:
        bounds = f"{format_duration(low)} and {format_duration(high)}"
        raise NotCertifiable(f"{option} {text} is out of bounds; write something between {bounds}")
    return duration


def _policy(settings: Settings, project: str | None) -> Policy:
    named = [one for one in settings.projects if project in (None, one.id, one.name)]
    labels = ", ".join(one.label for one in settings.projects)
    if not named:
        raise NotCertifiable(f"no project is called {project}; there are: {labels}")
    policies = {policy.digest: policy for policy in map(settings.policy_for, named)}
    if len(policies) > 1:
        raise NotCertifiable(f"the projects have {len(policies)} different policies; say --project, one of: {labels}")
    [policy] = policies.values()
    return policy


def _heading(campaign: Campaign) -> Iterator[str]:
    scene, policy = campaign.scene, campaign.policy
    yield (
        f"lastgood certify: policy {policy.digest}, {scene.traffic}, polls every {scene.poll_seconds} s, "
        f"counts {scene.lag_polls * scene.poll_seconds} s late, seed {campaign.seed}, {campaign.stories} stories"
    )
    for detector in policy.detectors:
        yield f"  {detector.name}{' (dry run)' if detector.dry_run else ''}: {detector.rule}"
    yield f"  judged as if its posture were automatic; errors are blamed on a release for {_minutes(policy)} min"


def _minutes(policy: Policy) -> str:
    return f"{policy.attribution_window.total_seconds() / 60:g}"
