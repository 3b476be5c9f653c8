"""Commands of the real CLI that nobody recorded: what they print is the world's, and what they write is done."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.emulator.fault_specs import JobFault, JobOutcome
from tests.conformance.guide import GUIDE_WORLD
from tests.conformance.stage import Stage, Truth, staged
from tests.requires import VERCEL_CLI_PACKAGES, requires_vercel_cli, requires_vercel_clients

pytestmark = [requires_vercel_cli, pytest.mark.proof]


async def said(stage: Stage, *arguments: str) -> str:
    """Run the CLI, which must succeed; return what it printed."""
    run = await stage.vercel(*arguments)
    assert run.exit_code == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


async def data(stage: Stage, *arguments: str) -> Any:
    """Run the CLI, which must succeed and print JSON; return what that says."""
    run = await stage.vercel(*arguments, "--json")
    assert run.exit_code == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


async def test_webhooks_are_created_listed_inspected_and_removed(stage: Stage) -> None:
    events = ("--event", "deployment.rollback", "--event", "deployment.promoted")
    made = await said(stage, "webhooks", "create", "http://127.0.0.1:9/hook", *events, "--project", stage.project.id)
    found = re.search(r"Webhook created: (\w+)", made)
    assert found is not None
    assert re.search(r"it will not be shown again: \w{20,}", made)
    (row,) = (await data(stage, "webhooks", "list"))["webhooks"]
    assert (row["id"], row["url"], row["projectIds"]) == (found[1], "http://127.0.0.1:9/hook", [stage.project.id])
    assert row["events"] == ["deployment.rollback", "deployment.promoted"]
    assert "deployment.promoted" in await said(stage, "webhooks", "inspect", found[1])
    await said(stage, "webhooks", "remove", found[1], "--yes")
    assert (await data(stage, "webhooks", "list"))["webhooks"] == []


async def test_rolling_releases_are_configured_started_inspected_and_switched_off(stage: Stage) -> None:
    words = ("--enable", "--advancement-type=automatic", "--stage=10,5m", "--stage=50,10m")
    assert "Successfully configured" in await said(stage, "rolling-release", "configure", *words)
    await said(stage, "rolling-release", "start", "--dpl", stage.deployment("v8").id, "--yes")
    shown = await said(stage, "rolling-release", "inspect")
    release = json.loads(shown[shown.index("{") :])
    assert (release["state"], release["activeStage"]["duration"]) == ("ACTIVE", 300)
    assert [item["targetPercentage"] for item in release["stages"]] == [10, 50, 100]
    assert release["canaryDeployment"]["id"] == stage.deployment("v8").id
    assert release["currentDeployment"]["id"] == stage.deployment("v7").id
    await said(stage, "rolling-release", "abort", "--dpl", stage.deployment("v7").id)
    assert "Successfully disabled" in await said(stage, "rolling-release", "configure", "--disable")
    assert stage.world.rolling.config(stage.project) is None


async def test_a_promote_that_failed_in_part_lists_the_domain_that_did_not_move(stage: Stage) -> None:
    stage.world.faults.set(JobFault(outcome=JobOutcome.PARTIAL))
    run = await stage.vercel("promote", stage.deployment("v8").url)
    assert run.exit_code == 1
    assert re.search(rf"failed +www\.example\.com \({stage.deployment('v7').id}\)", run.stderr)
    assert "web-acme.vercel.app" not in run.stderr


async def test_the_rule_that_every_team_has_is_listed_and_inspected(stage: Stage) -> None:
    (rule,) = (await data(stage, "alerts", "rules", "list"))["rules"]
    assert re.search(r"All anomalies .*all triggers; minimum warning", await said(stage, "alerts", "rules", "list"))
    shown = await said(stage, "alerts", "rules", "inspect", rule["id"])
    for fact in (r"Scope +all projects", r"Default +yes", r"Minimum severity +warning", r"Triggers +all built-in"):
        assert re.search(fact, shown), fact


@requires_vercel_clients
@pytest.mark.parametrize("version", VERCEL_CLI_PACKAGES)
async def test_the_metrics_that_can_be_counted_are_listed_in_both_dialects(stage: Stage, version: str) -> None:
    listed = await said(replace(stage, cli=replace(stage.cli, version=version)), "metrics", "schema")
    found = set(re.findall(r"vercel\.\w+\.count", listed))
    assert found == {"vercel.request.count", "vercel.function_invocation.count"}


async def test_teams_and_projects_are_listed(stage: Stage) -> None:
    (team,) = (await data(stage, "teams", "list"))["teams"]
    assert (team["id"], team["slug"], team["plan"]) == (stage.world.team.id, "acme", "pro")
    (project,) = (await data(stage, "project", "list"))["projects"]
    assert (project["id"], project["name"]) == (stage.project.id, "web")
    assert project["latestProductionUrl"] == "https://web-acme.vercel.app"


async def test_variables_are_listed_by_name_without_a_value(tmp_path: Path) -> None:
    async with staged(tmp_path, scenario=GUIDE_WORLD) as stage:
        rows = (await data(stage, "env", "list"))["envs"]
        wanted = stage.project.spec.env
        assert [(row["key"], row["target"]) for row in rows] == [(item.key, list(item.target)) for item in wanted]
        assert [row.get("value") for row in rows] == [None, None]


async def test_aliases_are_listed_with_what_they_point_to(stage: Stage) -> None:
    await said(stage, "rollback", stage.deployment("v6").url)
    rows = (await data(stage, "alias", "list"))["aliases"]
    assert {row["alias"]: row["deploymentId"] for row in rows} == dict.fromkeys(
        stage.project.domains, stage.deployment("v6").id
    )


async def test_a_removed_deployment_can_no_longer_be_rolled_back_to(stage: Stage, untouched: Truth) -> None:
    old = stage.deployment("v6")
    await said(stage, "remove", old.id, "--yes")
    refused = await stage.vercel("rollback", old.id)
    assert refused.exit_code == 1
    assert stage.truth() == untouched
    urls = (await said(stage, "list", "--prod")).split()
    assert f"https://{old.url}" not in urls


async def test_a_safe_remove_leaves_what_serves(stage: Stage, untouched: Truth) -> None:
    run = await stage.vercel("remove", stage.deployment("v7").id, "--yes", "--safe")
    assert run.exit_code == 1
    assert "Could not find unaliased deployments" in run.stderr
    assert (stage.truth(), stage.writes) == (untouched, [])
