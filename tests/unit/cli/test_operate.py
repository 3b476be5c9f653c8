"""`lastgood pause | resume | approve | reject | ack`: each puts exactly what was asked into the daemon's queue."""

import getpass
import os

import pytest

from daemon.core.event import OperatorVerb
from daemon.core.guardrail import Posture
from daemon.core.incident import State
from daemon.core.state import ProjectState
from tests.builders import PROJECT, a_breached_playbook, a_policy
from tests.unit.cli.operating import Operated


@pytest.fixture(autouse=True)
def not_by_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever runs the tests be who asks."""
    monkeypatch.delenv("SUDO_USER", raising=False)


@pytest.fixture
def polled(operated: Operated) -> Operated:
    """A daemon has polled the project shop before."""
    operated.save(ProjectState(PROJECT))
    return operated


@pytest.mark.parametrize(
    ("arguments", "verb", "facts"),
    [
        (["pause"], OperatorVerb.PAUSE, {"reason": "", "for_seconds": None}),
        (["pause", "--for", "1h30m", "--reason", "sale"], OperatorVerb.PAUSE, {"reason": "sale", "for_seconds": 5400}),
        (["resume", "--reason", "sale is over"], OperatorVerb.RESUME, {"reason": "sale is over"}),
        (["approve", "--incident", "inc_1"], OperatorVerb.APPROVE, {"incident": "inc_1"}),
        (["reject", "--incident", "inc_1", "--reason", "wait"], OperatorVerb.REJECT, {"incident": "inc_1"}),
        (["ack"], OperatorVerb.ACKNOWLEDGE, {"incident": None}),
        (["ack", "--incident", "inc_1"], OperatorVerb.ACKNOWLEDGE, {"incident": "inc_1"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_request_says_who_wants_what(
    polled: Operated, arguments: list[str], verb: OperatorVerb, facts: dict[str, object]
) -> None:
    result = polled.run_configured(*arguments, PROJECT)
    assert result.exit_code == 0, result.output
    [request] = polled.asked()
    assert (request.verb, request.by) == (verb, getpass.getuser())
    assert {name: getattr(request, name) for name in facts} == facts
    assert f"asked to {verb} {PROJECT}" in result.stdout
    assert "next poll" in result.stdout


def an_awaiting_state() -> ProjectState:
    state = a_breached_playbook(a_policy(Posture.APPROVE)).targets_listed().state
    assert state.incident is not None
    assert state.incident.state is State.AWAITING_APPROVAL
    return state


@pytest.mark.parametrize("project", [PROJECT, "shop", "all"])
@pytest.mark.parametrize("command", ["approve", "reject"])
def test_an_approval_is_for_the_incident_that_awaits_it_now(operated: Operated, command: str, project: str) -> None:
    state = an_awaiting_state()
    operated.save(state)
    result = operated.run_configured(command, project)
    assert result.exit_code == 0, result.output
    assert state.incident is not None
    assert [(one.verb, one.incident) for one in operated.asked()] == [(command, state.incident.id)]
    assert state.incident.id in result.stdout
    assert operated.asked("prj_later") == []


@pytest.mark.parametrize("project", [PROJECT, "all"])
@pytest.mark.parametrize("command", ["approve", "reject"])
def test_where_nothing_awaits_an_approval_nothing_is_asked(polled: Operated, command: str, project: str) -> None:
    result = polled.run_configured(command, project)
    assert result.exit_code == 1
    assert "nothing awaits an approval" in result.stderr
    assert polled.asked() == []


def test_whoever_became_root_asks_by_the_own_name(polled: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "grace")
    assert polled.run_configured("pause", PROJECT).exit_code == 0
    assert [one.by for one in polled.asked()] == ["grace"]


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 10001"), OSError("no username")])
def test_a_user_without_a_name_as_in_a_container_can_pause(
    polled: Operated, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def unknown() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert polled.run_configured("pause", PROJECT).exit_code == 0
    assert [one.by for one in polled.asked()] == [f"uid {os.getuid()}"]


def test_a_project_can_be_called_by_its_name(polled: Operated) -> None:
    assert polled.run_configured("pause", "shop").exit_code == 0
    assert [one.verb for one in polled.asked()] == [OperatorVerb.PAUSE]


def test_all_means_every_project_even_one_that_comes_later(polled: Operated) -> None:
    assert polled.run_configured("pause", "all").exit_code == 0
    assert len(polled.asked(PROJECT)) == 1
    assert len(polled.asked("prj_later")) == 1


def test_an_unknown_project_is_an_error_that_names_the_known_ones(polled: Operated) -> None:
    result = polled.run_configured("pause", "prj_nowhere")
    assert result.exit_code == 2
    assert "prj_nowhere" in result.stderr
    assert PROJECT in result.stderr
    assert polled.asked() == []


@pytest.mark.parametrize("span", ["nonsense", "5", "0s", "-5m", "1.5h", ""])
def test_a_length_of_time_that_is_none_says_what_to_write(polled: Operated, span: str) -> None:
    result = polled.run_configured("pause", PROJECT, f"--for={span}")
    assert result.exit_code == 2
    assert "90s, 5m, 1h30m or 2d" in result.stderr
    assert polled.asked() == []


def test_a_reason_of_any_length_does_not_stop_a_pause(polled: Operated) -> None:
    assert polled.run_configured("pause", PROJECT, "--reason", "because " * 200).exit_code == 0
    [request] = polled.asked()
    assert request.reason.startswith("because because")


@pytest.mark.parametrize("command", ["pause", "resume", "approve", "reject", "ack"])
def test_without_a_store_it_says_so_and_creates_none(operated: Operated, command: str) -> None:
    result = operated.run_configured(command, PROJECT)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert not operated.store.exists()


def test_a_wrong_configuration_is_told_and_nothing_is_asked(polled: Operated) -> None:
    polled.config.write_text("projects: []\n")
    result = polled.run_configured("pause", PROJECT)
    assert result.exit_code == 2
    assert "projects" in result.stderr
    assert polled.asked() == []
