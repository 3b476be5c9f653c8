"""The `lastgood` command as a whole: what it offers, and how it refuses what it cannot do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from daemon import __version__
from daemon.cli import app
from daemon.cli.config import CONFIG_DEFAULT
from tests.unit.cli.operating import Operated

TREE = Path(__file__).resolve().parents[3]
COMMANDS = (
    "run",
    "check-config",
    "doctor",
    "status",
    "explain",
    "backtest",
    "record",
    "certify",
    "decide",
    "demo",
    "emulator",
    "drain",
    "pause",
    "resume",
    "approve",
    "reject",
    "ack",
)


def test_the_version_is_the_packages_own(operated: Operated) -> None:
    assert operated.run("--version").stdout == f"lastgood {__version__}\n"


def test_help_lists_every_command_with_a_sentence(operated: Operated) -> None:
    text = operated.run("--help").stdout
    listed = dict(re.findall(r"^  ([a-z-]+) {2,}(\S.*)$", text[text.index("Commands:") :], flags=re.MULTILINE))
    assert set(listed) == set(COMMANDS)
    assert all(len(sentence.split()) >= 3 for sentence in listed.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_its_options(operated: Operated, command: str) -> None:
    result = operated.run(command, "--help")
    assert result.exit_code == 0
    options = [line for line in result.stdout.splitlines() if line.startswith("  -")]
    assert options
    assert all(len(re.split(r" {2,}", line.strip())) >= 2 or line.rstrip().endswith("]") for line in options), options


def test_without_a_command_it_shows_the_help(operated: Operated) -> None:
    result = operated.run()
    assert "Commands:" in result.output


def test_the_app_names_no_command_that_the_tests_do_not_know() -> None:
    assert tuple(one.name for one in app.registered_commands) == COMMANDS


def test_what_a_page_tells_people_to_type_finds_the_configuration_of_the_unit_and_the_image() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name in ("status", "pause", "resume", "approve", "reject", "ack"):
        [config] = [one for one in commands[name].params if one.name == "config"]
        assert config.default == CONFIG_DEFAULT, name
    for artefact in (Path("deploy", "systemd", "lastgood.service"), Path("Dockerfile")):
        assert str(CONFIG_DEFAULT) in (TREE / artefact).read_text(encoding="utf-8")


def test_an_unknown_scenario_of_the_emulator_names_those_that_exist(operated: Operated) -> None:
    result = operated.run("emulator", "--scenario", "nonsense", "--port", "0")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "bad-deployment" in result.stderr


@pytest.mark.parametrize("command", ["run", "status", "check-config"])
def test_a_wrong_configuration_is_told_line_by_line_without_a_traceback(operated: Operated, command: str) -> None:
    operated.config.write_text(operated.config.read_text() + "pol: {interval: 15s}\n")
    result = operated.run_configured(command)
    assert result.exit_code == 2
    assert re.search(r"lastgood\.yaml:4:\d+: pol", result.stderr)
    assert "Traceback" not in result.output
    assert "tok_of_the_operator" not in result.output


def test_a_configuration_that_is_not_there_is_told(operated: Operated) -> None:
    operated.config.unlink()
    result = operated.run_configured("run")
    assert result.exit_code == 2
    assert str(operated.config) in result.stderr


@pytest.mark.slow
def test_run_says_in_one_line_that_its_store_cannot_be_opened(operated: Operated) -> None:
    operated.store.write_bytes(b"not a database, but long enough to look like one " * 40)
    result = run_for_real(operated)
    assert result.returncode == 1
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("lastgood: ")
    assert str(operated.store) in line


def run_for_real(operated: Operated) -> subprocess.CompletedProcess[str]:
    """Return `lastgood run`, ended by itself."""
    command = [sys.executable, "-m", "daemon", "run", "--config", str(operated.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
