"""The choice of the target: what served just before comes first, and each reason to fall has its words."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from daemon.core.facts import Activation, ActivationOrigin, Deployment, DeploymentId, ReadyState, ReadySubstate
from daemon.core.state import KnownBad
from daemon.core.target import NoTarget, choose_rollback_target, served_before
from tests.builders import BAD, FIX, GOOD, OLD, START, a_deployment, an_alias_job


def activations(*deployments: Deployment) -> list[Activation]:
    return [Activation(one, START, ActivationOrigin.RELEASE) for one in deployments]


def chosen(candidates: Sequence[Deployment], **facts: Any) -> Deployment | NoTarget:
    """Return the target for suspect bad, which serves; nothing is known of the past unless said."""
    defaults: dict[str, Any] = {"suspect": BAD, "serving": BAD.id, "activations": [], "known_bad": ()}
    return choose_rollback_target(candidates, **(defaults | facts))


def bad(deployment: Deployment) -> KnownBad:
    return KnownBad(deployment.id, deployment.commit_sha, "test")


def test_what_served_just_before_the_suspect_comes_first() -> None:
    newer_build = a_deployment("good", created_at=OLD.created_at - timedelta(days=9))
    assert chosen([OLD, newer_build, BAD], activations=activations(OLD, newer_build, BAD)) == newer_build


def test_what_served_before_that_comes_next() -> None:
    assert chosen([OLD, BAD], activations=activations(OLD, GOOD, BAD)) == OLD


def test_back_never_means_forward_even_where_the_newer_build_served_just_before() -> None:
    assert chosen([FIX, OLD, BAD], activations=activations(OLD, FIX, BAD)) == OLD


def test_without_our_own_record_the_job_that_moved_the_suspect_tells_what_served_before() -> None:
    job = an_alias_job(BAD, from_deployment=OLD.id)
    assert chosen([GOOD, OLD, BAD], alias_job=job) == OLD
    assert served_before(BAD, (), job) == [OLD.id]
    assert served_before(GOOD, (), job) == []
    assert served_before(BAD, activations(GOOD, BAD), job) == [GOOD.id]


def test_before_the_suspects_newest_activation_counts() -> None:
    assert chosen([GOOD, OLD, BAD], activations=activations(GOOD, BAD, OLD, BAD)) == OLD


def test_without_a_record_the_newest_older_build_is_taken() -> None:
    for order in permutations([OLD, GOOD, BAD]):
        assert chosen(order) == GOOD


def test_what_served_after_the_suspect_is_taken_only_if_it_is_an_older_build() -> None:
    assert chosen([FIX, OLD, BAD], activations=activations(BAD, FIX)) == OLD
    assert isinstance(chosen([FIX, BAD], activations=activations(BAD, FIX)), NoTarget)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"project": "prj_other"}, "belongs to another project"),
        ({"is_production": False}, "is not a ready production build"),
        ({"ready_state": ReadyState.ERROR}, "is not a ready production build"),
        ({"ready_state": ReadyState.DELETED}, "is not a ready production build"),
        ({"ready_substate": ReadySubstate.STAGED}, "never served production"),
        ({"ready_substate": ReadySubstate.ROLLING}, "never served production"),
        ({"ready_substate": None}, "never served production"),
        ({"is_rollback_candidate": False}, "Vercel does not offer it for rollback"),
        ({"commit_sha": "sha-bad"}, "has the suspect's commit"),
        ({"created_at": BAD.created_at}, "is newer than the suspect"),
    ],
)
def test_each_reason_to_fall_is_said(facts: dict[str, Any], words: str) -> None:
    fallen = chosen([a_deployment("good", **facts)])
    assert isinstance(fallen, NoTarget)
    assert "dpl_good" in fallen.sentence
    assert words in fallen.sentence


def test_the_suspect_and_what_serves_are_no_targets() -> None:
    fallen = chosen([BAD, FIX], serving=FIX.id)
    assert fallen == NoTarget("none of 2 candidates is eligible: dpl_bad is the suspect; dpl_fix serves now")


def test_no_candidate_at_all_is_said() -> None:
    assert chosen([]) == NoTarget("Vercel offers no deployment to roll back to")


def test_I_12_known_bad_is_no_target_however_it_served() -> None:
    fallen = chosen([GOOD], activations=activations(GOOD, BAD), known_bad=[bad(GOOD)])
    assert isinstance(fallen, NoTarget)
    assert "was rolled back from" in fallen.sentence


def test_I_12_a_known_bad_commit_is_no_target_unless_that_deployment_served_cleanly() -> None:
    twin = a_deployment("twin", commit_sha="sha-fix", created_at=OLD.created_at)
    fallen = chosen([twin], known_bad=[bad(FIX)])
    assert isinstance(fallen, NoTarget)
    assert "has a known bad commit" in fallen.sentence
    assert chosen([twin], known_bad=[bad(FIX)], activations=activations(twin, BAD)) == twin


def test_an_unknown_commit_matches_no_other_unknown_commit() -> None:
    anonymous = a_deployment("good", commit_sha=None)
    known_bad = [KnownBad(DeploymentId("dpl_x"), None, "test")]
    assert chosen([anonymous], suspect=a_deployment("bad", commit_sha=None), known_bad=known_bad) == anonymous


def test_a_newer_build_that_served_before_but_not_just_before_is_not_taken_over_an_older_one() -> None:
    fallen = chosen([FIX], activations=activations(FIX))
    assert fallen == NoTarget("none of 1 candidates is eligible: dpl_fix is newer than the suspect")
