"""Whatever happens, in whatever order: the promises that no story may break, and that every story can be ended."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.action import SENDS_MAX
from daemon.core.command import ListTargets, ObserveProduction, Preflight, RollBack
from daemon.core.event import (
    Event,
    OperatorVerb,
    PreflightRead,
    ReadFailed,
    ReadTarget,
    Resumed,
    RollbackAccepted,
    RollbackOutcomeUnknown,
    RollbackRateLimited,
    RollbackRefused,
    RollbackUnsent,
)
from daemon.core.facts import AliasJobStatus, AliasJobType
from daemon.core.guardrail import Posture
from daemon.core.incident import TRANSITIONS, Incident, State, Trigger
from daemon.core.policy import Policy
from daemon.core.state import ProjectState
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    OLD,
    Playbook,
    a_breached_playbook,
    a_deciding_playbook,
    a_policy,
    a_released_playbook,
    a_sent_playbook,
    a_switched_playbook,
    an_accepted_playbook,
)

EVERYBODY = (BAD, GOOD, OLD, FIX)
POLICIES = {posture: a_policy(posture) for posture in Posture}


class Witness(Playbook):
    """A playbook that checks the promises after every event."""

    def _tell(self, event: Event) -> "Witness":
        before, told = self.state, len(self.log)
        super()._tell(event)
        for command in self.log[told:]:
            if isinstance(command, RollBack):
                check_rollback(command, event, before, self.policy)
        check_state(self.state)
        return self


def check_rollback(command: RollBack, event: Event, before: ProjectState, policy: Policy) -> None:
    """A rollback follows a look in the same step, leads away from what serves, and nowhere known to be bad."""
    assert isinstance(event, PreflightRead)
    assert event.production.deployment is not None
    assert event.production.deployment.id == command.action.expected != command.action.target
    assert command.action.target != command.action.suspect
    assert command.action.target not in {bad.deployment for bad in before.known_bad}
    assert before.sends.get(command.action.suspect, 0) < SENDS_MAX
    assert command.action.suspect not in before.rolled_back
    assert policy.posture is not Posture.OBSERVE
    assert before.paused is None
    assert before.incident is not None
    assert before.incident.state is State.MITIGATING
    assert policy.posture is Posture.AUTOMATIC or before.incident.approved_by == "ann"


def check_state(state: ProjectState) -> None:
    """Incidents lie where their state belongs, and came there by the table."""
    assert state.incident is None or state.incident.state.is_live
    assert all(one.state is State.ESCALATED for one in state.unacknowledged)
    suspects = Counter(one.suspect.id for one in state.unacknowledged)
    assert all(count == 1 for count in suspects.values())
    for incident in (state.incident, state.last_ended, *state.unacknowledged):
        if incident is not None:
            check_trail(incident)


def check_trail(incident: Incident) -> None:
    """Each transition is in the table and begins where the one before ended."""
    for step in incident.trail:
        assert TRANSITIONS[step.source, step.trigger] is step.target
    for earlier, later in zip(incident.trail, incident.trail[1:], strict=False):
        assert earlier.target is later.source
    assert not incident.trail or incident.trail[-1].target is incident.state


def somebody_moves(play: Playbook, index: int) -> None:
    kind = (AliasJobType.PROMOTE, AliasJobType.ROLLBACK, None)[index % 3]
    deployment = EVERYBODY[index % 4]
    if kind:
        play.job(deployment, type=kind, from_deployment=(BAD.id, FIX.id, None)[index % 3])
    play.serves(deployment)


def vercel_works(play: Playbook, index: int) -> None:
    incident = play.state.incident
    if incident is None or incident.mitigation is None:
        return
    target = next(one for one in EVERYBODY if one.id == incident.mitigation.action.target)
    left = play.world.deployment.id if play.world.deployment else None
    play.job(target, status=list(AliasJobStatus)[index % 5], from_deployment=left)
    if index % 2:
        play.serves(target)


def the_policy_changes(play: Playbook, index: int) -> None:
    play.policy = POLICIES[list(Posture)[index % 3]]


def minutes_pass(play: Playbook, index: int) -> None:
    serving = play.world.deployment or GOOD
    play.minutes(serving, (0.0, 0.3, 1.0)[index % 3], 1 + index % 3, requests=(0, 10, 200, 200)[index % 4])


def operator_speaks(play: Playbook, index: int) -> None:
    play.operator(list(OperatorVerb)[index % 5], for_seconds=(None, 60.0)[index % 2])


def a_read_fails(play: Playbook, index: int) -> None:
    play.happens(ReadFailed, what=list(ReadTarget)[index % 4], sentence="unread")


def targets_come(play: Playbook, index: int) -> None:
    play.targets = (EVERYBODY, (BAD, GOOD), (OLD,), ())[index % 4]
    play.targets_listed()


def an_answer_is_lost(play: Playbook, _index: int) -> None:
    play.happens(RollbackOutcomeUnknown, sentence="?")


def vercel_refuses(play: Playbook, index: int) -> None:
    play.happens(RollbackRefused, status=(403, 409, 422)[index % 3], sentence="no")


def the_obvious_happens(play: Playbook, _index: int) -> None:
    answer(play)


ALPHABET: tuple[Callable[[Playbook, int], object], ...] = (
    minutes_pass,
    minutes_pass,
    the_obvious_happens,
    the_obvious_happens,
    targets_come,
    somebody_moves,
    vercel_works,
    the_policy_changes,
    operator_speaks,
    a_read_fails,
    an_answer_is_lost,
    vercel_refuses,
    lambda play, _: play.preflight(),
    lambda play, _: play.production(),
    lambda play, _: play.happens(RollbackAccepted),
    lambda play, index: play.happens(RollbackRateLimited, retry_after_seconds=float(index * 10)),
    lambda play, _: play.happens(RollbackUnsent, sentence="no connection"),
    lambda play, _: play.happens(Resumed),
    lambda play, index: play.after(index * 30),
    lambda play, _: play.serves(None),
)
LETTERS = st.tuples(st.integers(0, len(ALPHABET) - 1), st.integers(0, 11))
BEGINNINGS = (
    a_released_playbook,
    a_breached_playbook,
    a_deciding_playbook,
    a_sent_playbook,
    an_accepted_playbook,
    a_switched_playbook,
    lambda: a_breached_playbook(POLICIES[Posture.OBSERVE]).targets_listed(),
    lambda: a_breached_playbook(POLICIES[Posture.APPROVE]).targets_listed(),
)
Story = tuple[Callable[[], Playbook], list[tuple[int, int]]]
STORIES = st.tuples(st.sampled_from(BEGINNINGS), st.lists(LETTERS, min_size=8, max_size=40))


def answer(play: Playbook) -> None:
    """Answer the newest question as a well-behaved world does."""
    for command in list(play.asked):
        match command:
            case ListTargets():
                play.targets_listed()
            case Preflight(delay_seconds=delay):
                play.after(delay).preflight()
            case RollBack(action=action):
                target = next(one for one in EVERYBODY if one.id == action.target)
                play.happens(RollbackAccepted).job(target, from_deployment=action.expected).serves(target)
            case ObserveProduction(delay_seconds=delay):
                play.after(delay).production()


def told(story: Story) -> Witness:
    """Tell *story* from its beginning."""
    begin, letters = story
    return continued(begin(), letters)


def continued(start: Playbook, letters: list[tuple[int, int]]) -> Witness:
    """Tell *letters* to a witness who stands where *start* does."""
    play = Witness(
        policy=start.policy, state=start.state, world=start.world, seconds=start.seconds, asked=list(start.asked)
    )
    for letter, index in letters:
        ALPHABET[letter](play, index)
    return play


def calm(play: Witness) -> None:
    """Let the world behave: reads work, requests are carried out, whatever is bad stays bad, nobody pauses."""
    play.policy, play.targets = POLICIES[Posture.AUTOMATIC], EVERYBODY
    play.operator(OperatorVerb.RESUME).happens(Resumed)
    if play.world.deployment is None:
        play.serves(GOOD)
    for _ in range(60):
        for _ in range(5):
            answer(play)
        incident, serving = play.state.incident, play.world.deployment or GOOD
        is_bad = incident is not None and serving.id in (incident.suspect.id, incident.serving)
        play.minutes(serving, 0.3 if is_bad else 0.0)


@pytest.mark.slow
@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(story=STORIES)
def test_no_story_breaks_a_promise(story: Story) -> None:
    told(story)


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(story=STORIES)
def test_every_story_ends_once_the_world_is_calm(story: Story) -> None:
    play = told(story)
    calm(play)
    assert play.state.incident is None, play.sentence


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(story=STORIES)
def test_I_31_every_story_yields_to_a_person(story: Story) -> None:
    play = told(story)
    newcomer = next(one for one in EVERYBODY if play.world.deployment is None or one.id != play.world.deployment.id)
    incident = play.state.incident
    is_our_target = incident and incident.mitigation and incident.mitigation.action.target == newcomer.id
    if play.state.serving is None or play.state.serving.id == newcomer.id or is_our_target:
        return
    play.after(1).job(newcomer, type=AliasJobType.PROMOTE).serves(newcomer).production()
    assert play.state.incident is None
    if incident is not None:
        assert play.state.last_ended is not None
        assert play.state.last_ended.state is State.STOOD_DOWN


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(story=STORIES)
def test_I_28_in_posture_observe_no_story_leads_to_a_request(story: Story) -> None:
    letters = [letter for letter in story[1] if ALPHABET[letter[0]] is not the_policy_changes]
    play = continued(a_breached_playbook(POLICIES[Posture.OBSERVE]), letters)
    assert play.count(RollBack) == play.count(Preflight) == 0


@pytest.mark.slow
def test_the_stories_take_nearly_every_transition() -> None:
    taken: set[tuple[State, Trigger]] = set()

    @settings(max_examples=200, derandomize=True, database=None, deadline=None)
    @given(story=STORIES)
    def collect(story: Story) -> None:
        play = told(story)
        for incident in (play.state.incident, play.state.last_ended, *play.state.unacknowledged):
            if incident:
                taken.update((step.source, step.trigger) for step in incident.trail)

    collect()
    missing = TRANSITIONS.keys() - taken
    assert len(missing) <= len(TRANSITIONS) // 2, sorted(missing)
