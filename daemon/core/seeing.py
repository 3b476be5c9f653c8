"""How well a project is seen: what could be read, how old it is, and whom to tell when nobody watches any more."""

import math
from dataclasses import replace
from datetime import timedelta

from daemon.core.command import Notify, Severity
from daemon.core.event import ReadFailed, ReadTarget, SamplesObserved
from daemon.core.facts import IncidentId, Instant
from daemon.core.guardrail import Reason
from daemon.core.policy import Policy
from daemon.core.signal import Signal, SignalReason, SignalState
from daemon.core.state import ProjectState, Unread
from daemon.core.turn import Turn

POLLS_UNREAD_MAX = 3
"""So many polls in a row without an answer, and nobody can say what visitors get."""

SILENT_REQUESTS = 50.0
"""Where so many requests are missing, by what came of late, silence is no quiet hour."""
SILENT_FOR_MAX = timedelta(hours=24)
"""A silence that has lasted so long is how it is now."""
_TRAFFIC_MINUTES = 30.0
"""How fast the usual traffic is learned and forgotten, in minutes of counted time."""

_DOUBTS = (SignalReason.WITNESS_ONLY, SignalReason.DISAGREEING)
"""Troubles that make a person necessary, the worse one last."""
_TOLD_OF = {ReadTarget.PRODUCTION: "which deployment serves production", ReadTarget.SAMPLES: "error rates"}


def note_failed_read(turn: Turn, event: ReadFailed) -> None:
    """Remember since when, and for how many polls, something cannot be read."""
    if event.what not in _TOLD_OF:
        return
    known = turn.state.unread.get(event.what) or Unread(turn.moment, event.reason, event.sentence)
    newest = replace(known, reason=event.reason, sentence=event.sentence)
    turn.change(unread={**turn.state.unread, event.what: newest})


def note_read(turn: Turn, what: ReadTarget) -> None:
    """Remember that *what* can be read."""
    if what in turn.state.unread:
        turn.change(unread={one: trouble for one, trouble in turn.state.unread.items() if one is not what})


def note_counts(turn: Turn, event: SamplesObserved) -> None:
    """Remember which sources had trouble beside the one that counted, and when visitors were last counted."""
    note_read(turn, ReadTarget.SAMPLES)
    is_witnessed = any(one.reason is SignalReason.WITNESS_ONLY for one in event.troubles)
    has_traffic = any(one.has_traffic for one in event.samples)
    turn.change(
        troubles=event.troubles,
        witnessed=turn.moment if is_witnessed else turn.state.witnessed,
        counted=turn.moment if has_traffic else turn.state.counted,
        traffic=_usual_traffic(turn.state, event),
    )


def _usual_traffic(state: ProjectState, event: SamplesObserved) -> float:
    """Return the requests a minute as of late, an exponential mean over counted time; unchanged where none is known."""
    fresh = [one for one in event.samples if not one.is_late]
    since = state.samples_until or min((one.start for one in fresh), default=event.complete_until)
    minutes = (event.complete_until - since).total_seconds() / 60
    if minutes <= 0 or any(one.requests is None for one in fresh):
        return state.traffic
    kept = math.exp(-minutes / _TRAFFIC_MINUTES)
    return kept * state.traffic + (1 - kept) * sum(one.requests or 0 for one in fresh) / minutes


def rule_signal(turn: Turn) -> None:
    """Judge how well the project is seen at the end of a poll."""
    # Polls are counted, not reads: webhooks may wake a project many times between two of them.
    if turn.state.unread:
        turn.change(unread={what: replace(one, polls=one.polls + 1) for what, one in turn.state.unread.items()})
    looks = (
        _rule_on_lost_reads,
        _rule_on_old_look,
        _rule_on_lag,
        _rule_on_silence,
        _rule_on_doubts,
        _rule_on_failed_reads,
        _rule_on_gap,
        _rule_on_troubles,
        _rule_on_traffic,
    )
    signal = next((one for one in (look(turn) for look in looks) if one), _observing(turn))
    known = turn.state.signal
    if known and known.state is signal.state and known.since.elapsed < signal.since.elapsed:
        signal = replace(signal, since=known.since)
    turn.change(signal=signal, cycle_ended=turn.moment)


def _observing(turn: Turn) -> Signal:
    until = turn.state.samples_until
    if until is None:
        return Signal(SignalState.DEGRADED, SignalReason.NOT_POLLED, "nothing was counted yet", turn.moment)
    sentence = f"{turn.state.source} counts up to {until:%H:%M:%S} UTC"
    return Signal(SignalState.OBSERVING, SignalReason.NONE, sentence, turn.moment)


def _rule_on_lost_reads(turn: Turn) -> Signal | None:
    """Blind after so many polls in a row without an answer, since the first of them."""
    lost = [one for one in turn.state.unread.values() if one.polls >= POLLS_UNREAD_MAX]
    first = min(lost, key=lambda one: one.since.elapsed, default=None)
    return Signal(SignalState.BLIND, first.reason, _unread_sentence(turn), first.since) if first else None


def _rule_on_old_look(turn: Turn) -> Signal | None:
    """Blind while nobody looks which deployment serves, as when the sweep of a fleet has stopped."""
    seen, limit = turn.state.production_seen, turn.policy.lag_max.total_seconds()
    age = turn.moment.elapsed - seen.elapsed if seen else 0.0
    if age <= limit:
        return None
    sentence = f"which deployment serves was last read {age:.0f} s ago, {limit:.0f} s allowed"
    return Signal(SignalState.BLIND, SignalReason.NOT_POLLED, sentence, turn.moment)


def _rule_on_lag(turn: Turn) -> Signal | None:
    """Blind while counts come, and are too old to tell of now."""
    age, lag_max = _counts_age_seconds(turn), turn.policy.lag_max.total_seconds()
    if age <= lag_max or _is_quiet(turn):
        return None
    sentence = f"the newest complete counts are {age:.0f} s old, {lag_max:.0f} s allowed"
    return Signal(SignalState.BLIND, SignalReason.LAGGING, sentence, turn.moment)


def _rule_on_silence(turn: Turn) -> Signal | None:
    """Blind while a busy site counts nobody: source or site is broken, and nobody can tell which."""
    counted = turn.state.counted
    if counted is None or _counts_age_seconds(turn) <= turn.policy.lag_max.total_seconds():
        return None
    silent = turn.moment.elapsed - counted.elapsed
    is_missed = turn.state.traffic * silent / 60 >= SILENT_REQUESTS
    if not is_missed or silent <= turn.policy.lag_max.total_seconds() or silent > SILENT_FOR_MAX.total_seconds():
        return None
    usual = f"{turn.state.traffic:.0f} a minute were usual"
    sentence = f"{turn.state.source} has counted nobody for {silent:.0f} s, where {usual}"
    return Signal(SignalState.BLIND, SignalReason.NO_TRAFFIC, sentence, counted)


def _rule_on_failed_reads(turn: Turn) -> Signal | None:
    first = min(turn.state.unread.values(), key=lambda one: one.since.elapsed, default=None)
    return Signal(SignalState.DEGRADED, first.reason, _unread_sentence(turn), turn.moment) if first else None


def _rule_on_gap(turn: Turn) -> Signal | None:
    """A long pause between two polls: the machine slept, or everything hung."""
    ended = turn.state.cycle_ended
    gap = turn.moment.elapsed - ended.elapsed if ended else 0.0
    if gap <= turn.policy.poll_gap_max.total_seconds():
        return None
    sentence = f"nothing was read for {gap:.0f} s before this poll"
    return Signal(SignalState.DEGRADED, SignalReason.NOT_POLLED, sentence, turn.moment)


def _rule_on_doubts(turn: Turn) -> Signal | None:
    """What makes a person necessary names the reason, whatever else is wrong; what a witness saw stays in doubt."""
    doubts = [one for one in turn.state.troubles if one.reason in _DOUBTS]
    if doubts:
        worst = max(doubts, key=lambda one: _DOUBTS.index(one.reason))
        return Signal(SignalState.DEGRADED, worst.reason, _sentence(turn), turn.moment)
    seen, window = turn.state.witnessed, turn.policy.attribution_window.total_seconds()
    if seen is None or turn.moment.elapsed - seen.elapsed > window:
        return None
    sentence = f"counts of the last {turn.moment.elapsed - seen.elapsed:.0f} s rest on a witness in part"
    return Signal(SignalState.DEGRADED, SignalReason.WITNESS_ONLY, sentence, turn.moment)


def _rule_on_troubles(turn: Turn) -> Signal | None:
    troubles = turn.state.troubles
    return Signal(SignalState.DEGRADED, troubles[0].reason, _sentence(turn), turn.moment) if troubles else None


def _sentence(turn: Turn) -> str:
    return "; ".join(f"{one.source}: {one.sentence}" for one in turn.state.troubles)


def _rule_on_traffic(turn: Turn) -> Signal | None:
    age = _counts_age_seconds(turn)
    if age <= turn.policy.lag_max.total_seconds():
        return None
    sentence = f"{turn.state.source} has counted nobody for {age:.0f} s"
    return Signal(SignalState.DEGRADED, SignalReason.NO_TRAFFIC, sentence, turn.moment)


def _counts_age_seconds(turn: Turn) -> float:
    """Return the age of the watermark; 0 before there is one."""
    until = turn.state.samples_until
    return (turn.moment.at - until).total_seconds() if until else 0.0


def _is_quiet(turn: Turn) -> bool:
    """Return whether no visitor was counted for as long as counts may be old: then old counts are no lag."""
    counted = turn.state.counted
    return counted is None or turn.moment.elapsed - counted.elapsed > turn.policy.lag_max.total_seconds()


def _unread_sentence(turn: Turn) -> str:
    parts = []
    for what, trouble in turn.state.unread.items():
        age = turn.moment.elapsed - trouble.since.elapsed
        parts.append(f"{_TOLD_OF[what]} could not be read for {age:.0f} s: {trouble.sentence}")
    return "; ".join(parts)


def tell_of_blindness(turn: Turn) -> None:
    """Page once when a project has been blind for too long, and tell the same people when it sees again."""
    signal = turn.state.signal
    assert signal is not None, "the signal was just ruled on"
    if signal.state is not SignalState.BLIND:
        if turn.state.is_blindness_paged:
            turn.change(is_blindness_paged=False)
            _tell(turn, Severity.NOTICE, "sees again", signal.sentence)
        return
    if turn.state.incident is None:
        turn.say(Reason.BLIND, f"blind: {signal.sentence}")
    age = turn.moment.elapsed - signal.since.elapsed
    if age >= turn.policy.blind_after.total_seconds() and not turn.state.is_blindness_paged:
        turn.change(is_blindness_paged=True)
        sentence = f"nobody has been watching for {age / 60:.0f} min: {signal.sentence}"
        _tell(turn, Severity.PAGE, "blind", sentence, "check the token, the plan and Vercel's status page")


def _tell(turn: Turn, severity: Severity, title: str, sentence: str, next_step: str = "") -> None:
    turn.ask(Notify(IncidentId("daemon"), severity, f"{turn.state.project}: {title}", sentence, next_step))


def wants_routes(policy: Policy) -> bool:
    """Return whether counts are worth telling apart by route."""
    return any(detector.wants_routes for detector in policy.detectors)


def wants_close_up(state: ProjectState, policy: Policy, moment: Instant) -> bool:
    """Return whether the finest counts are worth their requests: something went live lately, or an incident is live."""
    newest = state.activations[-1].at if state.activations else None
    return state.incident is not None or (newest is not None and moment.at - newest < policy.attribution_window)


def wants_kinds(policy: Policy) -> bool:
    """Return whether a detector asks what the errors say."""
    return any(detector.wants_kinds for detector in policy.detectors)
