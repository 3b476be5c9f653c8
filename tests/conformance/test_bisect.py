"""`vercel bisect` by the real CLI in every form that was recorded, and seeded histories in which it must be right."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.emulator import Scenario
from daemon.emulator.fault_specs import PageFault
from tests.conformance.bisection import first_bad
from tests.conformance.recording import load_recording
from tests.conformance.stage import ACTOR_TOKEN, Stage, serving
from tests.conformance.vercel_cli import VercelCli
from tests.requires import requires_vercel_cli
from tests.unit.emulator.driving import a_scenario, driving

CLI_SEEDS = (3, 17, 42)
_NOISE = ({"ends": "ERROR"}, {"target": "preview"}, {"ends": "CANCELED"})
_SCRIPT = """#!/bin/sh
echo "ARG1=$1 HOST=$HOST URL=$URL" >&2
case "$HOST" in web-04*) exit 125;; web-01*|web-02*|web-03*) exit 0;; *) exit 1;; esac
"""


def with_script(stage: Stage) -> Stage:
    """Put a script beside the CLI that skips v4 and finds everything from v5 on bad."""
    script = stage.cli.home / "t.sh"
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    return stage


@requires_vercel_cli
@pytest.mark.proof
@pytest.mark.parametrize(
    "recording",
    [
        "bisect",
        "bisect-without-path",
        "bisect-path-of-url",
        "bisect-wrong-order",
        "bisect-missing-script",
        "bisect-adjacent",
        "bisect-by-hand",
    ],
)
async def test_bisect_asks_and_says_what_was_recorded(stage: Stage, recording: str) -> None:
    recorded = load_recording(recording)
    run = await with_script(stage).vercel(*recorded.arguments)
    # The CLI names the script by its whole path.
    run = replace(run, stderr=run.stderr.replace(f"{stage.cli.home}/", "./"))
    assert recorded.differences(run, stage.requests) == []
    assert stage.writes == []


@requires_vercel_cli
@pytest.mark.proof
async def test_bisect_reads_on_where_a_page_ends(stage: Stage) -> None:
    stage.world.faults.set(PageFault(rows=3))
    await with_script(stage).conforms_to("bisect-paged")
    cursors = [entry.query.partition("until=")[2].partition("&")[0] for entry in stage.requests if "v6" in entry.path]
    ends = [stage.deployment("v7").created_at_ms + 1, *(stage.deployment(name).created_at_ms for name in ("v5", "v2"))]
    assert cursors == [str(end) for end in ends]


def chance(seed: int, *what: object) -> float:
    """Return a number in 0..1 that depends on *seed* and on what is decided by it."""
    digest = hashlib.sha256(repr((seed, *what)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def a_history(seed: int) -> tuple[Scenario, str]:
    """Return a seeded history of production builds, failed and preview ones among them, and its first bad build."""
    count = 3 + int(chance(seed, "count") * 138)
    planted = 2 + int(chance(seed, "planted") * (count - 2))
    deployments: list[dict[str, object]] = []
    for number in range(1, count + 1):
        age_seconds = (count - number + 1) * 420
        failures = [{"ratio": 1.0, "status": 500}] if number >= planted else []
        is_staged = number not in (1, count) and chance(seed, "staged", number) < 0.2
        build = {"name": f"b{number}", "age": f"{age_seconds}s", "build": "60s"}
        deployments.append({**build, "failures": failures, "staged": is_staged})
        if chance(seed, "noise", number) < 0.3:
            kind = _NOISE[int(chance(seed, "kind", number) * len(_NOISE))]
            noise = {"name": f"noise{number}", "age": f"{age_seconds - 90}s", "build": "30s"}
            deployments.append({**noise, **kind})
    project = {
        "name": "web",
        "deployments": deployments,
        "traffic": {"requests_per_second": 0, "baseline_error_ratio": 0, "routes": [{"path": "/"}]},
    }
    tokens = [{"value": ACTOR_TOKEN, "name": "actor"}]
    return a_scenario(projects=[project], tokens=tokens, seed=seed), f"b{planted}"


def ends_of(scenario: Scenario) -> tuple[str, str]:
    """Return the names of the oldest and the newest production build that is ready."""
    ready = [item.name for item in scenario.projects[0].deployments if item.name.startswith("b")]
    return ready[0], ready[-1]


@pytest.mark.proof
async def test_fifty_seeded_histories_give_up_their_first_bad_build() -> None:
    for seed in range(50):
        scenario, planted = a_history(seed)
        async with driving(scenario) as vercel:
            vercel.client.headers["Authorization"] = f"Bearer {ACTOR_TOKEN}"
            good, bad = (vercel.world.deployment("web", name) for name in ends_of(scenario))
            async with vercel.client_as(None) as visitor:

                async def tested(url: str) -> str:
                    answer = await visitor.get("/", headers={"host": url})
                    return "bad" if answer.status_code >= 500 else "good"

                found = await first_bad(vercel.client, good=good.url, bad=bad.url, judge=tested)
        assert found == vercel.world.deployment("web", planted).url, f"seed {seed}"


@requires_vercel_cli
@pytest.mark.proof
@pytest.mark.parametrize("seed", CLI_SEEDS)
async def test_the_real_cli_finds_the_same_build_by_visiting_the_sites(tmp_path: Path, seed: int) -> None:
    scenario, planted = a_history(seed)
    async with serving(scenario) as server:
        cli = VercelCli(
            api_url=server.url,
            token=ACTOR_TOKEN,
            home=tmp_path,
            organization_id=server.world.team.id,
            project_id=server.world.project("web").id,
        )
        stage = Stage(server.world, cli)
        visitor = tmp_path / "visit.py"
        visitor.write_text(_visiting(server.port))
        visitor.chmod(0o755)
        good, bad = (stage.deployment(name).url for name in ends_of(scenario))
        run = await replace(cli).run("bisect", "--good", good, "--bad", bad, "--path", "/", "--run", "./visit.py")
        assert run.exit_code == 0, run.stderr
        assert f"The first bad deployment is: https://{stage.deployment(planted).url}" in run.stderr
        assert stage.writes == []


def _visiting(port: int) -> str:
    lines: Sequence[str] = (
        f"#!{sys.executable}",
        "import http.client, os, sys",
        f'connection = http.client.HTTPConnection("127.0.0.1", {port})',
        'connection.request("GET", "/", headers={"Host": os.environ["HOST"]})',
        "sys.exit(int(connection.getresponse().status >= 500))",
    )
    return "\n".join(lines) + "\n"
