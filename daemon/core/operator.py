"""What people ask for. A human always wins: these are taken before anything is decided."""

from daemon.core.command import ListTargets
from daemon.core.event import OperatorRequested, OperatorVerb
from daemon.core.guardrail import Reason
from daemon.core.incident import Incident, State, Trigger
from daemon.core.state import Pause
from daemon.core.turn import Turn


def obey(turn: Turn, event: OperatorRequested) -> None:
    """Do what a person asked for, or say why it does not apply."""
    match event.verb:
        case OperatorVerb.PAUSE:
            until = None if event.for_seconds is None else turn.moment.elapsed + event.for_seconds
            turn.change(paused=Pause(event.by, event.reason, until))
            turn.say(Reason.PAUSED, f"paused by {event.by}: {event.reason or 'no reason given'}")
        case OperatorVerb.RESUME:
            turn.change(paused=None, hold=None)
            turn.say(Reason.NONE, f"resumed by {event.by}")
        case OperatorVerb.APPROVE:
            _approve(turn, event)
        case OperatorVerb.REJECT:
            _reject(turn, event)
        case OperatorVerb.ACKNOWLEDGE:
            _acknowledge(turn, event)


def _awaits(turn: Turn, event: OperatorRequested) -> bool:
    incident = turn.state.incident
    if incident and incident.state is State.AWAITING_APPROVAL and event.incident in (None, incident.id):
        return True
    turn.say(Reason.NONE, f"{event.by} asked to {event.verb}, but nothing awaits an approval")
    return False


def _approve(turn: Turn, event: OperatorRequested) -> None:
    if _reopens_expired(turn, event):
        return
    if _awaits(turn, event):
        turn.change_incident(approved_by=event.by)
        turn.say(Reason.NONE, f"approved by {event.by}; ruling once more")
        turn.ask(ListTargets())


def _reopens_expired(turn: Turn, event: OperatorRequested) -> bool:
    """Close an incident whose approval came too late, so that the next tick decides from fresh data and asks again."""
    expired = [one for one in turn.state.unacknowledged if one.reason is Reason.APPROVAL_EXPIRED]
    late = [one for one in expired if event.incident in (None, one.id)]
    if turn.state.incident is not None or not late:
        return False
    _close(turn, late, f"approved too late by {event.by}")
    turn.say(Reason.NONE, f"{event.by} approved after the approval had expired: deciding again, and asking again")
    return True


def _close(turn: Turn, taken: list[Incident], sentence: str) -> None:
    for incident in taken:
        closed = incident.move(Trigger.ACKNOWLEDGED, turn.moment, reason=Reason.NONE, sentence=sentence)
        turn.change(last_ended=closed)
    turn.change(unacknowledged=tuple(one for one in turn.state.unacknowledged if one not in taken))


def _reject(turn: Turn, event: OperatorRequested) -> None:
    if _awaits(turn, event):
        sentence = f"rejected by {event.by}: {event.reason or 'no reason given'}"
        turn.move(Trigger.REJECTED, reason=Reason.REJECTED, sentence=sentence)


def _acknowledge(turn: Turn, event: OperatorRequested) -> None:
    taken = [one for one in turn.state.unacknowledged if event.incident in (None, one.id)]
    if not taken:
        return turn.say(Reason.NONE, f"{event.by} asked to acknowledge, but nothing waits for it")
    _close(turn, taken, f"acknowledged by {event.by}")
    theirs = {deployment for one in taken for deployment in (one.suspect.id, one.serving)}
    turn.change(acknowledged=tuple(sorted({*turn.state.acknowledged, *theirs})))
    return turn.say(Reason.NONE, f"{len(taken)} acknowledged by {event.by}")
