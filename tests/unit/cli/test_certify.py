"""`lastgood certify` parses, calls and prints; what it cannot read, it refuses with exit status 2."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.cli.operating import Operated


def test_a_file_that_is_not_there_is_told(operated: Operated, tmp_path: Path) -> None:
    result = operated.run("certify", "--policy", str(tmp_path / "nothing.yaml"), "--traffic", "50rps")
    assert result.exit_code == 2
    assert "nothing.yaml" in result.stderr


def test_traffic_without_a_unit_is_told(operated: Operated) -> None:
    result = operated.run("certify", "--policy", str(operated.config), "--traffic", "50")
    assert result.exit_code == 2
    assert result.stderr == (
        "lastgood: --traffic '50' is not a rate; write 50rps (a second), 90rpm (a minute) or mixed\n"
    )


def test_a_plot_that_is_no_png_is_told_before_anything_is_simulated(operated: Operated) -> None:
    result = operated.run("certify", "--policy", str(operated.config), "--traffic", "50rps", "--plot", "delay.svg")
    assert result.exit_code == 2
    assert "does not end in .png" in result.stderr


@pytest.mark.slow
def test_it_prints_a_certificate_and_the_same_one_for_machines(operated: Operated) -> None:
    words = ("--policy", str(operated.config), "--traffic", "50rps", "--poll", "60s", "--runs", "1", "--workers", "1")
    text, plain = operated.run("certify", *words), operated.run("certify", *words, "--json")
    assert (text.exit_code, plain.exit_code) == (0, 0)
    figures = json.loads(plain.stdout)
    said = re.search(r"(\d+) in (\d+) healthy project-days", text.stdout)
    assert said
    assert (int(said[1]), int(said[2])) == (
        figures["false_rollbacks"]["count"],
        figures["false_rollbacks"]["total"],
    )
    assert text.stderr == plain.stderr == ""
