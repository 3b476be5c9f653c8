"""The detector as the core sees it: samples and activations in, a finding that a person can act upon out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, ActivationOrigin, ErrorRateSample
from daemon.detectors import decode_memory, encode_memory
from daemon.detectors.evidence.detector import Evidence, EvidenceMemory
from daemon.detectors.evidence.trial import Held
from tests.builders import BAD, FIX, GOOD, MINUTE, OLD, START, a_sample

POLL = timedelta(seconds=10)
FIRST = Activation(GOOD, None, ActivationOrigin.FIRST_SEEN)


def release(deployment=BAD, *, after: timedelta = timedelta(0)) -> Activation:
    return Activation(deployment, START + after, ActivationOrigin.RELEASE, not_before=START + after - MINUTE)


class Player:
    """Feeds samples of ten seconds, from two hours before START on, and restarts before every one."""

    def __init__(self, *, history: int = 720, restarts: bool = False, **knobs) -> None:
        self.detector, self.activations = Evidence(**knobs), [FIRST]
        self.memory: EvidenceMemory = self.detector.begin()
        self.now, self.restarts = START - history * POLL, restarts
        self.finding: Finding | None = None
        if history:
            self.polls(GOOD, [(100, 0)] * history)

    def polls(self, deployment, counts: Sequence[tuple[int, int]]) -> Finding:
        for requests, errors in counts:
            self.give(a_sample(deployment, start=self.now, end=self.now + POLL, requests=requests, errors=errors))
            self.now += POLL
        return self.found

    def give(self, sample: ErrorRateSample) -> Finding:
        if self.restarts:
            stored = json.loads(json.dumps(encode_memory("evidence", self.memory)))
            self.memory = decode_memory("evidence", stored)
        self.memory, self.finding = self.detector.update(self.memory, sample, self.activations)
        return self.finding

    @property
    def found(self) -> Finding:
        assert self.finding is not None
        return self.finding


def a_breach(**knobs) -> Player:
    player = Player(**knobs)
    player.activations.append(release())
    player.polls(BAD, [(100, 10)] * 12)
    return player


def test_breaches_with_the_suspect_the_onset_the_limit_and_the_counts() -> None:
    found = a_breach().found
    assert found.verdict is Verdict.BREACHING
    assert found.suspect == BAD.id
    assert (found.onset_at, found.onset_before) == (START, START + POLL)
    assert found.limit == pytest.approx(0.02)
    assert (found.requests, found.errors) == (1200, 120)
    assert all(gate.passed for gate in found.gates)
    assert found.sentence == (
        "120 of 1200 requests failed (10.0%, limit 2.0%) for 120 s, since 0 s after dpl_bad went live"
    )


def test_waits_with_the_first_failed_gate_as_the_reason_and_tells_how_long() -> None:
    player = Player()
    player.activations.append(release())
    found = player.polls(BAD, [(100, 10)] * 7)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.sentence == (
        "70 of 700 requests failed (10.0%, limit 2.0%) for 70 s; waiting: sustained 70 s of 120 s"
    )
    assert found.acts_in == timedelta(seconds=50)
    assert found.suspect is None
    found = player.polls(BAD, [(100, 0)])
    assert found.sentence.endswith("waiting: the newest bucket failed at 0.0%, 2.0% needed")
    assert found.acts_in is None


@pytest.mark.parametrize(
    ("knobs", "counts", "reason"),
    [
        ({}, [(100, 10)] * 2, "evidence 11.5 of 1000"),
        ({"min_errors": 200}, [(100, 10)] * 12, "errors 120 of 200"),
        ({"min_requests": 5000}, [(100, 10)] * 12, "requests 1200 of 5000"),
        ({}, [(100, 60)] * 5 + [(100, 3)] * 3, "the newest 30 s failed at 3.0%, 19.3% needed"),
    ],
)
def test_every_reason_is_a_sentence(knobs, counts, reason) -> None:
    player = Player(**knobs)
    player.activations.append(release())
    found = player.polls(BAD, counts)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.sentence.endswith(f"; waiting: {reason}")


def test_the_past_day_is_a_reason() -> None:
    player = Player(history=600)
    player.polls(GOOD, [(100, 60)] * 5 + [(100, 0)] * 115)
    player.activations.append(release())
    found = player.polls(BAD, [(100, 10)] * 14)
    assert found.sentence.endswith("waiting: trouble 6.6 of 12.6 nats, more than on any ordinary day")


def test_an_onset_before_the_activation_is_a_reason_while_it_is_not_certain() -> None:
    # Two errors in the last requests before it, and a fifth of the visitors since.
    player = Player(history=0)
    player.now = START - 724 * POLL
    player.polls(GOOD, [(5, 0)] * 722 + [(5, 1)] * 2)
    player.activations.append(release())
    found = player.polls(BAD, [(5, 1)] * 30)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.sentence.endswith("waiting: errors did not begin in the first 15 min of the deployment")
    assert found.onset_before == START
    assert player.polls(BAD, [(5, 1)] * 30).verdict is Verdict.BREACHING


def test_a_verdict_holds_while_the_trouble_lasts_and_ends_by_proof() -> None:
    player = a_breach()
    assert player.polls(BAD, [(100, 0)]).verdict is Verdict.BREACHING
    assert player.polls(BAD, [(100, 0)]).verdict is Verdict.BREACHING
    # 300 requests without an error prove it.
    found = player.polls(BAD, [(100, 0)])
    assert found.verdict is Verdict.HEALTHY
    assert found.onset_at is None


def test_a_release_is_healthy_by_proof_alone() -> None:
    player = Player()
    player.activations.append(release())
    assert player.polls(BAD, [(100, 0)]).verdict is Verdict.INCONCLUSIVE
    assert player.polls(BAD, [(100, 1)]).verdict is Verdict.HEALTHY
    assert player.polls(BAD, [(100, 2)]).verdict is Verdict.INCONCLUSIVE


def test_what_has_served_for_long_is_healthy_while_it_is_as_usual() -> None:
    player = Player()
    assert player.memory.docket.trials == ()
    assert player.found.verdict is Verdict.HEALTHY
    assert player.found.sentence == (
        "0 of 100 requests failed (0.0%, limit 2.0%); no deployment is on trial: nothing went live of late"
    )
    found = player.polls(GOOD, [(100, 50)] * 3)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "errors are above what is usual since 12:00:00" in found.sentence


def test_an_onset_after_the_window_is_told_with_an_onset_that_clears_the_deployment() -> None:
    player = Player()
    player.activations.append(release())
    player.polls(BAD, [(100, 0)] * 100)
    found = player.polls(BAD, [(100, 10)] * 20)
    assert found.verdict is Verdict.BREACHING
    assert found.suspect == BAD.id
    assert found.onset_at == START + 100 * POLL >= START + timedelta(minutes=15)
    assert found.sentence.endswith("errors began 17 min after dpl_bad went live: no rollback")
    assert found.acts_in is None


def test_an_onset_before_the_activation_is_told_with_an_onset_that_clears_the_deployment() -> None:
    player = Player(history=708)
    player.polls(GOOD, [(100, 30)] * 12)
    player.now = START
    player.activations.append(release())
    found = player.polls(BAD, [(100, 60)] * 30)
    assert found.verdict is Verdict.BREACHING
    assert found.suspect == BAD.id
    assert found.onset_before is not None
    assert found.onset_before <= START
    assert found.sentence.endswith("errors began before dpl_bad went live: no rollback")


def test_of_the_first_deployment_it_is_told_that_nothing_on_record_served_before() -> None:
    player = Player(history=0)
    found = player.polls(GOOD, [(100, 100)] * 4)
    assert found.verdict is Verdict.BREACHING
    assert found.suspect == GOOD.id
    assert found.onset_at is not None
    assert found.sentence.endswith("nothing on record served before dpl_good")


def test_a_train_blames_what_served_at_the_onset() -> None:
    player = Player()
    player.activations.append(release())
    player.polls(BAD, [(100, 10)] * 5)
    player.activations.append(release(FIX, after=5 * POLL))
    assert player.polls(FIX, [(100, 10)] * 7).suspect == BAD.id


def test_a_good_deployment_whose_trial_decides_is_not_blamed_for_its_bad_successor() -> None:
    player = Player()
    player.activations.append(release())
    player.polls(BAD, [(100, 0)] * 5)
    player.activations.append(release(FIX, after=5 * POLL))
    assert player.polls(FIX, [(100, 10)] * 12).suspect == FIX.id
    assert [one.number for one in player.memory.docket.trials if one.held is Held.ROLLBACK] == [1, 2]


def test_an_activation_that_left_the_record_before_its_first_count_is_passed_over() -> None:
    player = Player()
    player.activations += [release(OLD, after=-POLL), release()]
    player.give(a_sample(GOOD, start=START - 2 * POLL, end=START - POLL / 2, is_late=True))
    player.activations = player.activations[-1:]
    player.polls(BAD, [(100, 0)])
    assert [one.number for one in player.memory.docket.trials] == [2]


def test_a_bucket_of_the_one_before_proves_nothing_about_a_release() -> None:
    player = Player()
    player.activations.append(release())
    found = player.polls(BAD, [(20, 0)])
    assert found.verdict is Verdict.INCONCLUSIVE
    player.polls(BAD, [(200, 0)] * 2)
    player.activations.append(release(FIX, after=3 * POLL))
    assert player.polls(FIX, [(20, 0)]).verdict is Verdict.INCONCLUSIVE


def test_a_restored_deployment_is_not_called_healthy_by_the_trial_of_another() -> None:
    player = Player()
    player.activations.append(release())
    player.polls(BAD, [(100, 0)] * 3)
    player.activations.append(release(FIX, after=3 * POLL))
    player.polls(FIX, [(100, 0)] * 3)
    player.activations.append(Activation(BAD, START + 6 * POLL, ActivationOrigin.BROUGHT_BACK))
    assert player.polls(BAD, [(100, 0)] * 9).verdict is Verdict.INCONCLUSIVE
    assert [one.number for one in player.memory.docket.trials] == [1]


def test_what_would_never_be_decided_has_no_time_to_it() -> None:
    player = Player(min_errors=1_000_000)
    player.activations.append(release())
    assert player.polls(BAD, [(100, 10)]).acts_in is None


def test_a_restoration_settles_the_breach() -> None:
    player = a_breach()
    player.activations.append(Activation(GOOD, START + 12 * POLL, ActivationOrigin.OUR_ROLLBACK))
    found = player.polls(GOOD, [(100, 10)] * 3)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "has not served for long enough to be usual" in found.sentence


def test_a_restoration_of_what_is_not_on_record_settles_its_predecessor() -> None:
    player = a_breach()
    player.activations.append(Activation(OLD, START + 12 * POLL, ActivationOrigin.FOREIGN_ROLLBACK))
    assert player.polls(OLD, [(100, 0)]).verdict is Verdict.INCONCLUSIVE
    assert player.memory.docket.trials == ()


def test_a_deployment_that_serves_twice_is_two_activations() -> None:
    player = a_breach()
    player.activations.append(Activation(GOOD, START + 12 * POLL, ActivationOrigin.OUR_ROLLBACK))
    player.polls(GOOD, [(100, 0)] * 12)
    player.activations.append(release(after=24 * POLL))
    assert player.memory.latest == 2
    found = player.polls(BAD, [(100, 10)] * 12)
    assert player.memory.latest == 3
    assert found.verdict is Verdict.BREACHING
    assert found.onset_at == START + 24 * POLL


def test_two_activations_between_two_samples_are_both_numbered() -> None:
    player = Player()
    player.activations += [release(), release(FIX, after=POLL)]
    player.now = START + POLL
    player.polls(FIX, [(100, 0)])
    assert [one.number for one in player.memory.docket.trials] == [1, 2]


def test_activations_that_fell_off_the_record_are_not_missed() -> None:
    player = Player()
    player.activations = [release(OLD, after=-MINUTE), release()]
    player.polls(BAD, [(100, 0)])
    assert player.memory.latest == 2
    assert [one.number for one in player.memory.docket.trials] == [1, 2]


def test_a_known_activation_that_is_dated_back_is_the_same_one() -> None:
    player = Player()
    player.activations.append(release(after=POLL))
    player.now = START + POLL
    player.polls(BAD, [(100, 0)])
    player.activations[-1] = release()
    player.polls(BAD, [(100, 0)])
    assert player.memory.latest == 1
    assert [one.at for one in player.memory.docket.trials] == [START.timestamp()]


def test_an_activation_that_nobody_dates_begins_with_its_first_sample() -> None:
    player = Player()
    player.activations.append(replace(release(), at=None))
    found = player.polls(BAD, [(100, 10)] * 12)
    assert found.verdict is Verdict.BREACHING
    assert found.onset_at == START


def test_nothing_is_decided_before_counts_reach_what_serves_now() -> None:
    player = Player()
    player.activations += [release(), release(FIX, after=12 * POLL)]
    found = player.polls(BAD, [(100, 10)] * 12)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.sentence.endswith("waiting: counts of what serves now are not complete yet")
    assert player.polls(FIX, [(100, 10)]).suspect == BAD.id


def test_counts_of_what_was_replaced_change_nothing_after_its_successors() -> None:
    player = a_breach()
    known = player.memory
    for is_late in (False, True):
        player.give(a_sample(GOOD, start=START - POLL, end=START + POLL, requests=50, errors=50, is_late=is_late))
        assert player.memory == known


def test_the_successors_half_of_a_straddling_minute_is_counted() -> None:
    player = Player()
    player.polls(GOOD, [(100, 0)])
    player.activations.append(release(after=POLL / 2))
    player.now = START
    player.polls(BAD, [(100, 10)])
    trial = player.memory.docket.trials[-1]
    assert trial.requests == 100
    assert trial.onset is not None
    assert trial.onset.at == trial.at


def test_a_repeated_sample_and_a_late_one() -> None:
    player = Player()
    player.activations.append(release())
    player.polls(BAD, [(20, 1)])
    known = player.memory
    player.give(a_sample(BAD, start=START, end=START + POLL, requests=20, errors=20))
    assert player.memory == known
    player.give(a_sample(BAD, start=START, end=START + POLL, requests=20, errors=20, is_late=True))
    assert player.memory.docket.opened is not None
    assert player.memory.docket.opened.errors == 21


def test_without_requests_it_says_nothing_and_counts_nothing() -> None:
    player = a_breach()
    known = player.memory
    found = player.give(a_sample(BAD, start=player.now, requests=None, errors=9))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.sentence == "the source counts errors alone: there is no ratio to compare with 2.0%"
    assert player.memory == known


def test_a_sample_that_served_nothing_on_record_changes_nothing() -> None:
    detector = Evidence()
    memory, found = detector.update(detector.begin(), a_sample(BAD))
    assert memory == detector.begin()
    assert (found.verdict, found.sentence) == (Verdict.INCONCLUSIVE, "no bucket of requests has closed yet")
    memory, _ = detector.update(memory, a_sample(BAD), [FIRST])
    assert memory.docket.number is None
    memory, _ = detector.update(memory, a_sample(GOOD, is_late=True), [FIRST])
    assert memory.docket.number is None or memory.docket.newest is None


def test_a_release_that_had_its_time_before_we_came_is_not_tried() -> None:
    detector = Evidence()
    old, young = (release(after=-timedelta(minutes=minutes)) for minutes in (15, 14))
    memory, _ = detector.update(detector.begin(), a_sample(BAD), [FIRST, old])
    assert memory.docket.trials == ()
    memory, _ = detector.update(detector.begin(), a_sample(BAD), [FIRST, young])
    assert [one.number for one in memory.docket.trials] == [1]


def test_a_history_teaches_what_was_normal_before() -> None:
    detector = Evidence()
    past = [a_sample(GOOD, start=START - (60 - index) * MINUTE, errors=4) for index in range(60)]
    memory = detector.learn(detector.begin(), past)
    memory, _ = detector.update(memory, a_sample(BAD), [FIRST, release()])
    assert memory.docket.trials[-1].limit == pytest.approx(2 * 240.5 / 6100, rel=0.05)


def test_a_history_that_comes_after_the_first_counts_teaches_the_same_and_moves_no_limit_that_is_frozen() -> None:
    detector = Evidence()
    past = [a_sample(GOOD, start=START - (60 - index) * MINUTE, errors=4) for index in range(50)]
    memory = detector.begin()
    for index in range(50, 60):
        memory, _ = detector.update(memory, a_sample(GOOD, start=START - (60 - index) * MINUTE, errors=4), [FIRST])
    late = detector.learn(memory, past)
    assert (late.docket.baseline.requests, late.docket.baseline.errors) == (6000, 240)
    assert late.docket.baseline.nats == memory.docket.baseline.nats
    tried, _ = detector.update(memory, a_sample(BAD), [FIRST, release()])
    assert tried.docket.trials
    assert detector.learn(tried, past).docket.trials == tried.docket.trials


def test_a_restart_before_any_sample_changes_no_finding() -> None:
    straight, restarted = Player(history=20), Player(history=20, restarts=True)
    for player in (straight, restarted):
        player.activations.append(release())
    for errors in (0, 0, 50, 100, 3, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0, 0, 0, 0):
        assert straight.polls(BAD, [(70, min(70, errors))]) == restarted.polls(BAD, [(70, min(70, errors))])
    assert straight.memory == restarted.memory


def test_says_what_it_is() -> None:
    detector = Evidence()
    assert (detector.name, detector.needs_requests, detector.follows_production) == ("evidence", True, True)
    assert detector.window == MINUTE
    assert detector.rule == (
        "errors above 2.0% and 2 times the usual rate that began within 15 min of an activation and last (90 s), "
        "with evidence that one good deployment in 1,000 ever shows"
    )
    assert "as learned" in Evidence(sustain="auto").rule


@pytest.mark.parametrize("watched_minutes", [3, 20])
def test_what_served_before_raises_no_alert_about_errors_that_a_release_may_have_brought(watched_minutes: int) -> None:
    # The first deployment on record is on trial too, since nobody knows for how long it has served. To that trial the
    # errors are either a late onset or those of a deployment with nothing before it; both would be told too early.
    detector, known = Evidence(), [Activation(GOOD, None, ActivationOrigin.FIRST_SEEN)]
    memory = detector.begin()
    for index in range(watched_minutes):
        memory, _ = detector.update(memory, a_sample(GOOD, start=START + index * MINUTE, requests=1_200), known)
    live = START + watched_minutes * MINUTE
    known = [*known, Activation(BAD, live, ActivationOrigin.RELEASE)]
    found = []
    for index in range(12):
        start = live + index * MINUTE / 4
        sample = a_sample(BAD, start=start, end=start + MINUTE / 4, requests=300, errors=75)
        memory, finding = detector.update(memory, sample, known)
        found.append(finding)
    breaching = [one for one in found if one.verdict is Verdict.BREACHING]
    assert {one.suspect for one in breaching} == {BAD.id}
    assert found.index(breaching[0]) == 7, "after 90 s and the newest 30 s"
    assert breaching[0].onset_at == live


@pytest.mark.parametrize(("worst_before", "is_told"), [(0, True), (8, False)])
def test_trouble_long_after_every_deployment_is_told_where_it_stands_out_from_the_day(
    worst_before: int, *, is_told: bool
) -> None:
    # Bots that come every few hours are no reason to wake anybody; forty nats are.
    player = Player(history=720)
    for _ in range(3):
        player.polls(GOOD, [(100, 30)] * worst_before)
        player.polls(GOOD, [(100, 0)] * 60)
    found = player.polls(GOOD, [(100, 30)] * 9)
    assert (found.verdict is Verdict.BREACHING) is is_told
    assert found.suspect == GOOD.id
    assert found.onset_at is not None, "it votes on the platform all the same"
    assert "errors are above what is usual since" in found.sentence
    [gate] = found.gates
    assert (gate.name, gate.passed) == ("trouble", is_told)


def test_its_window_is_the_policys_unless_it_names_its_own() -> None:
    assert Evidence().design.window == 900
    longer = Evidence().within(30 * MINUTE)
    assert (longer.design.window, longer.attribution_window) == (1800, 30 * MINUTE)
    own = Evidence(attribution_window=60 * MINUTE)
    assert own.within(30 * MINUTE) is own
