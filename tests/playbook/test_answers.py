"""What Vercel answers to the request, and what the core makes of each answer."""

import pytest

from daemon.core.action import Phase
from daemon.core.command import ObserveProduction, Preflight, RollBack
from daemon.core.event import (
    Event,
    ReadFailed,
    ReadTarget,
    RollbackAccepted,
    RollbackOutcomeUnknown,
    RollbackRateLimited,
    RollbackRefused,
    RollbackUnsent,
)
from daemon.core.facts import AliasJobStatus
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from tests.builders import (
    BAD,
    GOOD,
    MINUTE,
    RollsBack,
    a_breached_playbook,
    a_deciding_playbook,
    a_policy,
    a_sent_playbook,
    an_accepted_playbook,
    notice,
    page,
)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.REFUSED),
        (401, Reason.UNAUTHORIZED),
        (402, Reason.PLAN),
        (403, Reason.FORBIDDEN),
        (404, Reason.NOT_FOUND),
        (410, Reason.REFUSED),
        (422, Reason.UNPROCESSABLE),
    ],
)
def test_I_22_a_refusal_is_terminal_and_pages_once(status: int, reason: Reason) -> None:
    play = a_sent_playbook().happens(RollbackRefused, status=status, sentence="no").expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, reason)
    play.minutes(BAD, 0.3, 5)
    assert play.count(RollBack) == 1
    assert len(play.pages) == 1
    assert "vercel rollback good.example.app" in play.pages[0].next_step


@pytest.mark.parametrize("trouble", ["timed out", "502 Bad Gateway", "connection reset"])
def test_I_22_no_trustworthy_answer_is_neither_failure_nor_success(trouble: str) -> None:
    play = a_sent_playbook().happens(RollbackOutcomeUnknown, sentence=trouble).expect(ObserveProduction(1.0))
    play.expect_state(State.MITIGATING)
    assert play.incident.mitigation is not None
    assert play.incident.mitigation.phase is Phase.UNKNOWN
    play.job().after(3).serves(GOOD).production().expect(notice(State.VERIFYING))
    assert play.count(RollBack) == 1


def test_I_22_a_conflict_is_reconciled_by_observation() -> None:
    play = a_sent_playbook().happens(RollbackRefused, status=409, sentence="in progress").expect(ObserveProduction(1.0))
    play.expect_state(State.MITIGATING)
    play.job(status=AliasJobStatus.IN_PROGRESS).after(1).production().expect(ObserveProduction(1.0))
    play.job().after(1).serves(GOOD).production().expect(notice(State.VERIFYING))


def test_I_22_a_422_after_a_request_of_unknown_fate_is_reconciled_by_observation() -> None:
    play = a_sent_playbook().happens(RollbackOutcomeUnknown, sentence="timed out")
    play.after(60).production().expect(Preflight()).preflight().expect(RollsBack(GOOD))
    play.happens(RollbackRefused, status=422, sentence="already serves").expect(ObserveProduction(1.0))
    play.after(60).serves(GOOD).production().expect(notice(State.VERIFYING))
    assert play.count(RollBack) == 2


def test_I_22_a_422_after_a_request_of_unknown_fate_pages_when_production_stays() -> None:
    play = a_sent_playbook().happens(RollbackOutcomeUnknown, sentence="timed out")
    play.after(60).production().preflight().happens(RollbackRefused, status=422, sentence="no")
    play.after(60).production().expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.OUTCOME_UNKNOWN)
    assert play.count(RollBack) == 2


def test_I_22_a_422_after_a_rate_limit_is_terminal() -> None:
    play = a_sent_playbook().happens(RollbackRateLimited, retry_after_seconds=1.0)
    play.after(1).preflight().happens(RollbackRefused, status=422, sentence="no").expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.UNPROCESSABLE)


def test_I_22_a_rate_limit_is_honoured_to_the_second() -> None:
    play = a_sent_playbook().happens(RollbackRateLimited, retry_after_seconds=20.0).expect(Preflight(20.0))
    play.after(19.5).preflight().expect(Preflight(0.5))
    play.after(0.5).preflight().expect(RollsBack(GOOD))
    assert play.count(RollBack) == 2


def test_I_22_a_rate_limit_longer_than_the_decision_lives_means_deciding_again() -> None:
    play = a_sent_playbook().happens(RollbackRateLimited, retry_after_seconds=300.0).expect(Preflight(180.0))
    play.after(181).preflight().expect(notice(State.DETECTED)).expect_state(State.DETECTED, Reason.DECISION_EXPIRED)
    assert play.count(RollBack) == 1


def test_I_22_a_second_rate_limit_ends_it() -> None:
    play = a_sent_playbook().happens(RollbackRateLimited, retry_after_seconds=1.0)
    play.after(1).preflight().expect(RollsBack(GOOD))
    play.happens(RollbackRateLimited, retry_after_seconds=1.0).expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.SENT_TWICE)


def test_a_request_that_never_left_does_not_count_and_is_tried_again() -> None:
    play = a_sent_playbook()
    for _ in range(5):
        play.happens(RollbackUnsent, sentence="no connection").expect(Preflight(5.0))
        assert play.state.sends == {BAD.id: 0}
        play.after(5).preflight().expect(RollsBack(GOOD))
    play.happens(RollbackAccepted).expect(ObserveProduction(1.0))
    assert play.state.sends == {BAD.id: 1}


def test_a_request_that_cannot_leave_is_decided_again_when_the_decision_has_aged() -> None:
    play = a_sent_playbook().happens(RollbackUnsent, sentence="the lease is lost")
    play.after(181).preflight().expect(notice(State.DETECTED)).expect_state(State.DETECTED, Reason.DECISION_EXPIRED)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (RollbackAccepted, {}),
        (RollbackRefused, {"status": 403, "sentence": "no"}),
        (RollbackRateLimited, {"retry_after_seconds": 1.0}),
        (RollbackUnsent, {"sentence": "no"}),
        (RollbackOutcomeUnknown, {"sentence": "?"}),
    ],
)
def test_an_answer_that_nobody_waits_for_changes_nothing(kind: type[Event], facts: dict[str, object]) -> None:
    for play in (a_breached_playbook(), a_deciding_playbook()):
        before = play.state
        play.happens(kind, **facts).expect()
        assert play.state == before


def test_an_acceptance_that_comes_late_stops_the_second_request() -> None:
    play = a_sent_playbook().after(60).production().expect(Preflight())
    play.happens(RollbackAccepted).expect(ObserveProduction(1.0))
    play.preflight().expect(ObserveProduction(1.0))
    assert play.count(RollBack) == 1


def test_I_23_accepted_is_not_done() -> None:
    play = an_accepted_playbook()
    for _ in range(179):
        play.after(1).production().expect(ObserveProduction(1.0))
    play.expect_state(State.MITIGATING)
    play.after(1).production().expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.JOB_STUCK)


def test_a_look_that_fails_is_repeated_and_not_for_ever() -> None:
    play = an_accepted_playbook(a_policy(verification_deadline=10 * MINUTE))
    unread = {"what": ReadTarget.PRODUCTION, "sentence": "production unread: 503"}
    play.happens(ReadFailed, **unread).expect(ObserveProduction(5.0))
    play.after(599).happens(ReadFailed, **unread).expect(ObserveProduction(5.0))
    play.after(1).happens(ReadFailed, **unread).expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.OUTCOME_UNKNOWN)


def test_a_look_before_the_request_that_fails_is_repeated() -> None:
    play = a_deciding_playbook()
    play.happens(ReadFailed, what=ReadTarget.PREFLIGHT, sentence="production unread").expect(Preflight(5.0))
    play.after(5).preflight().expect(RollsBack(GOOD))


def test_a_look_that_fails_while_nothing_is_under_way_asks_for_nothing() -> None:
    a_breached_playbook().happens(ReadFailed, what=ReadTarget.PRODUCTION, sentence="unread").expect()


def test_a_request_that_can_never_leave_becomes_a_persons_business() -> None:
    play = a_sent_playbook()
    for _ in range(60):
        play.happens(RollbackUnsent, sentence="no connection").after(100).minutes(BAD, 0.3, 2)
        if play.state.incident is None:
            break
        play.targets_listed().preflight()
    play.expect_state(State.ESCALATED, Reason.DECISION_EXPIRED)
    assert "never could" in play.ending
    assert play.state.sends == {BAD.id: 0}
