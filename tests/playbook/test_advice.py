"""A new kind of error: told once, added to what a breach says, raising its severity, and never a reason to act."""

from dataclasses import replace

from daemon.core.command import ListTargets, Notify, RollBack, Severity
from daemon.core.facts import Deployment, ErrorKind
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from daemon.core.policy import Policy
from daemon.detectors.new_error import NewError
from daemon.detectors.threshold import Threshold
from tests.builders import BAD, GOOD, MINUTE, Playbook, a_policy, a_sample

BOOM = ErrorKind("k1", "TypeError: boom at handler (me.js)", 20)


def advised() -> Policy:
    return a_policy(detectors=(Threshold(breaches_min=2, windows=3), NewError(baseline_min=3 * MINUTE)))


def a_minute(play: Playbook, deployment: Deployment, *kinds: ErrorKind, errors: int) -> Playbook:
    start = play.moment.at
    play.after(60)
    return play.cycle(a_sample(deployment, start=start, requests=1_000, errors=errors, kinds=kinds))


def a_released_play(policy: Policy) -> Playbook:
    play = Playbook(policy)
    for _ in range(4):
        a_minute(play, GOOD, errors=0)
    return play.serves(BAD).production()


def notices(play: Playbook) -> list[str]:
    return [one.sentence for one in play.log if isinstance(one, Notify) and one.severity is Severity.NOTICE]


def test_a_new_kind_is_told_once_and_nothing_is_done_for_it() -> None:
    play = a_released_play(advised())
    for _ in range(10):
        a_minute(play, BAD, BOOM, errors=20)
    told = [one for one in notices(play) if "new: " in one]
    assert len(told) == 1
    assert told[0].startswith(f"{BAD.id}: new: 'TypeError: boom at handler (me.js)', 20 of 20 errors")
    assert play.state.incident is None
    assert play.count(RollBack) == play.count(ListTargets) == 0


def test_a_breach_says_what_is_new() -> None:
    play = a_released_play(advised())
    for _ in range(2):
        a_minute(play, BAD, replace(BOOM, count=200), errors=300)
    play.expect_state(State.DETECTED)
    assert any("300 of 1000 requests failed" in one and "new: 'TypeError: boom" in one for one in notices(play))


def test_a_hold_that_mostly_passes_pages_at_once_when_something_new_is_wrong() -> None:
    for kinds, is_paged in (((replace(BOOM, count=200),), True), ((), False)):
        play = a_released_play(advised())
        for _ in range(2):
            a_minute(play, BAD, *kinds, errors=300)
        play.after(1_000).production().targets_listed()
        play.expect_state(State.HELD, Reason.STALE_SAMPLES)
        pages = [one for one in play.log if isinstance(one, Notify) and one.severity is Severity.PAGE]
        assert bool(pages) is is_paged
