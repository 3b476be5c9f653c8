"""The real CLI reads the emulator as it reads Vercel: who, which, what; and nothing is written."""

import json
import re

import pytest

from tests.conformance.stage import ONE_PROJECT_TOKEN, Stage, Truth
from tests.requires import requires_vercel_cli

pytestmark = [requires_vercel_cli, pytest.mark.slow]


async def test_whoami_names_the_user_of_the_token(stage: Stage) -> None:
    await stage.conforms_to("whoami")


@pytest.mark.parametrize("recording", ["rollback-without-argument", "promote-without-argument"])
async def test_rollback_and_promote_without_an_argument_only_read(
    stage: Stage, untouched: Truth, recording: str
) -> None:
    await stage.conforms_to(recording)
    assert stage.writes == []
    assert stage.truth() == untouched


async def test_list_prod_shows_the_staged_build_first_and_does_not_mark_production(stage: Stage) -> None:
    await stage.conforms_to("list-production")


async def test_list_prod_pages_by_the_cursor_that_it_was_given(stage: Stage) -> None:
    pages: list[list[str]] = []
    following: list[str] = []
    while True:
        run = await stage.vercel("list", "--prod", "--limit", "3", *following)
        assert run.exit_code == 0
        pages.append([line.removeprefix("https://web-0")[0] for line in run.stdout.split()])
        offered = re.search(r"To display the next page, run `vercel ls .*--next (\d+)`", run.stderr)
        if offered is None:
            break
        following = ["--next", offered[1]]
    assert pages == [["8", "7", "6"], ["5", "4", "3"], ["2", "1"]]
    cursors = [entry.query.partition("until=")[2].partition("&")[0] for entry in stage.requests if "v6" in entry.path]
    assert cursors == ["", str(stage.deployment("v6").created_at_ms), str(stage.deployment("v3").created_at_ms)]


async def test_inspect_prints_the_deployment_with_its_aliases_and_builds(stage: Stage) -> None:
    await stage.conforms_to("inspect")


async def test_api_passes_a_get_and_its_answer_on(stage: Stage) -> None:
    await stage.conforms_to("api-get")
    run = await stage.vercel("api", f"/v9/projects/{stage.project.id}?rollbackInfo=true")
    body = json.loads(run.stdout)
    assert body["id"] == stage.project.id
    assert body["name"] == "web"
    assert body["accountId"] == stage.world.team.id
    assert body["targets"]["production"]["id"] == stage.deployment("v7").id
    assert body["autoAssignCustomDomains"] is True
    assert body["lastAliasRequest"] is None


async def test_an_unknown_token_is_refused_at_the_first_request(stage: Stage, untouched: Truth) -> None:
    await stage.conforms_to("token-unknown", token="tok_nobody")
    assert stage.writes == []
    assert stage.truth() == untouched


async def test_a_token_of_one_project_has_no_user_which_every_command_asks_for(stage: Stage) -> None:
    await stage.conforms_to("token-of-one-project", token=ONE_PROJECT_TOKEN)
    assert stage.writes == []
