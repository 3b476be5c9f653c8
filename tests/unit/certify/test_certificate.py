"""What an operator writes becomes a campaign, or a sentence that says what to write instead."""

import json
from pathlib import Path

import pytest

from daemon.certify.campaign import Campaign
from daemon.certify.certificate import Certificate, NotCertifiable, certificate, prepare
from daemon.certify.kinds import HEALTHY
from daemon.settings import Settings, load

ONE = "defaults:\n  detectors: [{kind: threshold}]\nprojects:\n  - name: shop\n"
TWO = f"{ONE}  - name: blog\n    attribution_window: 20m\n"


def settings(tmp_path: Path, text: str = ONE) -> Settings:
    path = tmp_path / "lastgood.yaml"
    path.write_text(text)
    return load(path, {}, checks_tokens=False).settings


def a_campaign(tmp_path: Path, text: str = ONE, **words: object) -> Campaign:
    asked = {"project": None, "traffic": "50rps", "poll": "60s", "lag": "60s", "days": 8, "seed": 1} | words
    return prepare(settings(tmp_path, text), **asked)  # type: ignore[arg-type]


def test_the_operators_words_become_a_campaign(tmp_path: Path) -> None:
    campaign = a_campaign(tmp_path, poll="10s", lag="65s", traffic="90rpm", seed=4)
    scene = campaign.scene
    assert (scene.poll_seconds, scene.lag_polls, scene.traffic.requests_per_second, campaign.seed) == (10, 7, 1.5, 4)
    assert dict(campaign.runs)[HEALTHY[0].name] == 1


def test_polls_are_those_of_the_configuration_unless_told(tmp_path: Path) -> None:
    assert a_campaign(tmp_path, f"poll:\n  interval: 20s\n{ONE}", poll=None).scene.poll_seconds == 20


def test_projects_with_one_policy_need_not_be_told_apart(tmp_path: Path) -> None:
    assert a_campaign(tmp_path, f"{ONE}  - name: blog\n").policy.digest


def test_the_policy_is_that_of_the_named_project(tmp_path: Path) -> None:
    assert a_campaign(tmp_path, TWO, project="blog").policy.attribution_window.total_seconds() == 1200
    assert a_campaign(tmp_path, TWO, project="shop").policy.attribution_window.total_seconds() == 900


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"traffic": "50"}, "--traffic '50' is not a rate; write 50rps"),
        ({"poll": "ten"}, "--poll 'ten' is not a length of time; write one such as 90s"),
        ({"poll": "11m"}, "--poll 11m is out of bounds; write something between 1s and 10m"),
        ({"lag": "31m"}, "--lag 31m is out of bounds; write something between 0s and 30m"),
        ({"seed": -1}, "--seed -1 is out of bounds"),
        ({"project": "nobody"}, "no project is called nobody; there are: shop"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(
    tmp_path: Path, words: dict[str, object], sentence: str
) -> None:
    with pytest.raises(NotCertifiable, match="^" + sentence.replace("(", r"\(")):
        a_campaign(tmp_path, **words)


def test_different_policies_need_a_name(tmp_path: Path) -> None:
    with pytest.raises(NotCertifiable, match="2 different policies; say --project, one of: shop, blog"):
        a_campaign(tmp_path, TWO)


def test_an_attribution_window_of_two_hours_is_taken_and_a_longer_one_refused(tmp_path: Path) -> None:
    assert a_campaign(tmp_path, f"{ONE}    attribution_window: 2h\n").policy
    with pytest.raises(NotCertifiable, match="attribution_window 2h1s is longer than 2h"):
        a_campaign(tmp_path, f"{ONE}    attribution_window: 7201s\n")


def a_certificate(tmp_path: Path) -> Certificate:
    campaign = a_campaign(tmp_path)
    few = Campaign(campaign.policy, campaign.scene, 1, (("steady", 2), ("jump-3", 2), ("jump-30", 2)))
    return certificate(few, deployments_per_year=500, workers=1)


@pytest.mark.slow
def test_a_certificate_says_what_was_judged_and_what_it_is_worth(tmp_path: Path) -> None:
    text = "\n".join(a_certificate(tmp_path).lines())
    assert "50rps, polls every 60 s, counts 60 s late, seed 1, 6 stories" in text
    assert "threshold: 3 of the last 5 windows" in text
    assert "0 in 2 healthy project-days" in text
    assert "at 500 deployments a year" in text
    assert "This policy cannot see\n  - a jump to 3% is below max_error_rate 5 % (missed 2 of 2)" in text
    assert "Simulated" in text


@pytest.mark.slow
def test_machines_get_plain_values(tmp_path: Path) -> None:
    plain = json.loads(json.dumps(a_certificate(tmp_path).as_json()))
    assert plain["traffic"] == "50rps"
    assert (plain["poll_seconds"], plain["lag_seconds"], plain["seed"]) == (60, 60, 1)
    assert plain["false_rollbacks_per_year"]["rate"] == 0
    assert plain["cannot_see"] == ["a jump to 3% is below max_error_rate 5 % (missed 2 of 2)"]
