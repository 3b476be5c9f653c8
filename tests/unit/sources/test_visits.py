"""What visits of our own mean: 5xx fails, the rest says little, and nobody's visit makes nobody healthy."""

from datetime import timedelta

import pytest

from daemon.core.facts import DeploymentId, ErrorRateSample
from daemon.core.signal import SignalReason
from daemon.ports.errors import RateLimited, Refused, Unavailable, Unintelligible
from daemon.sources.http import Answer
from daemon.sources.visits import Outcome, Visit, count_visits, judge
from tests.builders import START

ENDED = START + timedelta(seconds=2)
HEADER = "x-deployment-id"


def a_visit(told: int | str, deployment: str = "", *, is_counted: bool = True, **headers: str) -> Visit:
    """A visit that was answered with a status, or that had no answer, "reset"."""
    if isinstance(told, str):
        return Visit(Outcome.UNREACHED, told, is_counted=is_counted)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {HEADER: f"dpl_{deployment}"} if deployment else {}
    return judge(Answer(told, named), what="GET /", deployment_header=HEADER, is_counted=is_counted)


def samples(*rounds: list[Visit]) -> list[ErrorRateSample]:
    return list(count_visits(rounds, began=START, ended=ENDED, deployment_header=HEADER))


def counts(*rounds: list[Visit]) -> list[tuple[str, int, int, int]]:
    return [(one.deployment, one.requests or 0, one.errors, one.platform_errors) for one in samples(*rounds)]


# One answer


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, Outcome.SERVED),
        (204, {}, Outcome.SERVED),
        (301, {}, Outcome.INCONCLUSIVE),
        (401, {}, Outcome.INCONCLUSIVE),
        (403, {"x_vercel_mitigated": "deny"}, Outcome.INCONCLUSIVE),
        (404, {}, Outcome.INCONCLUSIVE),
        (404, {"x_vercel_error": "DEPLOYMENT_NOT_FOUND"}, Outcome.INCONCLUSIVE),
        (429, {"x_vercel_mitigated": "challenge"}, Outcome.INCONCLUSIVE),
        (499, {}, Outcome.INCONCLUSIVE),
        (500, {}, Outcome.FAILED),
        (500, {"x_vercel_error": "FUNCTION_INVOCATION_FAILED"}, Outcome.FAILED),
        (500, {"x_vercel_error": "INTERNAL_FUNCTION_NOT_READY"}, Outcome.PLATFORM_FAILED),
        (503, {"x_vercel_error": "DEPLOYMENT_PAUSED"}, Outcome.INCONCLUSIVE),
        (503, {"x_vercel_mitigated": "deny"}, Outcome.INCONCLUSIVE),
        (504, {"x_vercel_error": "FUNCTION_INVOCATION_TIMEOUT"}, Outcome.FAILED),
        (599, {}, Outcome.FAILED),
    ],
)
def test_only_5xx_of_the_site_fails_and_only_2xx_is_served(status, headers, outcome):
    visit = a_visit(status, "a", **headers)
    assert (visit.outcome, visit.status, visit.deployment) == (outcome, status, "dpl_a")


@pytest.mark.parametrize("name", ["", "a", "dpl_", "dpl_a, dpl_b", "DPL_a"])
def test_what_is_no_deployments_id_names_none(name):
    visit = judge(Answer(200, {HEADER: name}), what="GET /", deployment_header=HEADER, is_counted=True)
    assert visit.deployment == ""


# A round


def test_each_deployment_that_was_met_gets_one_sample():
    visits = [a_visit(200, "a"), a_visit(500, "a"), a_visit(200, "b"), a_visit(500, "b", x_vercel_error="INTERNAL_X")]
    [one, two] = samples(visits)
    assert one == ErrorRateSample(DeploymentId("dpl_a"), START, ENDED, 2, 1, is_sampled=True)
    assert two == ErrorRateSample(DeploymentId("dpl_b"), START, ENDED, 2, 0, is_sampled=True, platform_errors=1)


def test_a_visit_that_names_nobody_is_its_neighbours_where_both_agree():
    visits = [a_visit(200, "a"), a_visit(500), a_visit("reset"), a_visit(500), a_visit(200, "a")]
    assert counts(visits) == [("dpl_a", 5, 3, 0)]


def test_looks_at_who_serves_frame_visits_and_are_not_counted():
    look = a_visit(200, "a", is_counted=False)
    assert counts([look, a_visit(500), a_visit("reset"), look]) == [("dpl_a", 2, 2, 0)]
    # A file that is not there still tells who says so.
    look = a_visit(404, "a", is_counted=False)
    assert counts([look, a_visit(200), look]) == [("dpl_a", 1, 0, 0)]


@pytest.mark.parametrize(
    ("visits", "nobodys", "failed"),
    [
        ([a_visit(500)], 1, 1),
        ([a_visit(200), a_visit(200)], 2, 0),
        ([a_visit(500), a_visit(200, "a")], 1, 1),
        ([a_visit(200, "a"), a_visit(500)], 1, 1),
        ([a_visit(200, "a"), a_visit(500), a_visit(500), a_visit(200, "b")], 2, 2),
        ([a_visit(200, "a"), a_visit("reset")], 1, 1),
        ([a_visit(200, "a"), a_visit(500), a_visit(200, "b"), a_visit(200, "a")], 1, 1),
    ],
)
def test_I_01_a_round_with_a_visit_of_nobodys_counts_nothing_and_says_what_it_saw(visits, nobodys, failed):
    with pytest.raises(Unintelligible) as caught:
        samples(visits)
    assert f"{nobodys} of {len(visits)} visits, {failed} of them failed, do not say which" in str(caught.value)
    assert caught.value.reason is SignalReason.SCHEMA_DRIFT


def test_one_domains_names_say_nothing_of_another():
    with pytest.raises(Unintelligible, match="1 of 3 visits"):
        samples([a_visit(200, "a"), a_visit(500)], [a_visit(200, "a")])
    assert counts([a_visit(200, "a")], [a_visit(200, "b")]) == [("dpl_a", 1, 0, 0), ("dpl_b", 1, 0, 0)]


def test_inconclusive_visits_are_not_counted():
    assert counts([a_visit(200, "a"), a_visit(403), a_visit(404), a_visit(200, "a")]) == [("dpl_a", 2, 0, 0)]


def test_I_01_no_answer_to_any_visit_is_our_trouble_as_likely_as_theirs():
    with pytest.raises(Unavailable, match="no visit had an answer, the first: no route") as caught:
        samples([a_visit("no route"), a_visit("reset")], [a_visit("reset")])
    assert caught.value.reason is SignalReason.UNREACHABLE


def test_visits_without_an_answer_fail_where_the_site_answered_who_serves():
    look = a_visit(200, "a", is_counted=False)
    assert counts([look, a_visit("timeout"), look]) == [("dpl_a", 1, 1, 0)]


@pytest.mark.parametrize(
    ("statuses", "error", "reason"),
    [
        ([401], Refused, SignalReason.UNAUTHORIZED),
        ([403, 404], Refused, SignalReason.UNAUTHORIZED),
        ([404], Refused, SignalReason.REFUSED),
        ([308], Refused, SignalReason.REFUSED),
        ([403, 429], RateLimited, SignalReason.RATE_LIMITED),
    ],
)
def test_I_01_visits_that_were_all_turned_away_say_nothing(statuses, error, reason):
    look = a_visit(200, "a", is_counted=False)
    with pytest.raises(error, match="no visit says anything of the site, the first: GET /: answered") as caught:
        samples([look, *(a_visit(status) for status in statuses), look])
    assert type(caught.value) is error
    assert caught.value.reason is reason
