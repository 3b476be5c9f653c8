"""Vercel's guide "Rolling back a production deployment", walked word by word by both CLIs, and where its words fail.

From the first error to a fix that serves, and each promise of the guide that does not hold is a test that says so.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conformance.equipment import PAGE, with_curl, with_files
from tests.conformance.guide import BROKEN_ROUTE, GUIDE_WORLD, OLD, AheadClock, Guide
from tests.conformance.stage import staged
from tests.requires import VERCEL_CLI_VERSION, requires_vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.proof]


@pytest.fixture(params=[VERCEL_CLI_VERSION, OLD])
async def guide(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Guide]:
    clock = AheadClock()
    async with staged(tmp_path, clock=clock, scenario=GUIDE_WORLD) as stage:
        yield Guide(with_curl(with_files(stage)), clock, request.param)


@pytest.fixture
async def rolled_back(guide: Guide) -> Guide:
    """The guide after its step 3: production is back on v3, and the project is pinned."""
    await guide.succeeding("rollback", guide.stage.deployment("v3").url)
    assert (guide.stage.truth().production, guide.stage.truth().auto_assigns) == ("v3", False)
    return guide


async def test_a_problem_is_confirmed_rolled_back_and_seen_to_be_over(guide: Guide) -> None:
    """Steps 1 to 3."""
    builds = len(guide.stage.world.deployments)
    printed = await guide.production_errors(since="30m")
    assert len(printed) > 50
    assert len(guide.failed(since_ms=0)) > 50
    run = await guide.succeeding("rollback", guide.stage.deployment("v3").url)
    assert "Success! web was rolled back to" in run.stderr
    assert guide.stage.deployment("v3").id in (await guide.succeeding("rollback", "status")).stderr
    assert guide.stage.truth().production == "v3"
    assert len(guide.stage.world.deployments) == builds, "nothing was built"
    (move,) = guide.stage.world.ledger.moves
    assert move.at_ms - guide.stage.project.jobs[-1].requested_at_ms < 5_000, "within seconds"
    since_ms = guide.pass_minutes(6)
    assert await guide.production_errors(since="5m") == []
    assert guide.failed(since_ms=since_ms) == []
    assert len(guide.happened(since_ms=since_ms)) > 500, "and yet there were visitors"


async def test_the_bad_deployment_is_identified_and_its_logs_differ_from_the_good_ones(rolled_back: Guide) -> None:
    """Steps 4 to 6."""
    listed = await rolled_back.succeeding("list", "--prod")
    urls = [rolled_back.stage.deployment(f"v{number}").url for number in (5, 4, 3, 2, 1)]
    assert listed.stdout.split() == [f"https://{url}" for url in urls]
    bad = rolled_back.stage.deployment("v4")
    log = (await rolled_back.succeeding("inspect", bad.url, "--logs")).stderr
    assert "warning: CURRENCY_KEY is not set" in log
    assert "warning: 'currency' is deprecated" in log
    assert len(await rolled_back.logged_errors(bad.id)) > 10
    assert await rolled_back.logged_errors(rolled_back.stage.deployment("v3").id) == []


async def test_bisect_finds_the_deployment_that_broke_the_route(rolled_back: Guide) -> None:
    """Step 7, with the path that the guide leaves out."""
    rolled_back.write_script("test.sh")
    good, bad = (rolled_back.stage.deployment(name).url for name in ("v1", "v5"))
    words = ("--good", good, "--bad", bad, "--path", BROKEN_ROUTE, "--run", "./test.sh")
    run = await rolled_back.succeeding("bisect", *words)
    assert f"The first bad deployment is: https://{rolled_back.stage.deployment('v4').url}" in run.stderr


async def deploy_a_fix_as_preview(guide: Guide) -> str:
    """Step 8: deploy a preview, visit what failed through the protection, look for errors; return its host."""
    run = await guide.succeeding("deploy")
    preview = guide.stage.deployment("cli-1")
    assert run.stdout.strip() == f"https://{preview.url}"
    assert not preview.is_production
    answer = guide.stage.cli.home / "answer"
    await guide.succeeding("curl", BROKEN_ROUTE, "--deployment", f"https://{preview.url}")
    assert answer.read_text().startswith("200 ")
    await guide.succeeding("curl", "/index.html", "--deployment", f"https://{preview.url}")
    assert answer.read_text() == f"200 {PAGE}"
    assert await guide.logged_errors(preview.id) == []
    return preview.url


async def confirm_the_fix(guide: Guide, name: str) -> None:
    """Step 9's last word: the fix serves, the pin is over and nothing fails."""
    truth = guide.stage.truth()
    assert (truth.production, set(truth.domains.values()), truth.auto_assigns) == (name, {name}, True)
    assert truth.substates[name] == "PROMOTED"
    assert guide.stage.deployment(name).id in (await guide.succeeding("promote", "status")).stderr
    since_ms = guide.pass_minutes(6)
    assert await guide.production_errors(since="5m") == []
    assert guide.failed(since_ms=since_ms) == []
    assert {row.key.deployment_id for row in guide.happened(since_ms=since_ms)} == {guide.stage.deployment(name).id}
    assert await guide.visit("/index.html") == (200, PAGE)
    await guide.succeeding("deploy", "--prod")
    assert guide.stage.truth().production == "cli-2", "and the next production build goes live by itself"


async def test_a_fix_is_deployed_visited_and_promoted(rolled_back: Guide) -> None:
    """Steps 8 and 9 by `vercel promote`, which the guide calls an alternative: the preview is built for production.

    Nothing documents what becomes of that build while the project is rolled back. Here it is a production build like
    any other, which waits: the CLI only says that it was created, so that a second promote is the safe thing to do.
    """
    url = await deploy_a_fix_as_preview(rolled_back)
    run = await rolled_back.succeeding("promote", url, "--yes")
    assert "Successfully created new deployment of web" in run.stderr
    rebuilt = rolled_back.stage.deployment("cli-1-promote-1")
    assert (rebuilt.is_production, rebuilt.meta["action"]) == (True, "promote")
    assert rebuilt.files == rolled_back.stage.deployment("cli-1").files
    assert rolled_back.stage.truth().substates[rebuilt.name] == "STAGED"
    assert rolled_back.stage.truth().production == "v3"
    # For three minutes the CLI takes the rollback for a promotion; of the one that was asked for it knows nothing.
    status = await rolled_back.succeeding("promote", "status")
    assert f"Success! web was promoted to {rolled_back.stage.deployment('v3').url}" in status.stderr
    promoted = await rolled_back.succeeding("promote", rebuilt.url)
    assert f"Success! web was promoted to {rebuilt.url}" in promoted.stderr
    await confirm_the_fix(rolled_back, rebuilt.name)


async def test_a_promoted_preview_goes_live_at_once_where_nothing_is_rolled_back(guide: Guide) -> None:
    url = await deploy_a_fix_as_preview(guide)
    await guide.succeeding("promote", url, "--yes")
    guide.pass_minutes(0.1)
    assert guide.stage.truth().production == "cli-1-promote-1"


async def test_a_staged_production_build_is_promoted_without_a_rebuild(rolled_back: Guide) -> None:
    """Vercel's guide "Promoting Deployments": stage with `--skip-domain`, promote when ready; no rebuild."""
    await rolled_back.succeeding("deploy", "--prod", "--skip-domain")
    staged_build, builds = rolled_back.stage.deployment("cli-1"), len(rolled_back.stage.world.deployments)
    assert rolled_back.stage.truth().substates["cli-1"] == "STAGED"
    await rolled_back.succeeding("promote", staged_build.url)
    assert len(rolled_back.stage.world.deployments) == builds
    await confirm_the_fix(rolled_back, "cli-1")


# Where the guide's words fail


async def test_rollback_without_an_argument_rolls_nothing_back(guide: Guide) -> None:
    """The guide: "Roll back to the previous production deployment: `vercel rollback`"."""
    run = await guide.succeeding("rollback")
    assert "No deployment rollback in progress" in run.stderr
    assert (guide.stage.truth().production, guide.stage.writes) == ("v5", [])


async def test_deploy_prod_ships_nothing_while_the_project_is_rolled_back_and_does_not_say_so(
    rolled_back: Guide,
) -> None:
    """The guide: "When the fix passes verification, deploy to production: `vercel deploy --prod`"."""
    run = await rolled_back.succeeding("deploy", "--prod")
    fix = rolled_back.stage.deployment("cli-1")
    assert "✓ Ready in" in run.stderr
    assert not re.search(r"staged|promote", run.stderr, re.IGNORECASE)
    rolled_back.pass_minutes(1)
    assert rolled_back.stage.truth().production == "v3"
    assert rolled_back.stage.truth().substates["cli-1"] == "STAGED"
    await rolled_back.succeeding("promote", fix.url)
    await confirm_the_fix(rolled_back, "cli-1")


async def test_neither_list_nor_inspect_shows_a_commit(rolled_back: Guide) -> None:
    """The guide: "the git commits that triggered them", "the git commit SHA, branch, build time"."""
    bad = rolled_back.stage.deployment("v4")
    for words in (("list", "--prod"), ("inspect", bad.url)):
        run = await rolled_back.succeeding(*words)
        for secret in (bad.commit.sha[:7], bad.commit.message, bad.commit.author, "main"):
            assert secret not in run.stdout + run.stderr, words


async def test_bisect_without_a_path_asks_for_one_and_ends_without_a_result(rolled_back: Guide) -> None:
    """The guide: `vercel bisect --good <url> --bad <url> --run ./test.sh`, "to automate the bisect"."""
    rolled_back.write_script("test.sh")
    good, bad = (rolled_back.stage.deployment(name).url for name in ("v1", "v5"))
    run = await rolled_back.vercel("bisect", "--good", good, "--bad", bad, "--run", "./test.sh")
    assert run.exit_code == 0
    assert "Specify the URL subpath" in run.stderr
    assert "first bad deployment" not in run.stderr


async def test_promote_of_a_preview_asks_first_and_without_a_terminal_fails(rolled_back: Guide) -> None:
    """The guide: `vercel promote <deployment-url>`, "to promote any existing deployment"."""
    url = await deploy_a_fix_as_preview(rolled_back)
    before = len(rolled_back.stage.writes)
    run = await rolled_back.vercel("promote", url)
    assert run.exit_code == 1
    assert "cannot be directly\npromoted" in run.stderr
    assert len(rolled_back.stage.writes) == before


@pytest.mark.parametrize(("answer", "exit_code"), [("accept", 0), ("409", 1)])
async def test_whether_what_served_before_may_be_promoted_is_not_known(
    rolled_back: Guide, answer: str, exit_code: int
) -> None:
    """One guide says "any existing deployment", the other "you can't promote it again"."""
    knobs = rolled_back.stage.world.knobs
    rolled_back.stage.world.knobs = knobs.model_copy(update={"promote_older": answer})
    run = await rolled_back.vercel("promote", rolled_back.stage.deployment("v2").url)
    assert run.exit_code == exit_code
    assert rolled_back.stage.truth().production == {"accept": "v2", "409": "v3"}[answer]
