"""A kind of error nobody has seen before: what is new, what is known, and what teaches nothing."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, ActivationOrigin, Deployment, ErrorKind, ErrorRateSample
from daemon.detectors.new_error import KNOWN_MAX, RECENT_MAX, NewError, NewErrorMemory
from tests.builders import BAD, FIX, GOOD, MINUTE, START, a_sample

DETECTOR = NewError(min_count=10, min_share=0.2, baseline_min=60 * MINUTE)
TIMES = {GOOD: -600 * MINUTE, BAD: 60 * MINUTE, FIX: 70 * MINUTE}
RELEASED = [Activation(one, START + at, ActivationOrigin.RELEASE) for one, at in TIMES.items()]


def minute(number: int, deployment: Deployment, /, is_late: bool = False, **kinds: int) -> ErrorRateSample:
    told = tuple(ErrorKind(key, f"{key} happened", count) for key, count in kinds.items())
    start = START + number * MINUTE
    return a_sample(deployment, start=start, errors=sum(kinds.values()), requests=1_000, kinds=told, is_late=is_late)


def fed(
    samples: Iterable[ErrorRateSample], memory: NewErrorMemory | None = None, detector: NewError = DETECTOR
) -> tuple[NewErrorMemory, Finding]:
    memory = memory or detector.begin()
    finding = None
    for sample in samples:
        memory, finding = detector.update(memory, sample, RELEASED)
    assert finding is not None
    return memory, finding


def an_hour(**kinds: int) -> NewErrorMemory:
    """What is remembered after an hour of good, which had these kinds in each minute."""
    return fed(minute(number, GOOD, **kinds) for number in range(60))[0]


def test_a_kind_that_was_never_seen_and_is_frequent_is_found_and_named() -> None:
    _, finding = fed([minute(60, BAD, timeout=3, type_error=6), minute(61, BAD, type_error=7)], an_hour(timeout=2))
    assert finding.verdict is Verdict.BREACHING
    assert finding.sentence == f"new: 'type_error happened', 13 of 16 errors since {START + 60 * MINUTE:%H:%M:%S} UTC"
    assert (finding.onset_at, finding.onset_before) == (START + 60 * MINUTE, START + 61 * MINUTE)
    assert (finding.requests, finding.errors) == (2_000, 16)


@pytest.mark.parametrize(
    ("new", "old", "is_found"), [(9, 0, False), (10, 0, True), (10, 40, True), (10, 41, False), (100, 401, False)]
)
def test_it_takes_its_count_and_its_share(new: int, old: int, *, is_found: bool) -> None:
    _, finding = fed([minute(60, BAD, timeout=old, type_error=new)], an_hour(timeout=2))
    assert (finding.verdict is Verdict.BREACHING) is is_found
    assert (finding.onset_at is not None) is is_found


def test_what_was_seen_before_is_not_new_however_frequent_it_becomes() -> None:
    memory, finding = fed([minute(60, BAD, timeout=900)], an_hour(timeout=1))
    assert finding.verdict is Verdict.HEALTHY
    assert finding.sentence == "no new kind of error; 1 known"
    assert memory.recent == {}


@pytest.mark.parametrize(("minutes", "verdict"), [(59, Verdict.INCONCLUSIVE), (60, Verdict.BREACHING)])
def test_to_whom_everything_is_new_nothing_is(minutes: int, verdict: Verdict) -> None:
    memory, _ = fed(minute(number, GOOD) for number in range(minutes))
    assert fed([minute(60, BAD, type_error=50)], memory)[1].verdict is verdict


def test_two_bad_deployments_in_a_row_do_not_hide_each_other() -> None:
    memory, _ = fed([minute(60 + number, BAD, type_error=20) for number in range(10)], an_hour())
    memory, finding = fed([minute(70, FIX, type_error=20)], memory)
    assert finding.verdict is Verdict.BREACHING
    assert "20 of 20 errors" in finding.sentence, "counted anew"
    assert memory.known == {}


@pytest.mark.parametrize(("number", "is_learned"), [(74, False), (75, True)])
def test_after_its_probation_what_a_deployment_does_is_known(number: int, *, is_learned: bool) -> None:
    released = RELEASED[:2]
    memory, finding = DETECTOR.update(an_hour(), minute(number, BAD, type_error=50), released)
    assert ("type_error" in memory.known) is is_learned
    assert (finding.verdict is Verdict.BREACHING) is not is_learned


def test_a_deployment_of_which_nobody_knows_since_when_it_serves_is_learned_from() -> None:
    unknown = [Activation(GOOD, None, ActivationOrigin.FIRST_SEEN)]
    memory, _ = DETECTOR.update(DETECTOR.begin(), minute(0, GOOD, timeout=1), unknown)
    assert set(memory.known) == {"timeout"}


def test_a_source_without_messages_says_nothing_and_changes_nothing() -> None:
    memory = an_hour(timeout=2)
    after, finding = fed([replace(minute(60, BAD), kinds=None, errors=900)], memory)
    assert after == memory
    assert (finding.verdict, finding.sentence) == (Verdict.INCONCLUSIVE, "the source tells no messages")


def test_errors_alone_can_be_told_apart_too() -> None:
    samples = [replace(minute(60, BAD, type_error=20), requests=None)]
    finding = fed(samples, an_hour())[1]
    assert (finding.verdict, finding.requests) == (Verdict.BREACHING, None)


def test_a_replay_changes_nothing_and_a_late_sample_is_more_of_the_same() -> None:
    memory, finding = fed([minute(60, BAD, type_error=9)], an_hour())
    assert finding.verdict is Verdict.HEALTHY
    replayed, _ = fed([minute(60, BAD, type_error=9), minute(59, BAD, type_error=9)], memory)
    assert replayed == memory
    late, finding = fed([minute(60, BAD, is_late=True, type_error=1)], memory)
    assert (finding.verdict, late.counted_until) == (Verdict.BREACHING, memory.counted_until)
    learned, _ = fed([minute(59, GOOD, is_late=True, other=1)], an_hour())
    assert (learned.watched, set(learned.known)) == (60 * MINUTE, {"other"}), "no time is watched twice"


def test_what_is_remembered_is_bounded_and_the_oldest_goes() -> None:
    memory = DETECTOR.begin()
    for number in range(KNOWN_MAX + 5):
        memory, _ = fed([minute(0, GOOD, is_late=number > 0, **{f"k{number}": 1})], memory)
    assert len(memory.known) == KNOWN_MAX
    assert "k0" not in memory.known
    many = {f"n{number}": 1 for number in range(RECENT_MAX + 5)}
    assert len(fed([minute(60, BAD, **many)], an_hour())[0].recent) == RECENT_MAX


def test_memory_survives_its_serialisation() -> None:
    memory, finding = fed([minute(60, BAD, type_error=9)], an_hour(timeout=1))
    adapter = TypeAdapter(NewErrorMemory)
    restored = adapter.validate_json(json.dumps(adapter.dump_python(memory, mode="json")))
    assert restored == memory
    assert fed([minute(61, BAD, type_error=1)], restored) == fed([minute(61, BAD, type_error=1)], memory)
    assert list(restored.known) == list(memory.known)
    assert finding.gates[0].passed


def test_it_only_ever_advises() -> None:
    assert DETECTOR.is_advisory
    assert DETECTOR.follows_production
    assert not DETECTOR.needs_requests
    assert "never acted upon alone" in DETECTOR.rule
    assert DETECTOR.name == "new_error"


def test_gates_tell_what_is_missing() -> None:
    gates: dict[str, Any] = {
        one.name: one for one in fed([minute(60, BAD, type_error=4, timeout=16)], an_hour())[1].gates
    }
    assert (gates["min_count"].value, gates["min_count"].threshold, gates["min_count"].passed) == (16, 10, True)
    assert gates["baseline_min"].value == timedelta(hours=1).total_seconds()
    assert gates["min_share"].value == 0.8
