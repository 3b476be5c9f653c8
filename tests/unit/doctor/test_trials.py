"""What an endpoint's answers mean, where our own receivers would never give them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from daemon.doctor.drains import drain_endpoint_answers, drain_signatures_are_checked
from daemon.doctor.facts import Examined, General, NotAsked, Posted, SecretsSeen, StoreSeen, TokenSeen, Trial
from daemon.doctor.line import Line, Name, State, ok
from daemon.doctor.webhooks import webhook_endpoint_checks_signatures
from daemon.settings import Settings

NOTHING = NotAsked("of no account here")
NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)
SETTINGS = Settings.model_validate({"projects": [{"id": "prj_shop", "sources": [{"kind": "log_drain"}]}]})
GOOD = Trial("https://x.example/drain", Posted(200), Posted(403), shown=Posted(200, verify="code"))


def examined(trial: Trial) -> Examined:
    [project] = SETTINGS.projects
    return Examined(
        project, NOW, NOTHING, NOTHING, NOTHING, NOTHING, has_act_token=True, readings={}, drain_trial=trial
    )


def general(trial: Trial) -> General:
    token, secrets = TokenSeen(NOTHING, NOTHING), SecretsSeen(1)
    store = StoreSeen(exists=True)
    return General(SETTINGS, NOW, store, token, token, secrets, secrets, NOTHING, webhook_trial=trial)


def test_a_receiver_that_checks_signatures_is_as_it_should_be() -> None:
    assert drain_endpoint_answers(examined(GOOD)).state is State.OK
    assert drain_signatures_are_checked(examined(GOOD)).state is State.OK
    assert webhook_endpoint_checks_signatures(general(GOOD)).state is State.OK


def test_whoever_takes_a_wrong_signature_is_not_our_receiver() -> None:
    trial = replace(GOOD, forged=Posted(200))
    for line in (drain_signatures_are_checked(examined(trial)), webhook_endpoint_checks_signatures(general(trial))):
        assert line.state is State.FAIL
        assert "answered 200 instead of 403" in line.found
        assert "lastgood itself" in line.remedy


def test_whoever_refuses_our_own_signature_has_other_secrets() -> None:
    trial = replace(GOOD, signed=Posted(403, "not ours"))
    for line in (drain_signatures_are_checked(examined(trial)), webhook_endpoint_checks_signatures(general(trial))):
        assert line.state is State.FAIL
        assert "answered 403: not ours" in line.found
        assert "secret_files" in line.remedy


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (Posted(0, error="connection trouble (ConnectError)"), "ConnectError"),
        (Posted(502, "bad gateway"), "answered 502 to GET"),
        (Posted(301), "answered 301 to GET"),
    ],
)
def test_an_endpoint_that_does_not_answer_is_one_line_and_not_two(shown: Posted, said: str) -> None:
    project = examined(replace(GOOD, shown=shown))
    line = drain_endpoint_answers(project)
    assert (line.state, said in line.found) == (State.FAIL, True)
    assert drain_signatures_are_checked(project).state is State.SKIP


def test_an_endpoint_without_the_header_that_proves_it_is_told() -> None:
    line = drain_endpoint_answers(examined(replace(GOOD, shown=Posted(200))))
    assert (line.state, "without an x-vercel-verify" in line.found) == (State.FAIL, True)


def test_trouble_has_a_remedy_and_nothing_else_has() -> None:
    with pytest.raises(AssertionError, match="remedy"):
        Line(Name.STORE, State.FAIL, "broken")
    with pytest.raises(AssertionError, match="remedy"):
        replace(ok(Name.STORE, "fine"), remedy="do something")
