"""What operators deploy is sound: the systemd unit verifies and is hardened, the Dockerfile is linted and locked."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import TREE
from tests.requires import requires_hadolint, requires_systemd, venv_program

UNIT = TREE / "deploy" / "systemd" / "lastgood.service"
DOCKERFILE = TREE / "Dockerfile"
# On the scale of systemd-analyze, 0 to 10, lower is better; a daemon that must reach the network gets no lower than 1.
EXPOSURE_MAX = 1.5


def _installed_unit(folder: Path, text: str) -> Path:
    """Write a unit whose program exists on any machine; systemd-analyze refuses one that is not installed."""
    unit = folder / UNIT.name
    unit.write_text(text.replace("/opt/lastgood/bin/lastgood", shutil.which("true") or "/bin/true"), encoding="utf-8")
    return unit


def _verify(unit: Path) -> str:
    """Return everything that systemd has to say against a unit; its exit status is 0 even for unknown keys."""
    result = subprocess.run(["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True)
    return result.stdout + result.stderr + ("" if result.returncode == 0 else f"exit {result.returncode}")


@pytest.mark.slow
@requires_systemd
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    assert _verify(_installed_unit(tmp_path, UNIT.read_text(encoding="utf-8"))) == ""


@pytest.mark.slow
@requires_systemd
def test_a_misspelt_key_in_the_unit_would_be_noticed(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("ProtectHome=", "ProtectHoome=")
    assert "Unknown key" in _verify(_installed_unit(tmp_path, text))


@pytest.mark.slow
@requires_systemd
def test_the_unit_exposes_little(tmp_path: Path) -> None:
    unit = _installed_unit(tmp_path, UNIT.read_text(encoding="utf-8"))
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}", unit]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    score = re.search(r"Overall exposure level for lastgood\.service: ([\d.]+)", result.stdout)
    assert score, result.stderr
    assert float(score[1]) <= EXPOSURE_MAX
    assert result.returncode == 0


def test_the_unit_never_gives_up_but_on_a_configuration_that_is_refused() -> None:
    """`lastgood run` checks the configuration itself, and Restart= knows nothing of a program before it."""
    text = UNIT.read_text(encoding="utf-8")
    assert re.findall(r"^(?:StartLimit|Restart)\w*=.*$", text, flags=re.MULTILINE) == [
        "StartLimitIntervalSec=0",
        "Restart=always",
        "RestartSec=5s",
        "RestartPreventExitStatus=2",
    ]
    assert re.findall(r"^(Exec\w+)=", text, flags=re.MULTILINE) == ["ExecStart"]


def test_the_unit_keeps_tokens_out_of_arguments_and_environment() -> None:
    settings = re.findall(r"^(Exec\w+|Environment\w*)=(.*)$", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert settings
    assert not [value for _, value in settings if re.search(r"token|secret|password", value, flags=re.IGNORECASE)]


@requires_hadolint
@pytest.mark.slow
def test_hadolint_has_nothing_to_say_against_the_dockerfile() -> None:
    command = [venv_program("hadolint") or "hadolint", "--no-color", str(DOCKERFILE)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_dockerfile_installs_by_hash_only_and_does_not_run_as_root() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"pip (?:install|wheel)[^&\n]*", text)
    assert len(installs) == 4
    assert all("--require-hashes" in install or "--no-deps" in install for install in installs)
    assert re.findall(r"^USER (\S+)", text, flags=re.MULTILINE)[-1] == "10001:10001"
    assert re.search(r"^ARG BASE=\S+:\S+$", text, flags=re.MULTILINE)


def test_everything_that_the_dockerfile_copies_is_let_through_by_its_ignore_file() -> None:
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    copied = {name for line in copies for name in line.split()}
    ignore = (TREE / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert "*" in ignore
    assert copied == let_through
    assert not [name for name in copied if not (TREE / name).exists()]
