"""`lastgood pause | resume | approve | reject | ack`: each puts exactly what was asked into the daemon's queue."""

import getpass

import pytest

from daemon.core.event import OperatorVerb
from daemon.core.state import ProjectState
from tests.builders import PROJECT
from tests.unit.cli.operating import Operated


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
        (["approve"], OperatorVerb.APPROVE, {"incident": None}),
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
