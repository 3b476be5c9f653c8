"""What holds whatever comes: dirty feeds, restarts, repeats, more traffic, more errors."""

import json
from itertools import pairwise
from random import Random  # noqa: TID251 - seeded, so that every run sees the same

import pytest
from pydantic import TypeAdapter

from daemon.detectors.evidence.betting import evidence
from daemon.detectors.evidence.buckets import Bucket, Poll
from daemon.detectors.evidence.docket import Docket, observe
from daemon.detectors.evidence.knobs import Design
from daemon.detectors.evidence.trial import Held, gates, judge
from tests.unit.detectors.evidence.playing import Count, Project, a_project

SEEDS = range(12)
_DOCKET: TypeAdapter[Docket] = TypeAdapter(Docket)


def restored(docket: Docket) -> Docket:
    return _DOCKET.validate_python(json.loads(_DOCKET.dump_json(docket)))


def dirty(chance: Random, errors: float) -> Count:
    """Return one poll as a dirty feed tells it: missed, corrected, impossible, empty, or true."""
    requests = chance.choice((0, 1, 7, 60, 300))
    failed = sum(chance.random() < errors for _ in range(requests))
    match chance.randrange(10):
        case 0:
            return None
        case 1:
            return -chance.randrange(5), failed
        case 2:
            return requests, failed + chance.randrange(200)
        case 3:
            return requests, -chance.randrange(5)
    return requests, failed


def a_life(seed: int) -> list[tuple[str, list[Count]]]:
    """Return what happens to a project: releases, restorations and polls, good, bad and dirty."""
    chance = Random(seed)
    life: list[tuple[str, list[Count]]] = []
    for _ in range(8):
        what = chance.choice(("release", "release", "restore", "go on"))
        errors = chance.choice((0.0, 0.0, 0.004, 0.1, 0.9))
        life.append((what, [dirty(chance, errors) for _ in range(chance.randrange(5, 150))]))
    return life


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_after_any_poll_changes_nothing(seed: int) -> None:
    straight, restarted = (a_project(history=600, poll=Random(seed).choice((10.0, 30.0))) for _ in range(2))
    for what, counts in a_life(seed):
        for project in (straight, restarted):
            if what == "release":
                project.release()
            elif what == "restore" and project.number > 1:
                project.restore(project.number - 2)
        for count in counts:
            straight.polls([count])
            restarted.docket = restored(restarted.docket)
            restarted.polls([count])
    assert restarted.docket == straight.docket
    assert restarted.held_at == straight.held_at


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_dirty_feeds_never_raise_and_missed_or_repeated_polls_never_decide(seed: int) -> None:
    project = a_project(history=600)
    for what, counts in a_life(seed):
        if what == "release":
            project.release()
        for count in counts:
            before = project.held
            project.polls([count])
            if count is None:
                assert project.held in (before, Held.NOTHING)
            again = Poll(project.now - project.poll, project.now, 100, 100)
            assert observe(project.docket, again, project.design) == project.docket
            _check(project)


def _check(project: Project) -> None:
    docket = project.docket
    if docket.newest is not None:
        assert 0 <= docket.newest.errors <= docket.newest.requests
    assert docket.baseline.requests >= docket.baseline.errors >= 0
    for trial in docket.trials:
        assert 0.0 <= trial.nats <= 40.0
        assert (trial.onset is None) == (trial.nats == 0.0)
        assert evidence(trial.capital) >= 0.0
        assert 0.0 <= trial.capital.spent <= 1.0 + 1e-9
        if trial.held is Held.ROLLBACK:
            assert trial.onset is not None
            assert trial.at <= trial.onset.at < trial.at + project.design.window


@pytest.mark.parametrize("seed", SEEDS)
def test_more_errors_in_a_bucket_never_make_anything_look_better(seed: int) -> None:
    chance = Random(seed)
    project = a_project(history=600).release().polls([(100, chance.randrange(12)) for _ in range(chance.randrange(20))])
    start = project.now
    found = [
        judge(project.trial, Bucket(start, start + 10, 100, errors, 1, 10.0), project.design, may_decide=True)
        for errors in range(101)
    ]
    for less, more in pairwise(found):
        assert evidence(more.capital) > evidence(less.capital)
        assert more.nats >= less.nats
        assert not (less.held is Held.ROLLBACK and more.held is Held.NOTHING)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2, 10, 1000])
@pytest.mark.parametrize("seed", SEEDS)
def test_more_traffic_at_the_same_rates_changes_no_gate_on_rates(seed: int, factor: int) -> None:
    # The floor rules the limit here: a baseline without errors.
    chance = Random(seed)
    counts = [(100, chance.choice((0, 1, 3, 9, 20))) for _ in range(40)]
    little = a_project(history=600, errors_min=0).release()
    much = a_project(history=600, count=(100 * factor, 0), errors_min=0).release()
    for requests, errors in counts:
        little.polls([(requests, errors)])
        much.polls([(requests * factor, errors * factor)])
        if little.trial.calm.is_proved != much.trial.calm.is_proved:
            # More traffic proves the end of trouble sooner, as it should.
            return
        passed = [
            [(gate.name, gate.passed) for gate in gates(one.trial, one.docket.newest, one.design)]
            for one in (little, much)
            if one.docket.newest
        ]
        assert passed[0] == passed[1]
        assert evidence(little.trial.capital) == pytest.approx(evidence(much.trial.capital))


@pytest.mark.slow
@pytest.mark.parametrize("poll", [10.0, 15.0, 20.0, 30.0, 60.0])
def test_a_poll_later_is_never_an_earlier_decision(poll: float) -> None:
    decided = []
    for rate in (5, 10, 20, 40, 90):
        project = a_project(poll=poll, history=3600).release().seconds(1800, (100, rate))
        decided.append(project.held_at[0] - project.trial.at)
    assert decided == sorted(decided, reverse=True)


def test_a_design_cannot_be_met_by_nothing() -> None:
    assert a_project(history=600, errors_min=0, level=0.1, sustain=0.0).release().seconds(900).held is Held.NOTHING
    assert Design().requests_min == 0
