"""Reads that keep failing: a blind daemon does nothing, and somebody must know that nobody watches."""

from dataclasses import replace

from daemon.core.command import Notify, Severity
from daemon.core.event import ReadTarget
from daemon.core.facts import IncidentId
from daemon.core.guardrail import Reason
from daemon.core.state import Blindness
from daemon.core.turn import Turn

_TOLD_OF = {ReadTarget.PRODUCTION: "which deployment serves production", ReadTarget.SAMPLES: "error rates"}


def note_failed_read(turn: Turn, what: ReadTarget, sentence: str) -> None:
    """Remember since when *what* cannot be read."""
    if what in _TOLD_OF:
        known = turn.state.blind.get(what) or Blindness(turn.moment, sentence)
        turn.change(blind={**turn.state.blind, what: replace(known, sentence=sentence)})


def note_read(turn: Turn, what: ReadTarget) -> None:
    """Remember that *what* can be read, and tell those who were paged because it could not."""
    known = turn.state.blind.get(what)
    if known is None:
        return
    turn.change(blind={one: trouble for one, trouble in turn.state.blind.items() if one is not what})
    if known.is_paged:
        _tell(turn, Severity.NOTICE, "sees again", f"{_TOLD_OF[what]} can be read again")


def page_when_blind(turn: Turn) -> None:
    """Page once for what could not be read for too long."""
    limit = turn.policy.blind_after.total_seconds()
    for what, trouble in turn.state.blind.items():
        age = turn.moment.elapsed - trouble.since.elapsed
        if age < limit:
            continue
        sentence = f"{_TOLD_OF[what]} could not be read for {age / 60:.0f} min, so nobody watches: {trouble.sentence}"
        turn.say(Reason.BLIND, f"blind: {sentence}")
        if not trouble.is_paged:
            turn.change(blind={**turn.state.blind, what: replace(trouble, is_paged=True)})
            _tell(turn, Severity.PAGE, "blind", sentence, "check the token, the plan and Vercel's status page")
        return


def _tell(turn: Turn, severity: Severity, title: str, sentence: str, next_step: str = "") -> None:
    turn.ask(Notify(IncidentId("daemon"), severity, f"{turn.state.project}: {title}", sentence, next_step))
