"""Carrying out an action: read once more, send once, and judge only by what is observed."""

from dataclasses import replace
from enum import StrEnum

from daemon.core import binomial
from daemon.core.action import SENDS_MAX, Mitigation, Phase
from daemon.core.command import ObserveProduction, Preflight, RollBack
from daemon.core.event import (
    PreflightRead,
    ReadTarget,
    RollbackAccepted,
    RollbackOutcomeUnknown,
    RollbackRateLimited,
    RollbackRefused,
    RollbackUnsent,
)
from daemon.core.facts import AliasJob, AliasJobStatus, Production
from daemon.core.guardrail import Reason, Strictness
from daemon.core.incident import State, Trigger
from daemon.core.production import is_outdated, may_be_ours, note_production, our_job
from daemon.core.recovery import RecoveryWatch
from daemon.core.respond import PROPOSABLE, refine_suspect_counts, rule
from daemon.core.state import LastAction
from daemon.core.turn import Turn

_UNSENT_RETRY_SECONDS = 5.0

_REFUSALS = {
    401: Reason.UNAUTHORIZED,
    402: Reason.PLAN,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    422: Reason.UNPROCESSABLE,
}


class Progress(StrEnum):
    """What an observation says about an action that was sent."""

    WAIT = "wait"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    STUCK = "stuck"
    MISAPPLIED = "misapplied"
    NO_TRACE = "no_trace"
    """The time in which the request could have been at work is over, and nothing happened."""


def is_mitigating(turn: Turn, *phases: Phase) -> bool:
    """Return whether the live incident is carrying out an action, in one of *phases* (any, if none is given)."""
    incident = turn.state.incident
    if incident is None or incident.state is not State.MITIGATING or incident.mitigation is None:
        return False
    return not phases or incident.mitigation.phase in phases


def check_preflight(turn: Turn, event: PreflightRead) -> None:
    """Compare and act: send only if nothing changed since the decision, under the newest configuration."""
    if is_outdated(turn):
        return keep_observing(turn, ReadTarget.PREFLIGHT)
    note_production(turn, event.production)
    follow(turn, event.production)
    if not is_mitigating(turn, Phase.PREPARING):
        return None
    incident, mitigation = turn.incident, _mitigation(turn)
    age = turn.moment.elapsed - mitigation.decided.elapsed
    if age > turn.policy.decision_ttl.total_seconds():
        return _decide_again(turn, Reason.DECISION_EXPIRED, f"the decision is {age:.0f} s old")
    if turn.moment.elapsed < mitigation.not_before:
        return _wait_for_preflight(turn)
    assert incident.target is not None, "a mitigation has a target"
    ruling = rule(turn, incident.target)
    if ruling.strictness is not Strictness.ALLOW:
        return _decide_again(turn, ruling.reason, ruling.sentence)
    if mitigation.seen is not None and _controls(mitigation.seen) != _controls(event.production):
        sentence = "an alias job, the pin or a rolling release changed since the decision"
        return _decide_again(turn, Reason.CONFLICT, sentence)
    return _send(turn, event.production)


def _wait_for_preflight(turn: Turn) -> None:
    """Look again when Vercel's wait is over, but not later than the decision is worth anything."""
    wait = _mitigation(turn).not_before - turn.moment.elapsed
    turn.ask(Preflight(delay_seconds=min(wait, turn.policy.decision_ttl.total_seconds())))


def _controls(production: Production) -> tuple[object, ...]:
    """Return what somebody else may have set in motion while production still serves the same."""
    return production.alias_job, production.auto_assigns_domains, production.is_rolling_release_active


def _send(turn: Turn, production: Production) -> None:
    incident, mitigation = turn.incident, _mitigation(turn)
    suspect = incident.suspect.id
    sends = turn.state.sends.get(suspect, 0)
    assert sends < SENDS_MAX, f"{suspect}: {sends} requests were sent"
    turn.change(sends={**turn.state.sends, suspect: sends + 1})
    job = production.alias_job
    turn.change_incident(
        mitigation=replace(mitigation, phase=Phase.SENT, sent=turn.moment, job_before=job.requested_at if job else None)
    )
    turn.say(Reason.NONE, f"asking Vercel to roll back to {mitigation.action.target}")
    turn.ask(RollBack(mitigation.action, description=f"lastgood {incident.id}: {incident.finding.sentence}"))


def note_accepted(turn: Turn, _event: RollbackAccepted) -> None:
    """Accepted is not done: start observing. The answer may come after we had stopped waiting for it."""
    if is_mitigating(turn) and _mitigation(turn).sent is not None:
        _observe_in_phase(turn, Phase.ACCEPTED, "Vercel accepted the rollback; waiting to see production move")


def note_unknown(turn: Turn, event: RollbackOutcomeUnknown) -> None:
    """Neither failure nor success: start observing."""
    if is_mitigating(turn, Phase.SENT):
        _observe_in_phase(turn, Phase.UNKNOWN, f"fate of the request unknown: {event.sentence}")


def note_refused(turn: Turn, event: RollbackRefused) -> None:
    """Escalate what Vercel will refuse again; a conflict is reconciled by observation."""
    if not is_mitigating(turn, Phase.SENT):
        return None
    # Whether "it serves already" is a 409 or a 422 nobody knows: after a request of unknown fate it may be just that.
    if event.status == 409 or (event.status == 422 and _may_be_applied_already(turn)):
        return _observe_in_phase(turn, Phase.UNKNOWN, f"conflict: {event.sentence}")
    reason = _REFUSALS.get(event.status, Reason.REFUSED)
    return _escalate(turn, Trigger.REFUSED, reason, f"Vercel refused the rollback ({event.status}): {event.sentence}")


def note_rate_limited(turn: Turn, event: RollbackRateLimited) -> None:
    """Wait as told, then look again before sending the second and last time."""
    if not is_mitigating(turn, Phase.SENT):
        return None
    if turn.state.sends.get(turn.incident.suspect.id, 0) >= SENDS_MAX:
        return _escalate(turn, Trigger.REFUSED, Reason.SENT_TWICE, "Vercel answered 429 twice")
    not_before = turn.moment.elapsed + event.retry_after_seconds
    # Surely not applied: whoever moves production from here on, it is not us.
    mitigation = replace(_mitigation(turn), phase=Phase.PREPARING, sent=None, not_before=not_before)
    turn.change_incident(mitigation=mitigation)
    turn.say(Reason.NONE, f"Vercel asked to wait {event.retry_after_seconds:.0f} s")
    return _wait_for_preflight(turn)


def note_unsent(turn: Turn, event: RollbackUnsent) -> None:
    """Take the request back from the count, since it surely never left, and try again while the decision is young."""
    if not is_mitigating(turn, Phase.SENT):
        return
    suspect = turn.incident.suspect.id
    sends = turn.state.sends[suspect] - 1
    mitigation = _mitigation(turn)
    turn.change(sends={**turn.state.sends, suspect: sends})
    turn.change_incident(mitigation=replace(mitigation, phase=Phase.PREPARING, sent=mitigation.sent if sends else None))
    turn.say(Reason.NONE, f"the request did not leave: {event.sentence}")
    turn.ask(Preflight(delay_seconds=_UNSENT_RETRY_SECONDS))


def resume_mitigation(turn: Turn) -> None:
    """After a restart: what was sent may have been applied or not, and only reading tells."""
    if is_mitigating(turn, Phase.PREPARING):
        turn.ask(Preflight())
    elif is_mitigating(turn):
        phase = Phase.ACCEPTED if _mitigation(turn).phase is Phase.ACCEPTED else Phase.UNKNOWN
        _observe_in_phase(turn, phase, "restarted: looking at what became of the rollback", delay_seconds=0.0)


def keep_observing(turn: Turn, what: ReadTarget) -> None:
    """Ask for the next look, after a look that failed. Nobody looks for ever: the decision expires, or we page.

    Each look asks for its own successor only, or they would multiply.
    """
    if is_mitigating(turn, Phase.PREPARING):
        if what is ReadTarget.PREFLIGHT:
            turn.ask(Preflight(delay_seconds=_UNSENT_RETRY_SECONDS))
    elif is_mitigating(turn):
        if _seconds_since_sent(turn) < turn.policy.verification_deadline.total_seconds():
            return turn.ask(ObserveProduction(_UNSENT_RETRY_SECONDS))
        sentence = "production cannot be read since the rollback was sent: whether it moved is unknown"
        return _escalate(turn, Trigger.OUTCOME_UNKNOWN, Reason.OUTCOME_UNKNOWN, sentence)
    return None


def observe(turn: Turn, production: Production) -> None:
    """Take in one look at production, whoever asked for it, and judge the action under way by it."""
    if is_outdated(turn):
        return keep_observing(turn, ReadTarget.PRODUCTION)
    note_production(turn, production)
    return follow(turn, production)


def follow(turn: Turn, production: Production) -> None:
    """Judge an action under way by one look at production."""
    _notice_late_effect(turn, production)
    if not is_mitigating(turn, Phase.SENT, Phase.ACCEPTED, Phase.UNKNOWN):
        return
    action, job = _mitigation(turn).action, our_job(_mitigation(turn), production)
    match judge(turn, production):
        case Progress.WAIT:
            turn.ask(ObserveProduction(turn.policy.observe_every.total_seconds()))
        case Progress.CONFIRMED:
            _begin_verification(turn)
        case Progress.FAILED:
            _escalate(turn, Trigger.FAILED, Reason.JOB_FAILED, f"the rollback job failed{_names(job)}")
        case Progress.PARTIAL:
            sentence = f"production moved to {action.target}, but not all domains did{_names(job)}"
            _escalate(turn, Trigger.FAILED, Reason.JOB_PARTIAL, sentence)
        case Progress.SKIPPED:
            _escalate(turn, Trigger.FAILED, Reason.JOB_SKIPPED, "Vercel skipped the rollback; production did not move")
        case Progress.STUCK:
            sentence = "the rollback job does not end; it may still be at work"
            _escalate(turn, Trigger.OUTCOME_UNKNOWN, Reason.JOB_STUCK, sentence)
        case Progress.MISAPPLIED:
            left = job.from_deployment if job else None
            sentence = f"the rollback replaced {left}, not the suspect {action.expected}: somebody released in between"
            restore = f"to restore what was there: vercel promote {left}"
            turn.move(Trigger.FAILED, reason=Reason.JOB_MISAPPLIED, sentence=sentence, next_step=restore)
        case Progress.NO_TRACE:
            _send_again_or_give_up(turn)


def _notice_late_effect(turn: Turn, production: Production) -> None:
    """An earlier request may take effect while a second one is prepared or decided: then there is nothing to send."""
    incident = turn.state.incident
    mitigation = incident.mitigation if incident else None
    if incident is None or mitigation is None or mitigation.sent is None:
        return
    is_at_work = our_job(mitigation, production) is not None or may_be_ours(mitigation, production)
    if is_at_work and (incident.state in PROPOSABLE or is_mitigating(turn, Phase.PREPARING)):
        turn.change_incident(mitigation=replace(mitigation, phase=Phase.UNKNOWN))
        if incident.state in PROPOSABLE:
            sentence = "the request that was given up is at work after all"
            turn.move(Trigger.LATE_EFFECT, reason=Reason.NONE, sentence=sentence)


def judge(turn: Turn, production: Production) -> Progress:
    """Return what *production* says about the sent action. Only the target serving, with no domain left, is success."""
    mitigation = _mitigation(turn)
    job = our_job(mitigation, production)
    age = _seconds_since_sent(turn)
    is_stale = age >= turn.policy.alias_job_stale_after.total_seconds()
    is_on_target = production.deployment is not None and production.deployment.id == mitigation.action.target
    if job is None:
        return _judge_without_job(turn, mitigation, age_seconds=age, is_on_target=is_on_target, is_stale=is_stale)
    if is_on_target and job.from_deployment not in (None, mitigation.action.expected):
        return Progress.MISAPPLIED
    match job.status:
        case AliasJobStatus.FAILED:
            return Progress.PARTIAL if is_on_target else Progress.FAILED
        case AliasJobStatus.SKIPPED if not is_on_target:
            return Progress.SKIPPED
        case AliasJobStatus.SUCCEEDED | AliasJobStatus.SKIPPED if is_on_target:
            return Progress.CONFIRMED
    return Progress.STUCK if is_stale else Progress.WAIT


def _judge_without_job(
    turn: Turn, mitigation: Mitigation, *, age_seconds: float, is_on_target: bool, is_stale: bool
) -> Progress:
    """Judge while `lastAliasRequest` shows no job of ours: it may be stale, so production itself has the word."""
    is_past_deadline = age_seconds >= turn.policy.action_deadline.total_seconds()
    if is_on_target:
        return Progress.CONFIRMED if is_past_deadline else Progress.WAIT
    if mitigation.phase is Phase.ACCEPTED:
        return Progress.STUCK if is_stale else Progress.WAIT
    return Progress.NO_TRACE if is_past_deadline else Progress.WAIT


def _send_again_or_give_up(turn: Turn) -> None:
    mitigation = _mitigation(turn)
    if turn.state.sends.get(turn.incident.suspect.id, 0) >= SENDS_MAX:
        sentence = "two requests left no trace: whether production will still move is unknown"
        return _escalate(turn, Trigger.OUTCOME_UNKNOWN, Reason.OUTCOME_UNKNOWN, sentence)
    age = turn.moment.elapsed - mitigation.decided.elapsed
    if age > turn.policy.decision_ttl.total_seconds():
        return _decide_again(turn, Reason.DECISION_EXPIRED, f"the request left no trace and is {age:.0f} s old")
    turn.change_incident(mitigation=replace(mitigation, phase=Phase.PREPARING))
    turn.say(Reason.NONE, "the request left no trace; looking once more, then sending it again")
    return turn.ask(Preflight())


def _begin_verification(turn: Turn) -> None:
    refine_suspect_counts(turn)
    incident = turn.incident
    assert incident.target is not None, "a mitigation has a target"
    finding = incident.finding
    watch = RecoveryWatch(
        since=turn.moment.at,
        limit=finding.limit,
        suspect_upper_limit=binomial.upper_limit(finding.errors, finding.requests),
    )
    turn.change_incident(recovery=watch, switched=turn.moment)
    sentence = f"production is observed on {incident.target.id}; verifying that it helped"
    turn.move(Trigger.OBSERVED_ON_TARGET, reason=Reason.NONE, sentence=sentence)


def _observe_in_phase(turn: Turn, phase: Phase, sentence: str, *, delay_seconds: float | None = None) -> None:
    """Watch what becomes of a request that may have been applied: from here on it counts as an action."""
    turn.change(last_action=LastAction(turn.moment, turn.incident.id))
    turn.change_incident(mitigation=replace(_mitigation(turn), phase=phase))
    turn.say(Reason.NONE, sentence)
    every = turn.policy.observe_every.total_seconds()
    turn.ask(ObserveProduction(every if delay_seconds is None else delay_seconds))


def _decide_again(turn: Turn, reason: Reason, sentence: str) -> None:
    turn.move(Trigger.DECIDE_AGAIN, reason=reason, sentence=f"deciding again from fresh data: {sentence}")


def _escalate(turn: Turn, trigger: Trigger, reason: Reason, sentence: str) -> None:
    target = turn.incident.target
    by_hand = f"look: vercel rollback status; by hand: vercel rollback {target.url}" if target else ""
    turn.move(trigger, reason=reason, sentence=sentence, next_step=by_hand)


def _may_be_applied_already(turn: Turn) -> bool:
    """Return whether an earlier request of this incident may have been applied."""
    action = turn.state.last_action
    return action is not None and action.incident == turn.incident.id


def _seconds_since_sent(turn: Turn) -> float:
    sent = _mitigation(turn).sent
    assert sent is not None, "it was sent"
    return turn.moment.elapsed - sent.elapsed


def _mitigation(turn: Turn) -> Mitigation:
    mitigation = turn.incident.mitigation
    assert mitigation is not None, "the incident is mitigating"
    return mitigation


def _names(job: AliasJob | None) -> str:
    return f": {', '.join(job.failed_aliases)}" if job and job.failed_aliases else ""
