"""The one function that moves a project: `step(state, event, policy) -> (state, commands)`. Pure."""

from typing import assert_never

from daemon.core.command import Command
from daemon.core.event import (
    CycleEnded,
    Event,
    MoveTold,
    OperatorRequested,
    PastRecalled,
    PlatformSuspected,
    PreflightRead,
    ProductionObserved,
    ReadFailed,
    ReadTarget,
    Resumed,
    RollbackAccepted,
    RollbackOutcomeUnknown,
    RollbackRateLimited,
    RollbackRefused,
    RollbackUnsent,
    SamplesObserved,
    TargetsListed,
)
from daemon.core.guardrail import Reason
from daemon.core.hearsay import note_told_move
from daemon.core.judging import judge_samples, learn_past
from daemon.core.mitigation import (
    check_preflight,
    keep_observing,
    note_accepted,
    note_rate_limited,
    note_refused,
    note_unknown,
    note_unsent,
    observe,
    resume_mitigation,
)
from daemon.core.operator import obey
from daemon.core.platform import note_suspicion
from daemon.core.policy import Policy
from daemon.core.respond import decide, expire_pause, propose
from daemon.core.seeing import note_counts, note_failed_read, note_read, rule_signal, tell_of_blindness
from daemon.core.state import ProjectState
from daemon.core.turn import Turn


def step(state: ProjectState, event: Event, policy: Policy) -> tuple[ProjectState, tuple[Command, ...]]:  # noqa: PLR0912, C901 - one line an event
    """Return the state after *event*, and what is asked of the world. Raises only on bugs (assertions)."""
    turn = Turn(state, policy, event.moment)
    match event:
        case CycleEnded():
            expire_pause(turn)
            rule_signal(turn)
            decide(turn)
            tell_of_blindness(turn)
        case ProductionObserved(production=production):
            note_read(turn, ReadTarget.PRODUCTION)
            observe(turn, production)
        case SamplesObserved():
            note_counts(turn, event)
            judge_samples(turn, event)
        case MoveTold():
            note_told_move(turn, event)
        case PastRecalled():
            learn_past(turn, event)
        case PlatformSuspected():
            note_suspicion(turn, event)
        case ReadFailed():
            _note_failed_read(turn, event)
        case TargetsListed(deployments=deployments):
            propose(turn, deployments)
        case PreflightRead():
            note_read(turn, ReadTarget.PRODUCTION)
            check_preflight(turn, event)
        case RollbackAccepted():
            note_accepted(turn, event)
        case RollbackRefused():
            note_refused(turn, event)
        case RollbackRateLimited():
            note_rate_limited(turn, event)
        case RollbackUnsent():
            note_unsent(turn, event)
        case RollbackOutcomeUnknown():
            note_unknown(turn, event)
        case OperatorRequested():
            obey(turn, event)
        case Resumed():
            resume_mitigation(turn)
        case _ as never:
            assert_never(never)
    return turn.state, tuple(turn.commands)


def _note_failed_read(turn: Turn, event: ReadFailed) -> None:
    note_failed_read(turn, event)
    match event.what:
        case ReadTarget.PRODUCTION | ReadTarget.PREFLIGHT:
            keep_observing(turn, event.what)
        case ReadTarget.TARGETS:
            # Whoever waits for targets asks again at the next tick.
            turn.say(Reason.TARGETS_UNKNOWN, event.sentence)
        case ReadTarget.SAMPLES:
            pass
