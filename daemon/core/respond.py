"""From breach to authorisation: open the incident, choose the target, let the guardrails rule."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from daemon.core.action import Mitigation, Phase, RollBackAction
from daemon.core.attribution import Attribution, attribute
from daemon.core.command import ListTargets, Notify, Preflight, Severity
from daemon.core.detector import Verdict
from daemon.core.facts import Deployment, IncidentId
from daemon.core.guardrail import Case, Reason, Ruling, Strictness, strictest
from daemon.core.incident import Incident, State, Trigger
from daemon.core.judging import conclude
from daemon.core.recovery import Recovery
from daemon.core.target import NoTarget, choose_rollback_target, served_before
from daemon.core.turn import Turn
from daemon.core.verdict import advice_of, breach_of, has_say, is_healthy, onset_of

DECISIONS_MAX = 5
"""An incident that was decided so often and never carried out is a person's business."""

PROPOSABLE = frozenset({State.DETECTED, State.HELD, State.AWAITING_APPROVAL})


def decide(turn: Turn) -> None:
    """Make the tick's decision, with everything that the poll gathered already told."""
    incident = turn.state.incident
    if incident is None:
        _open_when_breaching(turn)
    elif incident.state in PROPOSABLE and _has_cleared(turn, incident):
        sentence = f"{incident.suspect.id} recovered by itself; nothing was done"
        turn.move(Trigger.BREACH_CLEARED, reason=Reason.NONE, sentence=sentence)
    elif incident.state is State.AWAITING_APPROVAL:
        _await_approval(turn, incident)
    elif incident.state is State.DETECTED and _seconds_in_state(turn) > turn.policy.decision_ttl.total_seconds():
        sentence = f"breach of {incident.suspect.id}, but Vercel does not tell what could be rolled back to"
        turn.move(Trigger.HELD_BACK, reason=Reason.TARGETS_UNKNOWN, sentence=sentence)
    elif incident.state in PROPOSABLE:
        turn.ask(ListTargets())
    elif incident.state is State.MITIGATING:
        _decide_again_when_old(turn, incident)
    elif incident.state is State.VERIFYING:
        _verify_by_deadline(turn, incident)


def _open_when_breaching(turn: Turn) -> None:
    state = turn.state
    serving = state.serving
    if serving is None:
        return turn.say(Reason.PRODUCTION_UNKNOWN, state.trouble or "nothing serves production, or it was never read")
    watch, served_since = state.watch(serving.id), state.activations[-1].at
    if watch.counted_until is None or (served_since and watch.counted_until <= served_since):
        return turn.say(Reason.NONE, f"watching: {state.trouble or f'no counts of {serving.id} since it went live'}")
    breach = breach_of(watch, turn.policy)
    if breach is None:
        if watch.healthy_until == watch.counted_until:
            turn.change(acknowledged=())
        sentence = next((one.sentence for one in watch.findings.values()), "no detector judges")
        return turn.say(Reason.NONE, f"watching: {state.trouble or sentence}")
    attribution = attribute(state, breach, turn.policy)
    if attribution.suspect.id in state.acknowledged:
        if serving.id in state.acknowledged:
            return turn.say(Reason.ACKNOWLEDGED, f"breach of {attribution.suspect.id} is in a person's hands")
        attribution = _left_to_a_person(attribution, serving)
    healthy_until = state.watch(attribution.suspect.id).healthy_until
    if any(_is_same_breach(one, attribution, healthy_until) for one in state.unacknowledged):
        sentence = f"breach of {attribution.suspect.id} is known to on-call and waits for an acknowledgement"
        return turn.say(Reason.UNACKNOWLEDGED, sentence)
    return _open(turn, attribution, serving)


def _left_to_a_person(attribution: Attribution, serving: Deployment) -> Attribution:
    """What a person took, or refused to roll back, is theirs: a release that does not end it is told, not acted on."""
    objection = f"a person took the breach of {attribution.suspect.id}, and {serving.id} does not end it"
    return replace(attribution, reason=Reason.ACKNOWLEDGED, objection=objection)


def _is_same_breach(known: Incident, attribution: Attribution, healthy_until: datetime | None) -> bool:
    """Return whether on-call was told already: of the suspect, or of the restored one that the rollback led to.

    A breach after the suspect was healthy again is another one.
    """
    if healthy_until and healthy_until > known.trail[-1].moment.at:
        return False
    if known.suspect.id == attribution.suspect.id:
        return True
    if attribution.reason is not Reason.RESTORED_DEPLOYMENT or known.target is None or known.ended is None:
        return False
    did_not_help = known.trail[-1].trigger in (Trigger.NOT_RECOVERED, Trigger.WORSE)
    onset_at = attribution.finding.onset_at
    was_told = did_not_help or (onset_at is not None and onset_at < known.ended.at)
    return known.target.id == attribution.suspect.id and was_told


def _open(turn: Turn, attribution: Attribution, serving: Deployment) -> None:
    suspect, finding = attribution.suspect, attribution.finding
    incident = Incident(
        id=IncidentId(f"inc_{turn.moment.at:%Y%m%dT%H%M%S}_{suspect.id.removeprefix('dpl_')[:10]}"),
        suspect=suspect,
        serving=serving.id,
        finding=finding,
        opened=turn.moment,
    )
    turn.change(incident=incident)
    turn.say(Reason.NONE, f"breach of {suspect.id}: {finding.sentence}")
    if attribution.objection:
        sentence = f"{attribution.objection}, so a rollback is not the cure: {finding.sentence}"
        return turn.move(Trigger.DENIED, reason=attribution.reason, sentence=sentence)
    advice = advice_of(turn.state.watch(suspect.id), turn.policy)
    added = f"; {advice.sentence}" if advice else ""
    turn.tell(State.DETECTED, f"breach of {suspect.id}: {finding.sentence}{added}")
    return turn.ask(ListTargets())


def _has_cleared(turn: Turn, incident: Incident) -> bool:
    """Return whether the detector now calls what serves healthy: silence or too little traffic is not enough.

    One that has left the policy, or has no say in it any more, leaves that to the others.
    """
    watch = turn.state.watch(incident.serving)
    if not has_say(incident.finding.detector, turn.policy):
        return is_healthy(watch, turn.policy)
    finding = watch.findings.get(incident.finding.detector)
    return finding is not None and finding.verdict is Verdict.HEALTHY


def _await_approval(turn: Turn, incident: Incident) -> None:
    assert incident.approval_asked is not None, "approval was asked for"
    age = turn.moment.elapsed - incident.approval_asked.elapsed
    if age >= turn.policy.approval_ttl.total_seconds():
        what = "the approval was not used" if incident.approved_by else "nobody approved"
        sentence = f"{what} within {age / 60:.0f} min; nothing was done"
        turn.move(Trigger.APPROVAL_EXPIRED, reason=Reason.APPROVAL_EXPIRED, sentence=sentence)
    elif incident.approved_by:
        turn.ask(ListTargets())


def _seconds_in_state(turn: Turn) -> float:
    incident = turn.incident
    since = incident.trail[-1].moment if incident.trail else incident.opened
    return turn.moment.elapsed - since.elapsed


def _decide_again_when_old(turn: Turn, incident: Incident) -> None:
    """An action that is still being prepared when its decision has expired will not be sent: decide again."""
    mitigation = incident.mitigation
    assert mitigation is not None, "a mitigating incident has an action"
    age = turn.moment.elapsed - mitigation.decided.elapsed
    if mitigation.phase is Phase.PREPARING and age > turn.policy.decision_ttl.total_seconds():
        sentence = f"deciding again from fresh data: the decision is {age:.0f} s old and nothing could be sent"
        turn.move(Trigger.DECIDE_AGAIN, reason=Reason.DECISION_EXPIRED, sentence=sentence)


def _verify_by_deadline(turn: Turn, incident: Incident) -> None:
    assert incident.switched is not None, "verification has begun"
    assert incident.recovery is not None, "verification has begun"
    if turn.moment.elapsed - incident.switched.elapsed >= turn.policy.verification_deadline.total_seconds():
        return conclude(turn, incident.recovery, Recovery.UNVERIFIED)
    watch = incident.recovery
    return turn.say(
        Reason.NONE,
        f"verifying: {watch.errors} of {watch.requests} requests failed since the switch, "
        f"{watch.requests_min} needed to tell",
    )


def propose(turn: Turn, candidates: Sequence[Deployment]) -> None:
    """Choose the target among *candidates* and let the guardrails rule on going there."""
    incident = turn.state.incident
    if incident is None or incident.state not in PROPOSABLE:
        return
    target = choose_rollback_target(
        candidates,
        suspect=incident.suspect,
        serving=incident.serving,
        activations=turn.state.activations,
        known_bad=turn.state.known_bad,
        alias_job=turn.state.production.alias_job if turn.state.production else None,
    )
    if isinstance(target, NoTarget):
        turn.move(Trigger.DENIED, reason=Reason.NO_TARGET, sentence=f"no eligible target: {target.sentence}")
        return
    if incident.target is not None and incident.target.id != target.id:
        # What a person approved was going to another deployment.
        turn.change_incident(approved_by=None, approval_asked=None)
    turn.change_incident(target=target)
    _apply_ruling(turn, target, rule(turn, target))


def rule(turn: Turn, target: Deployment) -> Ruling:
    """Return the strictest ruling on rolling back to *target* now; a person's approval answers a demand for one."""
    incident, state = turn.incident, turn.state
    assert state.production is not None, "production was read before an incident could open"
    action, counted = state.last_action, state.watch(incident.serving).counted
    case = Case(
        posture=turn.policy.posture,
        suspect=incident.suspect,
        target=target,
        is_target_on_record=target.id in served_before(incident.suspect, state.activations, state.production.alias_job),
        production=state.production,
        moment=turn.moment,
        paused_by=state.paused.by if state.paused else None,
        hold_seconds_left=state.hold.until - turn.moment.elapsed if state.hold else 0.0,
        hold_sentence=state.hold.sentence if state.hold else "",
        platform_seconds_left=state.platform.until - turn.moment.elapsed if state.platform else 0.0,
        platform_sentence=state.platform.sentence if state.platform else "",
        was_platform_suspected=incident.platform_suspected,
        sends=state.sends.get(incident.suspect.id, 0),
        was_rolled_back=incident.suspect.id in state.rolled_back,
        last_action_age_seconds=(
            turn.moment.elapsed - action.moment.elapsed if action and action.incident != incident.id else None
        ),
        counts_age_seconds=counted.age_seconds(turn.moment) if counted else None,
        alias_job_age_seconds=state.alias_job.age_seconds(turn.moment) if state.alias_job else 0.0,
        alias_job_stale_after=turn.policy.alias_job_stale_after,
        signal=state.signal,
    )
    ruling = strictest([_rule_on_production(turn), *(guardrail.rule(case) for guardrail in turn.policy.guardrails)])
    if ruling.strictness is Strictness.REQUIRE_APPROVAL and incident.approved_by:
        return Ruling.allow()
    return ruling


def _rule_on_production(turn: Turn) -> Ruling:
    """Hold while production does not show what the incident is about."""
    serving = turn.state.serving
    if serving is not None and serving.id == turn.incident.serving:
        return Ruling.allow()
    seen = f"{serving.id} serves production" if serving else "nothing serves production as far as can be read"
    return Ruling.hold(Reason.PRODUCTION_UNKNOWN, f"{seen}, not {turn.incident.serving}")


def _apply_ruling(turn: Turn, target: Deployment, ruling: Ruling) -> None:
    incident = turn.incident
    by_hand = f"by hand: vercel rollback {target.url}"
    would = f"would roll {_what_serves(incident)} back to {target.id}; {ruling.sentence}; {incident.finding.sentence}"
    match ruling.strictness:
        case Strictness.ALLOW:
            _authorize(turn, target)
        case Strictness.DENY:
            turn.move(Trigger.DENIED, reason=ruling.reason, sentence=would, next_step=by_hand)
        case Strictness.HOLD:
            turn.change_incident(approved_by=None)
            if incident.state is not State.HELD:
                return turn.move(Trigger.HELD_BACK, reason=ruling.reason, sentence=would, next_step=by_hand)
            turn.change_incident(reason=ruling.reason)
            turn.say(ruling.reason, f"held: {would}")
            _page_when_held_long(turn, f"still held: {would}", next_step=by_hand)
        case Strictness.REQUIRE_APPROVAL:
            turn.say(ruling.reason, f"awaiting approval: {would}")
            step = f"lastgood approve {turn.state.project}, or {by_hand}"
            if incident.state is not State.AWAITING_APPROVAL:
                turn.change_incident(approval_asked=turn.moment)
                turn.move(Trigger.APPROVAL_REQUIRED, reason=ruling.reason, sentence=would, next_step=step)
            elif incident.approval_asked is None:
                turn.change_incident(approval_asked=turn.moment)
                turn.tell(State.AWAITING_APPROVAL, f"the target changed: {would}", next_step=step)
    return None


def _page_when_held_long(turn: Turn, sentence: str, *, next_step: str) -> None:
    """Page once for a hold that was expected to pass within seconds, and does not."""
    is_long = _seconds_in_state(turn) > turn.policy.decision_ttl.total_seconds()
    if is_long and not turn.incident.is_paged:
        turn.page(sentence, next_step=next_step)


def _authorize(turn: Turn, target: Deployment) -> None:
    incident = turn.incident
    number = sum(one.trigger is Trigger.AUTHORIZED for one in incident.trail) + 1
    if number > DECISIONS_MAX:
        sentence = f"decided {DECISIONS_MAX} times to roll back to {target.id}, and never could: somebody must look"
        step = f"by hand: vercel rollback {target.url}"
        return turn.move(Trigger.DENIED, reason=Reason.DECISION_EXPIRED, sentence=sentence, next_step=step)
    action = RollBackAction(
        key=f"{incident.id}/{number}", suspect=incident.suspect.id, expected=incident.serving, target=target.id
    )
    earlier = incident.mitigation
    if earlier and earlier.action.target == target.id:
        # A request of an earlier decision may still be at work: what it does is ours to recognise.
        mitigation = replace(
            earlier, action=action, decided=turn.moment, phase=Phase.PREPARING, seen=turn.state.production
        )
    else:
        mitigation = Mitigation(action, decided=turn.moment, seen=turn.state.production)
    turn.change_incident(mitigation=mitigation)
    _warn_of_stuck_job(turn)
    sentence = f"rolling {_what_serves(incident)} back to {target.id}: {incident.finding.sentence}"
    turn.move(Trigger.AUTHORIZED, reason=Reason.NONE, sentence=sentence)
    return turn.ask(Preflight())


def _what_serves(incident: Incident) -> str:
    """Return what a rollback replaces, and the suspect where that is another deployment."""
    if incident.serving == incident.suspect.id:
        return incident.serving
    return f"{incident.serving} (errors began with {incident.suspect.id} and did not stop)"


def _warn_of_stuck_job(turn: Turn) -> None:
    """Page for an alias job that does not end: the guardrails hold for a young one, and no longer for this."""
    job = turn.state.production.alias_job if turn.state.production else None
    if job and job.status.is_running:
        sentence = f"a {job.type} to {job.to_deployment} has been {job.status} since {job.requested_at:%H:%M:%S} UTC"
        next_step = "look: vercel rollback status; we go on without waiting for it"
        turn.ask(Notify(turn.incident.id, Severity.PAGE, f"{turn.state.project}: alias job stuck", sentence, next_step))


def expire_pause(turn: Turn) -> None:
    """Lift a pause whose time is over."""
    paused = turn.state.paused
    if paused and paused.until is not None and turn.moment.elapsed >= paused.until:
        turn.change(paused=None)


def refine_suspect_counts(turn: Turn) -> None:
    """Take the suspect's newest counts into the incident, whose limit stays frozen."""
    incident = turn.incident
    newest = onset_of(turn.state.watch(incident.suspect.id), turn.policy)
    if newest and (newest.limit, newest.route) == (incident.finding.limit, incident.finding.route):
        turn.change_incident(finding=replace(incident.finding, requests=newest.requests, errors=newest.errors))
