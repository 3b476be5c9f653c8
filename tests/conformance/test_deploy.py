"""`vercel deploy`, `redeploy`, `inspect` and `curl` by the real CLI: builds asked for, followed, read and visited."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from daemon.emulator import wire
from daemon.emulator.build_log import build_events
from daemon.emulator.ledger import LedgerEntry
from tests.conformance.equipment import with_curl, with_files
from tests.conformance.recording import load_recording
from tests.conformance.stage import Stage, Truth
from tests.conformance.vercel_cli import CliRun
from tests.requires import requires_vercel_cli

pytestmark = [requires_vercel_cli, pytest.mark.proof]


def log_of(stage: Stage, name: str) -> list[str]:
    deployment = stage.deployment(name)
    return [event["text"] for event in build_events(deployment, stage.project, stage.world.advance())]


def without(texts: Iterable[str], run: CliRun) -> CliRun:
    """Return *run* without the lines that its spinner took from a build log: which ones, is a matter of chance."""
    known = {text.strip() for text in texts} - {""}
    kept = [line for line in run.stderr.splitlines(keepends=True) if line.strip() not in known]
    return replace(run, stderr="".join(kept))


def without_repeated_polls(entries: Iterable[LedgerEntry], deployment_id: str) -> list[LedgerEntry]:
    """Return *entries* with only the first look at a new deployment: the CLI may look again while its log arrives."""
    kept: list[LedgerEntry] = []
    for entry in entries:
        is_poll = entry.method == "GET" and entry.path == f"/v13/deployments/{deployment_id}"
        if not (is_poll and entry.path in [other.path for other in kept]):
            kept.append(entry)
    return kept


async def deploys_as(stage: Stage, name: str) -> None:
    recording = load_recording(name)
    run = await stage.vercel(*recording.arguments)
    requests = without_repeated_polls(stage.requests, stage.deployment("cli-1").id)
    found = recording.differences(without(log_of(stage, "cli-1"), run), requests)
    assert not found, "\n".join(found)


async def test_a_preview_is_deployed_from_files_and_moves_nothing(stage: Stage, untouched: Truth) -> None:
    await deploys_as(with_files(stage), "deploy-preview")
    assert stage.truth() == untouched
    assert not stage.deployment("cli-1").is_production


async def test_a_production_deploy_uploads_what_is_missing_and_takes_the_domains(
    stage: Stage, untouched: Truth
) -> None:
    await deploys_as(with_files(stage, big=True), "deploy-production")
    moved = dict.fromkeys(untouched.domains, "cli-1")
    substates = {**untouched.substates, "cli-1": "PROMOTED"}
    assert stage.truth() == replace(untouched, production="cli-1", domains=moved, substates=substates)


async def test_a_deploy_that_skips_the_domain_stays_staged_until_it_is_promoted(stage: Stage, untouched: Truth) -> None:
    await deploys_as(with_files(stage), "deploy-staged")
    staged = {**untouched.substates, "cli-1": "STAGED"}
    assert stage.truth() == replace(untouched, substates=staged)
    assert (await stage.vercel("promote", stage.deployment("cli-1").url)).exit_code == 0
    assert stage.truth().production == "cli-1"


async def test_a_redeploy_builds_again_and_takes_the_domains(stage: Stage) -> None:
    await stage.conforms_to("redeploy")
    assert stage.truth().production == "v6-redeploy-1"
    assert stage.deployment("v6-redeploy-1").commit == stage.deployment("v6").commit


async def test_a_redeploy_that_nobody_waits_for_is_built_all_the_same(stage: Stage) -> None:
    await stage.conforms_to("redeploy-without-waiting")
    assert stage.truth().production == "v6-redeploy-1"


async def test_a_promote_of_a_preview_builds_it_for_production(stage: Stage) -> None:
    await stage.conforms_to("promote-preview")
    assert stage.truth().production == "v9-promote-1"
    assert stage.deployment("v9-promote-1").meta["action"] == "promote"


async def test_a_promote_of_a_preview_that_nobody_confirms_builds_nothing(stage: Stage, untouched: Truth) -> None:
    await stage.conforms_to("promote-preview-unconfirmed")
    assert stage.writes == []
    assert stage.truth() == untouched


async def test_inspect_as_json_has_the_world_s_own_values(stage: Stage) -> None:
    recording = load_recording("inspect-json")
    run = await stage.vercel(*recording.arguments)
    assert recording.differences(run, stage.requests) == []
    deployment = stage.deployment("v7")
    assert json.loads(run.stdout) == {
        "id": deployment.id,
        "name": "web",
        "url": deployment.url,
        "target": "production",
        "readyState": "READY",
        "createdAt": deployment.created_at_ms,
        "aliases": ["web-acme.vercel.app", "www.example.com"],
        "builds": wire.builds(deployment, "nextjs")["builds"],
        "contextName": "acme",
    }


async def test_inspect_prints_every_line_of_the_build_log(stage: Stage) -> None:
    recording = load_recording("inspect-logs")
    run = await stage.vercel(*recording.arguments)
    timed = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)  ?(.*)")
    printed = [match.groups() for line in run.stderr.splitlines() if (match := timed.fullmatch(line))]
    events = build_events(stage.deployment("v7"), stage.project, stage.world.now_ms)
    assert printed == [(wire.iso(event["created"]), event["text"].strip()) for event in events]
    rest = [line for line in run.stderr.splitlines(keepends=True) if not timed.fullmatch(line.rstrip("\n"))]
    assert recording.differences(replace(run, stderr="".join(rest)), stage.requests) == []


async def test_inspect_prints_the_events_of_the_log_as_json(stage: Stage) -> None:
    recording = load_recording("inspect-logs-json")
    run = await stage.vercel(*recording.arguments)
    assert recording.differences(run, stage.requests) == []
    assert json.loads(run.stdout) == build_events(stage.deployment("v7"), stage.project, stage.world.now_ms)


@pytest.mark.parametrize("recording", ["curl", "curl-production"])
async def test_curl_brings_the_secret_that_opens_a_protected_site(stage: Stage, recording: str) -> None:
    equipped = with_curl(stage)
    await equipped.conforms_to(recording)
    status, _, _ = (stage.cli.home / "answer").read_text().partition(" ")
    assert status == "404", "the site has no such route, but it did not ask for a login"


async def test_curl_makes_a_secret_where_there_is_none_and_waits_until_it_has_spread(stage: Stage) -> None:
    stage.project.bypasses.clear()
    run = await with_curl(stage).vercel("curl", "/", "--deployment", f"https://{stage.deployment('v9').url}")
    assert run.exit_code == 0
    assert [(entry.method, entry.path) for entry in stage.writes] == [
        ("PATCH", f"/v1/projects/{stage.project.id}/protection-bypass")
    ]
    (secret,) = stage.project.bypasses
    assert f"x-vercel-protection-bypass: {secret}" in run.stdout
    assert (stage.cli.home / "answer").read_text().startswith("200 ")
