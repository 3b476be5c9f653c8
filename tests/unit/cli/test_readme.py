"""The transcript in the README is what the demo prints."""

import re
from pathlib import Path

from daemon.cli.demo_show import title
from daemon.core.guardrail import Posture
from daemon.settings import PolicySettings

README = (Path(__file__).parents[3] / "README.md").read_text()
TRANSCRIPT = README.split("<!-- transcript -->")[1].split("<!-- end of the transcript -->")[0]


def test_it_begins_with_the_demos_own_scenario_policy_and_clock_factor() -> None:
    policy = PolicySettings(posture=Posture.AUTOMATIC).policy()
    assert title("bad-deployment", 20.0, policy).strip() in TRANSCRIPT


def test_its_timeline_is_that_of_a_verified_rollback() -> None:
    timeline = TRANSCRIPT.split("\nIncident ")[1].split("\n\n")[0]
    states = re.findall(r"^\d\d:\d\d:\d\d  (\w+) ", timeline, re.MULTILINE)
    assert states == ["detected", "mitigating", "verifying", "resolved"]
    assert "\nOK: production is back on the good deployment, and the recovery was verified" in TRANSCRIPT
