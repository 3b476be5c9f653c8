"""Is it the platform? The vote of the projects that nobody touched, when others seem to suffer from a deployment."""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.event import PlatformSuspected
from daemon.core.facts import Instant
from daemon.core.policy import Policy
from daemon.core.state import HoldPeriod, ProjectState
from daemon.core.turn import Turn
from daemon.core.verdict import onset_of

ONSETS_MIN = 3
SHARE_MIN = 0.2
TOGETHER = timedelta(minutes=2)
SUSPECTED_FOR = timedelta(minutes=5)
"""How long a suspicion holds after it was last told: a vote may flicker while the trouble goes on."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What one project that was not deployed lately says. `onset_at` is None where nothing is wrong."""

    onset_at: datetime | None


def vote_of(state: ProjectState, policy: Policy, moment: Instant) -> Vote | None:
    """Return the project's vote at *moment*; None for one that has none.

    What was just deployed does not vote, nor does one whose errors began soon after its own deployment, however long
    they go on: one push that breaks ten projects is no outage of the platform. Nor does one whose visitors nobody
    counted lately: it cannot tell. An onset counts for as long as its trouble lasts, so that a long outage is not
    forgotten while it goes on.
    Source: spec of the detection rule, 3.5, platform suspicion.
    """
    if state.serving is None or not state.activations:
        return None
    activated_at = state.activations[-1].at
    watch = state.watch(state.serving.id)
    was_deployed = activated_at is not None and moment.at - activated_at < policy.attribution_window
    if was_deployed or watch.counted is None or watch.counted.age_seconds(moment) > policy.lag_max.total_seconds():
        return None
    onset = onset_of(watch, policy)
    onset_at = onset.onset_at if onset else None
    if onset_at and activated_at and onset_at - activated_at < policy.attribution_window:
        return None
    return Vote(onset_at)


def suspicion(votes: Iterable[Vote]) -> str:
    """Return why the platform is suspected, or '': enough of the votes have an onset within the same two minutes."""
    cast = list(votes)
    onsets = sorted(vote.onset_at for vote in cast if vote.onset_at is not None)
    needed = max(ONSETS_MIN, math.ceil(SHARE_MIN * len(cast)))
    for first, onset_at in enumerate(onsets):
        together = bisect_left(onsets, onset_at + TOGETHER) - first
        if together >= needed:
            return (
                f"errors began on {together} of {len(cast)} projects without a recent deployment "
                f"within 2 min of {onset_at:%H:%M:%S} UTC"
            )
    return ""


def is_concerned(state: ProjectState, policy: Policy, moment: Instant) -> bool:
    """Return whether a suspicion should be told to this project: one in trouble that has not heard of it lately."""
    is_in_trouble = state.incident is not None or (
        state.serving is not None and onset_of(state.watch(state.serving.id), policy) is not None
    )
    told = state.platform
    half = SUSPECTED_FOR.total_seconds() / 2
    return is_in_trouble and (told is None or told.until - moment.elapsed < half)


def note_suspicion(turn: Turn, event: PlatformSuspected) -> None:
    """Remember that the platform is suspected, for a while."""
    until = turn.moment.elapsed + SUSPECTED_FOR.total_seconds()
    turn.change(platform=HoldPeriod(until, event.sentence))
    if turn.state.incident:
        # When the outage is over its errors are still on record, and would be taken for the deployment's.
        turn.change_incident(platform_suspected=True)
