"""One history under two policies: which rollbacks the new one adds, and which it takes away."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from daemon.backtest.history import ProjectHistory
from daemon.backtest.labels import Label, Score, score
from daemon.backtest.replay import Outcome, Replayed, Row, replay
from daemon.core.facts import DeploymentId, ProjectId
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.settings import ProjectSettings, Settings
from daemon.settings.model import GAP_INTERVALS, MINUTE


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both policies would have done in one project's history. The scores are None without labels.

    `name` is what people call the project: its configured name, or its id. `is_default` says that the new
    configuration does not name the project, so that its `defaults` were taken.
    """

    project: ProjectId
    name: str
    start: datetime
    until: datetime
    lag: timedelta
    activations: int
    today: Replayed
    new: Replayed
    is_default: bool = False
    today_score: Score | None = None
    new_score: Score | None = None

    @property
    def added(self) -> Sequence[Row]:
        """Rollbacks of suspects that today's policy leaves alone."""
        return [row for suspect, row in _rollbacks(self.new).items() if suspect not in _rollbacks(self.today)]

    @property
    def removed(self) -> Sequence[Row]:
        """Rollbacks of today's policy of suspects that the new one leaves alone."""
        return [row for suspect, row in _rollbacks(self.today).items() if suspect not in _rollbacks(self.new)]

    @property
    def kept(self) -> Sequence[tuple[Row, Row]]:
        """Rollbacks of the same suspect by both, today's first: moment and target may differ."""
        new = _rollbacks(self.new)
        return [(row, new[suspect]) for suspect, row in _rollbacks(self.today).items() if suspect in new]


def compare(
    history: ProjectHistory,
    *,
    today: Settings,
    new: Settings,
    labels: Sequence[Label] | None = None,
    lag: timedelta | None = None,
) -> Comparison:
    """Replay *history* under the policies that both configurations have for its project."""
    policies = [_judging(policy_of(settings, history.project)) for settings in (today, new)]
    first = replay(history, policies[0], lag=lag)
    replayed = (first, first if policies[0] == policies[1] else replay(history, policies[1], lag=lag))
    scores = [score(one.rows, labels, history) if labels is not None else None for one in replayed]
    configured = find_project(today, history.project)
    return Comparison(
        project=history.project,
        name=configured.label if configured else history.project,
        start=history.start,
        until=history.until,
        lag=history.lag if lag is None else lag,
        activations=len(history.activations),
        today=replayed[0],
        new=replayed[1],
        is_default=find_project(new, history.project) is None,
        today_score=scores[0],
        new_score=scores[1],
    )


def is_chosen(settings: Settings, project: ProjectId, pattern: str) -> bool:
    """Return whether the project's id, or the name that it is configured by, matches a shell pattern."""
    configured = find_project(settings, project)
    return any(fnmatchcase(one, pattern) for one in (project, configured.label if configured else project))


def find_project(settings: Settings, project: ProjectId) -> ProjectSettings | None:
    """Return the configured project with this id or name; None where there is none."""
    return next((one for one in settings.projects if project in (one.id, one.name)), None)


def policy_of(settings: Settings, project: ProjectId) -> Policy:
    """Return the project's policy; that of `defaults` for one that is not configured, as a pseudonym never is."""
    configured = find_project(settings, project)
    if configured:
        return settings.policy_for(configured)
    return replace(settings.defaults.policy(), poll_gap_max=max(GAP_INTERVALS * settings.poll.interval, 2 * MINUTE))


def _judging(policy: Policy) -> Policy:
    """Return what a replay looks at of *policy*."""
    return replace(policy, posture=Posture.AUTOMATIC, digest="")


def _rollbacks(replayed: Replayed) -> dict[DeploymentId, Row]:
    return {row.suspect: row for row in replayed.rows if row.outcome is Outcome.ROLLBACK}
