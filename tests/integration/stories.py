"""The stories that the matrix of answers plays, each with its ending, and where an answer changes that ending."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from daemon.core.guardrail import Reason
from daemon.core.incident import Trigger
from daemon.emulator.errors import ApiError
from daemon.emulator.fault_specs import JobFault
from daemon.emulator.rolling_specs import RollingReleaseConfig
from daemon.emulator.scenario import DeploySpec, JobsSpec, Plan, TeamSpec, TokenSpec
from tests.integration.test_write_failures import (
    before_the_rollback_is_applied,
    both,
    fault,
    somebody_promotes,
    somebody_rolls_back_to_our_target,
)
from tests.integration.unknowns import MINUTES_MAX, Answers, Ending, Story, until_it_ends
from tests.integration.whole_daemon import ACTING_NAME, ACTOR, READER, Whole

_FAILURES = [{"ratio": 0.25, "status": 500, "message": "TypeError: boom"}]


# What happens in the stories


def a_person_promotes(whole: Whole, name: str, **job: Any) -> None:
    """Let a person promote the deployment *name*, by another way than the daemon's; *job* says what comes of it."""
    world, fate = whole.world, JobFault.model_validate(job) if job else None
    world.request_promote(world.project("web"), world.deployment("web", name).id, by="human", fault=fate)


def push(whole: Whole, name: str, *, fails: bool = False, auto_assign: bool = True) -> None:
    """Let somebody push a build that is ready at once."""
    failures = _FAILURES if fails else []
    spec = {"project": "web", "name": name, "build": "0s", "failures": failures, "auto_assign": auto_assign}
    whole.world.deploy(DeploySpec.model_validate(spec))
    whole.world.advance()


async def a_person_is_at_work(whole: Whole) -> None:
    """Let a person promote a fix as soon as an incident is open, or when none comes."""
    while whole.project.state is None or not (whole.state.incident or whole.clock.monotonic() > MINUTES_MAX * 60):
        await whole.watch(0.25)
    push(whole, "fix", auto_assign=False)
    a_person_promotes(whole, "fix")
    await until_it_ends(whole)


def a_person_promotes_in_between(*, at_minutes: float, **job: Any) -> Callable[[Whole], Awaitable[None]]:
    """Let a person promote a fix at *at_minutes*; the breach is known after five."""

    async def play(whole: Whole) -> None:
        await whole.watch(at_minutes)
        push(whole, "fix", auto_assign=False)
        a_person_promotes(whole, "fix", **job)
        await until_it_ends(whole)

    return play


async def released_by_hand(whole: Whole) -> None:
    """Promote what fails, then a fix after its rollback; then push something worse, which may go live by itself."""
    await whole.watch(2)
    a_person_promotes(whole, "bad")
    await whole.watch_until_ended()
    # Longer than the cooldown, so that a second rollback is allowed again.
    await whole.watch(31)
    push(whole, "fix")
    a_person_promotes(whole, "fix")
    await whole.watch(5)
    push(whole, "worse", fails=True)
    await whole.watch(20)


async def after_an_aborted_canary(whole: Whole) -> None:
    """Abort a rolling release of something bad, then promote something bad: the canary is newer than what was good."""
    world, project = whole.world, whole.world.project("web")
    stages = [{"targetPercentage": 10}, {"targetPercentage": 100}]
    await whole.watch(0.5)
    world.rolling.configure(project, RollingReleaseConfig.model_validate({"stages": stages}))
    push(whole, "canary", fails=True)
    await whole.watch(0.25)
    world.request_rollback(project, world.deployment("web", "good").id, by="human")
    await whole.watch(0.25)
    world.rolling.configure(project, None)
    await whole.watch(1)
    a_person_promotes(whole, "bad")
    await until_it_ends(whole)


def an_older_one_is_promoted(whole: Whole) -> None:
    """Let somebody promote a deployment that served before; where that is refused, nothing happens."""
    with contextlib.suppress(ApiError):
        somebody_promotes(whole)


def the_target_is_deleted(whole: Whole) -> None:
    """Let somebody delete what the daemon is about to go back to."""
    whole.world.deployment("web", "good").deleted_at_ms = whole.world.now_ms


def names_no_team(whole: Whole) -> None:
    """Take the team out of the daemon's configuration, as for a personal account."""
    whole.poller._hosting._transport.team_id = None
    whole.project.executor.rollback._transport.team_id = None


# The stories

_RECOVERED = Ending(Trigger.RECOVERED, Reason.NONE, sent=1, applied=1, production="good")
_FAILED = Ending(Trigger.FAILED, Reason.JOB_FAILED, sent=1, applied=0, production="bad", pages=1)
_STOOD_DOWN = Ending(Trigger.FOREIGN_MOVE, Reason.FOREIGN_MOVE, sent=0, applied=0, production="fix", pages=1)
_BLIND = Ending(None, Reason.NONE, sent=0, applied=0, production="bad", pages=1)
# One page says that nobody is watching, the other what would have been done, and how to do it by hand.
_HELD = Ending(Trigger.HELD_BACK, Reason.BLIND, sent=0, applied=0, production="bad", pages=2)

_MOVED: Answers = {"applied": 1, "production": "good"}
_REPLACED = Ending(
    Trigger.FOREIGN_MOVE, Reason.FOREIGN_MOVE, sent=1, applied=1, production="good", pages=1, restores=True
)
_CANNOT_SEE: tuple[tuple[Answers, Ending], ...] = (
    ({"rate_limit_per_minute": 1}, _BLIND),
    ({"metrics_lag_seconds": 600.0}, _HELD),
)
_SLOW_AND_STALE: tuple[Answers, ...] = (
    {"stale_reads_seconds": 60.0, "rate_limit_per_minute": 10},
    {"stale_reads_seconds": 60.0, "metrics_lag_seconds": 120.0},
)
_HOBBY: Answers = {"team": TeamSpec(plan=Plan.HOBBY)}


def _refused(reason: Reason, *, production: str = "bad") -> Ending:
    return Ending(Trigger.REFUSED, reason, sent=1, applied=0, production=production, pages=1)


STORIES = (
    Story("a bad deployment", _RECOVERED, _CANNOT_SEE, knobs=None, pairs=_SLOW_AND_STALE),
    Story(
        "a bad deployment, by evidence",
        _RECOVERED,
        _CANNOT_SEE,
        knobs=("stale_reads_seconds", "rate_limit_per_minute", "metrics_lag_seconds"),
        pairs=_SLOW_AND_STALE,
        settings={"detectors": [{"kind": "evidence"}]},
    ),
    Story(
        "a job that fails",
        _FAILED,
        _CANNOT_SEE,
        knobs=None,
        pairs=_SLOW_AND_STALE,
        hinder=fault(kind="job", outcome="failed"),
    ),
    Story(
        "an answer that is lost, and a job that is not shown at first",
        _RECOVERED,
        _CANNOT_SEE,
        knobs=None,
        pairs=_SLOW_AND_STALE,
        hinder=both(
            fault(kind="reset", when="after_apply", count=1),
            fault(kind="stale-alias-request", route="project", seconds=30),
        ),
    ),
    Story(
        "a person's promote",
        _STOOD_DOWN,
        (
            ({"rate_limit_per_minute": 1}, replace(_BLIND, production="fix")),
            ({"metrics_lag_seconds": 600.0}, replace(_STOOD_DOWN, pages=_HELD.pages)),
        ),
        knobs=None,
        pairs=_SLOW_AND_STALE,
        play=a_person_is_at_work,
        settings={"posture": "approve"},
    ),
    Story(
        "a person's slow promote",
        replace(_STOOD_DOWN, pages=0),
        # Our request comes while the job runs that no read shows yet, and is a conflict.
        (({"stale_reads_seconds": 60.0}, replace(_STOOD_DOWN, sent=1, pages=0)),),
        knobs=("stale_reads_seconds",),
        play=a_person_promotes_in_between(at_minutes=4.5, duration="60s"),
    ),
    Story(
        "a person's quick promote",
        Ending(None, Reason.NONE, sent=0, applied=0, production="fix"),
        # The limit of what can be promised: what no read shows can be replaced; then people are told how to undo it.
        (({"stale_reads_seconds": 60.0}, _REPLACED),),
        knobs=("stale_reads_seconds",),
        play=a_person_promotes_in_between(at_minutes=4.5, duration="2s"),
    ),
    Story(
        "a slow job that is never shown",
        _RECOVERED,
        # A request that left no trace for a minute is sent once more; what is there already is not moved again.
        (
            ({"stale_reads_seconds": 60.0}, replace(_RECOVERED, sent=2)),
            ({"stale_reads_seconds": 5.0}, replace(_RECOVERED, sent=2)),
        ),
        knobs=("stale_reads_seconds", "rollback_to_current"),
        pairs=({"stale_reads_seconds": 60.0, "rollback_to_current": 422},),
        hinder=both(
            both(fault(kind="reset", when="after_apply", count=1), fault(kind="job", duration="58s")),
            fault(kind="stale-alias-request", route="project", seconds=7200),
        ),
    ),
    Story(
        "a job that moves some domains",
        _FAILED,
        (
            # A job that has failed is not waited for, so that production is seen to move only after the page.
            ({"partial_job_moves_production": True, "stale_reads_seconds": 60.0}, replace(_FAILED, **_MOVED)),
            ({"partial_job_moves_production": True}, replace(_FAILED, reason=Reason.JOB_PARTIAL, **_MOVED)),
        ),
        knobs=("partial_job_moves_production", "alias_rows", "stale_reads_seconds"),
        pairs=({"partial_job_moves_production": True, "stale_reads_seconds": 60.0},),
        hinder=fault(kind="job", outcome="partial"),
    ),
    Story(
        "a person who rolls back first",
        Ending(Trigger.RECOVERED, Reason.NONE, sent=1, applied=0, production="good"),
        # A 422 is final, as for every other reason to refuse: people are told, though nothing is left to do.
        (({"rollback_to_current": 422}, _refused(Reason.UNPROCESSABLE, production="good")),),
        knobs=("rollback_to_current", "refusal_codes", "stale_reads_seconds"),
        pairs=({"rollback_to_current": 422, "stale_reads_seconds": 60.0},),
        hinder=before_the_rollback_is_applied(somebody_rolls_back_to_our_target),
        scenario={"jobs": JobsSpec.model_validate({"pending": "0s", "duration": "0s"})},
    ),
    Story(
        "a target that is deleted",
        _refused(Reason.NOT_FOUND),
        (({"rollback_to_deleted": 410}, _refused(Reason.REFUSED)),),
        knobs=("rollback_to_deleted",),
        hinder=before_the_rollback_is_applied(the_target_is_deleted),
    ),
    Story(
        "an older deployment that is promoted",
        Ending(Trigger.FOREIGN_MOVE, Reason.FOREIGN_MOVE, sent=1, applied=0, production="v3"),
        (({"promote_older": "409"}, _RECOVERED), ({"promote_older": "422"}, _RECOVERED)),
        knobs=("promote_older", "stale_reads_seconds"),
        hinder=before_the_rollback_is_applied(an_older_one_is_promoted),
    ),
    Story(
        "releases by hand",
        Ending(Trigger.RECOVERED, Reason.NONE, sent=2, applied=2, production="fix"),
        # What was pushed after the fix stays staged.
        (({"promote_sets_auto_assign": False}, replace(_RECOVERED, production="fix")),),
        knobs=("promote_sets_auto_assign", "pinned_reads_auto_assign_false", "stale_reads_seconds"),
        pairs=({"pinned_reads_auto_assign_false": False, "stale_reads_seconds": 60.0},),
        play=released_by_hand,
        project={"auto_assign": False},
    ),
    Story("an aborted canary", _RECOVERED, knobs=("aborted_canary_substate",), play=after_an_aborted_canary),
    Story(
        "a daemon that names no team",
        _RECOVERED,
        (({"missing_team_id": "not-found"}, _BLIND),),
        knobs=("missing_team_id", "alias_request"),
        hinder=names_no_team,
    ),
    Story(
        "a token of one project",
        _RECOVERED,
        (({"project_token_moves": "forbidden"}, _refused(Reason.FORBIDDEN)),),
        knobs=("project_token_moves",),
        scenario={
            "tokens": (
                TokenSpec(value=READER, name="reader", read_only=True),
                TokenSpec(value=ACTOR, name=ACTING_NAME, projects=("web",)),
            )
        },
    ),
    Story("a hobby plan", _RECOVERED, knobs=("hobby_counts", "metrics_retention"), scenario=_HOBBY),
    Story(
        "a hobby plan that would go further back",
        _refused(Reason.PLAN),
        knobs=("payment_code",),
        scenario=_HOBBY,
        project={"production": "v3"},
    ),
)
