"""`lastgood doctor` on the demo world: a clean table, and each seeded fault turns exactly its own line."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from daemon.cli import app
from daemon.core.state import KnownBad
from daemon.doctor import GENERAL, Line, Report, State, UnknownProject, examine
from daemon.doctor.checks import DRAIN_CHECKS, GENERAL_CHECKS, PROJECT_CHECKS
from daemon.doctor.line import Name
from daemon.emulator import EmulatorServer, Scenario
from daemon.emulator.clock import WallClock
from daemon.emulator.fault_specs import JobFault, JobOutcome
from daemon.emulator.model import Token
from daemon.emulator.rolling_specs import parse_config
from daemon.emulator.scenario_files import load_scenario
from tests.integration.clinic import DEAD_PORT, SECRET, Clinic, clinic, the_demo
from tests.unit.emulator.test_tokens import ExpiringToken

# Each fault is set apart from everything else, the answers that nobody knows included.
pytestmark = [pytest.mark.slow, pytest.mark.default_answers]

READER, ACTOR = "tok_emulator_read", "tok_emulator_act"
TROUBLE = (State.WARN, State.FAIL)


def troubles(report: Report) -> dict[str, Line]:
    """Return the lines that are not as they should be, by what was looked at."""
    return {line.name: line for line in report.lines if line.state in TROUBLE}


Seed = Callable[[Clinic], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Case:
    """A fault that is seeded, and the line that it turns, with what the remedy must speak of."""

    name: str
    line: str
    seed: Seed
    remedy: str
    state: State = State.FAIL
    scenario: Callable[[], Scenario] | None = None


def _break_store(one: Clinic) -> None:
    (one.folder / "lastgood.db").write_bytes(b"not a database, but long enough to look like one " * 40)
    for leaving in ("lastgood.db-wal", "lastgood.db-shm"):
        (one.folder / leaving).unlink(missing_ok=True)


def _dead_api(one: Clinic) -> None:
    one.changes["vercel"] = {"api_url": f"http://127.0.0.1:{DEAD_PORT}"}


def _wrong_token(file: str) -> Seed:
    return lambda one: (one.folder / file).write_text("tok_of_nobody") and None


def _expiring(value: str, *, days: float) -> Seed:
    def seed(one: Clinic) -> None:
        token, end = one.world.tokens[value], one.clock.now_ms() + round(days * 86_400_000)
        one.world.tokens[value] = ExpiringToken(token.value, token.name, token.read_only, None, expires_at_ms=end)

    return seed


def _of_another_team(value: str) -> Seed:
    def seed(one: Clinic) -> None:
        one.world.tokens[value] = replace(one.world.tokens[value], team="other")

    return seed


def _act_token_of_another_project(one: Clinic) -> None:
    one.world.tokens[ACTOR] = Token(ACTOR, "actor", read_only=False, projects=frozenset({"shop"}))


def _without(file: str) -> Seed:
    return lambda one: (one.folder / file).unlink()


def _set(section: str, **keys: Any) -> Seed:
    return lambda one: one.changes.update({section: keys})


def _set_project(**keys: Any) -> Seed:
    return lambda one: one.project_changes.update(keys)


def _fault(**spec: Any) -> Seed:
    return lambda one: one.fault(**spec)


def _drain(**changes: Any) -> Seed:
    return lambda one: one.change_drain(**changes)


def _webhook(**changes: Any) -> Seed:
    def seed(one: Clinic) -> None:
        for name, value in changes.items():
            setattr(one.the_webhook, name, value)

    return seed


def _dead(path: str) -> str:
    return f"http://127.0.0.1:{DEAD_PORT}{path}"


def _job(outcome: JobOutcome, *, age_seconds: float) -> Seed:
    async def seed(one: Clinic) -> None:
        project = one.world.project("web")
        one.world.request_rollback(project, "v3", by="human", fault=JobFault(outcome=outcome))
        one.pass_time(age_seconds)
        project.pinned = False
        await one.hear()

    return seed


async def _roll(one: Clinic) -> None:
    project = one.world.project("web")
    stages = [{"targetPercentage": 10}, {"targetPercentage": 100}]
    one.world.rolling.configure(
        project, parse_config({"enabled": True, "advancementType": "manual-approval", "stages": stages})
    )
    one.pass_time(120)
    await one.hear()


def _one_deployment() -> Scenario:
    scenario = the_demo()
    [project] = scenario.projects
    return scenario.model_copy(
        update={"projects": (project.model_copy(update={"deployments": project.deployments[-1:]}),)}
    )


def _without_plus() -> Scenario:
    scenario = the_demo()
    return scenario.model_copy(update={"team": scenario.team.model_copy(update={"observability_plus": False})})


def _two_teams() -> Scenario:
    scenario = the_demo()
    return scenario.model_copy(update={"teams": (type(scenario.team)(slug="other"),)})


def _basic(**filters: Any) -> dict[str, Any]:
    return {"version": "v2", "filter": {"type": "basic", **filters}}


CASES = (
    Case("no database", "store", _break_store, "store.path"),
    Case("nobody listens", "vercel", _dead_api, "status page"),
    Case("read token is none", "read token", _wrong_token("read-token"), "vercel.read_token_file"),
    Case("read token ran out", "read token expiry", _expiring(READER, days=-1), "make a new one"),
    Case("read token runs out soon", "read token expiry", _expiring(READER, days=3), "make a new one", State.WARN),
    Case(
        "read token of another team", "read token scope", _of_another_team(READER), "vercel.team", scenario=_two_teams
    ),
    Case("act token is none", "act token", _wrong_token("act-token"), "vercel.act_token_file"),
    Case("act token ran out", "act token expiry", _expiring(ACTOR, days=-1), "make a new one"),
    Case("act token of another team", "act token scope", _of_another_team(ACTOR), "vercel.team", scenario=_two_teams),
    Case("no drain secret", "drain secrets", _without("drain-secret"), "drain.secret_files"),
    Case("drain secret not configured", "drain secrets", _set("drain", secret_files=()), "drain.secret_files"),
    Case("no webhook secret", "webhook secrets", _without("webhook-secret"), "webhooks.secret_files"),
    Case("no webhook", "webhook", _webhook(url="http://127.0.0.1:9/another"), "make one at Vercel"),
    Case("webhook of no project", "webhook", _webhook(project_ids=()), "hold those projects"),
    Case("webhook without promotions", "webhook", _webhook(events=("deployment.rollback",)), "with those events"),
    Case("webhooks need a plan", "webhook", _fault(kind="status", status=402, route="webhooks"), "buy the plan"),
    Case(
        "webhooks may not be listed",
        "webhook",
        _fault(kind="status", status=403, route="webhooks"),
        "at Vercel",
        State.WARN,
    ),
    Case("webhook to nowhere", "webhook endpoint", _webhook(url=_dead("/webhooks/vercel")), "start lastgood run"),
    Case("project unknown", "project", _set_project(id="prj_unknown"), "correct the project's id"),
    Case("HTML for production", "production", _fault(kind="html", route="project", skip=1, count=1), "newer lastgood"),
    Case("pinned", "domains", lambda one: setattr(one.world.project("web"), "pinned", True), "promote", State.WARN),
    Case("job hangs", "alias job", _job(JobOutcome.STUCK, age_seconds=240), "by hand"),
    Case("job runs", "alias job", _job(JobOutcome.STUCK, age_seconds=20), "wait", State.WARN),
    Case("job failed", "alias job", _job(JobOutcome.FAILED, age_seconds=20), "repeat the move"),
    Case("release rolling", "rolling release", _roll, "complete or abort", State.WARN),
    Case("nothing to go back to", "rollback target", lambda _: None, "promote an older", scenario=_one_deployment),
    Case("targets unreadable", "rollback target", _fault(kind="html", route="deployments"), "newer lastgood"),
    Case("act token sees another project", "posture", _act_token_of_another_project, "posture: observe"),
    Case("one token for both", "posture", _set("vercel", act_token_file=None), "act_token_file", State.WARN),
    Case("no Observability Plus", "source observability", lambda _: None, "buy the plan", scenario=_without_plus),
    Case(
        "counts too old",
        "source observability",
        _fault(kind="ingest-lag", route="observability", seconds=600),
        "status page",
    ),
    Case(
        "another window",
        "source observability",
        _fault(kind="shifted-window", route="observability", seconds=-3600),
        "retention",
    ),
    Case(
        "log refused",
        "source request_logs",
        _fault(kind="status", route="request_logs", status=403),
        "team token",
    ),
    Case("drain silent", "source log_drain", lambda one: one.hear(ago=timedelta(minutes=9)), "lastgood drain"),
    Case("no drain", "drain", lambda one: one.drains.delete(one.the_drain), "make a drain"),
    Case("drain of another project", "drain", _drain(projectIds=["prj_other"]), "make a drain"),
    Case("drain disabled", "drain", lambda one: setattr(one.the_drain, "status", "disabled"), "enable the drain"),
    Case("drain errored", "drain", lambda one: setattr(one.the_drain, "status", "errored"), "answer with 200"),
    Case("drains need a plan", "drain", _fault(kind="status", status=402, route="drains"), "buy the plan"),
    Case(
        "previews alone",
        "drain coverage",
        _drain(filter=_basic(deployment={"environments": ["preview"]})),
        "hold production",
    ),
    Case("lambdas alone", "drain coverage", _drain(filter=_basic(log={"sources": ["lambda"]})), "the sources edge"),
    Case("traces alone", "drain coverage", _drain(schemas={"trace": {"version": "v1"}}), "hold production"),
    Case(
        "an expression",
        "drain coverage",
        _drain(filter={"version": "v2", "filter": {"type": "odata", "text": "source eq 'lambda'"}}),
        "make sure",
        State.WARN,
    ),
    Case(
        "half is kept",
        "drain sampling",
        _drain(sampling=[{"type": "head_sampling", "rate": 0.5}]),
        "sampling_rate: 0.5",
    ),
    Case(
        "one path is kept",
        "drain sampling",
        _drain(sampling=[{"type": "head_sampling", "rate": 1, "requestPath": "/api"}]),
        "every path",
        State.WARN,
    ),
    Case("drain to nowhere", "drain endpoint", _drain(delivery={"endpoint": _dead("/drain")}), "start lastgood run"),
    Case("another code", "drain endpoint", _set("drain", verify_code="another"), "drain.verify_code"),
    Case(
        "receiver with other secrets",
        "drain signature",
        lambda one: (one.folder / "receiver" / "drain-secret").write_text("another") and None,
        "drain.secret_files",
    ),
    Case(
        "signed by a stranger",
        "drain signature",
        _drain(delivery={"secret": "of-somebody-else"}),
        "drain.secret_files",
    ),
)


async def test_a_world_in_which_nothing_is_wrong_has_a_clean_table(tmp_path: Path) -> None:
    async with clinic(tmp_path) as one:
        report = await one.examine()
        assert {line.state for line in report.lines} == {State.OK}, troubles(report)
        assert len(report.lines) == len(GENERAL_CHECKS) + len(PROJECT_CHECKS) + 3 + len(DRAIN_CHECKS)
        assert not report.has_failed
        assert one.ledger() == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_fault_turns_exactly_its_own_line_with_its_remedy(tmp_path: Path, case: Case) -> None:
    async with clinic(tmp_path, case.scenario() if case.scenario else None) as one:
        seeding = case.seed(one)
        if seeding is not None:
            await seeding
        report = await one.examine()
        found = troubles(report)
        assert list(found) == [case.line], [str(line) for line in found.values()]
        line = found[case.line]
        assert line.state is case.state
        assert case.remedy in line.remedy
        assert report.has_failed == (case.state is State.FAIL)
        # It looked through a read token, an act token and at two receivers, and asked Vercel to change nothing.
        assert one.ledger() == []
        assert SECRET not in str(report)


def test_every_line_has_a_fault_that_turns_it() -> None:
    seeded = {case.line for case in CASES}
    sources = {f"{Name.SOURCE} {kind}" for kind in ("observability", "request_logs", "log_drain")}
    # What patterns match has a test of its own below.
    assert seeded == {name.value for name in Name if name not in (Name.SOURCE, Name.MATCH)} | sources


async def test_a_line_is_not_looked_at_where_another_says_why(tmp_path: Path) -> None:
    async with clinic(tmp_path) as one:
        (tmp_path / "read-token").write_text("tok_of_nobody")
        report = await one.examine()
        skipped = {line.name: line.found for line in report.lines if line.state is State.SKIP}
        assert {"project", "production", "rollback target", "source observability", "drain", "webhook"} <= set(skipped)
        assert all(skipped.values())
        # Nothing further is asked with a token that was refused: such answers count against the address, too.
        assert [entry.path for entry in one.world.ledger.entries if entry.token is None] == ["/v2/user"]


async def test_what_takes_too_long_is_told_and_waited_for_no_longer(tmp_path: Path) -> None:
    async with clinic(tmp_path) as one:
        report = await one.examine(seconds_max=0.0)
        assert "narrow it with --project" in troubles(report)["vercel"].found


async def test_a_project_that_is_configured_twice_is_told(tmp_path: Path) -> None:
    async with clinic(tmp_path) as one:
        settings = one.settings()
        [project] = settings.projects
        twice = (project, project.model_copy(update={"id": None, "name": "web"}))
        report = await examine(settings.model_copy(update={"projects": twice}), clock=one.time)
        [line] = [line for line in report.lines if line.state is State.FAIL]
        assert (line.name, "remove one of them" in line.found) == ("project", True)


async def test_projects_that_a_pattern_matches_are_looked_at_too(tmp_path: Path) -> None:
    async with clinic(tmp_path) as one:
        settings = one.settings()
        [project] = settings.projects

        async def examined(*entries: dict[str, Any]) -> dict[str, Line]:
            copies = tuple(project.model_copy(update={"id": None, "name": None, **entry}) for entry in entries)
            report = await examine(settings.model_copy(update={"projects": copies}), clock=one.time)
            return {line.name: line for line in report.lines if line.state is not State.OK or line.name == "match"}

        [line] = (await examined({"match": "w*"})).values()
        assert (line.found, line.state) == ("1 of 1 projects of the team are matched", State.OK)
        for named in ({"name": "web"}, {"id": one.project}):
            found = await examined({"match": "w*"}, named)
            assert found["match"].found == "0 of 1 projects of the team are matched", "that one has its own entry"
        assert (await examined({"match": "x"}))["match"].state is State.WARN
        one.fault(kind="status", status=403, route="projects")
        assert (await examined({"match": "w*"}))["match"].state is State.FAIL


async def test_the_target_is_chosen_with_what_the_store_remembers(tmp_path: Path) -> None:
    async with clinic(tmp_path) as one:
        before, v3 = await one.examine(), one.world.deployment("web", "v3").id
        await one.remember(KnownBad(v3, None, "somebody"))
        after = await one.examine()
        targets = [line.found for report in (before, after) for line in report.lines if line.name == "rollback target"]
        assert v3 in targets[0]
        assert one.world.deployment("web", "v2").id in targets[1]


async def test_only_one_project_is_looked_at_where_one_is_named(tmp_path: Path) -> None:
    async with clinic(tmp_path) as one:
        for name in ("web", one.project):
            assert {line.group for line in (await one.examine(only=name)).lines} == {GENERAL, "web"}
        with pytest.raises(UnknownProject, match="name one of web"):
            await one.examine(only="shop")


DEMO = """\
vercel:
  {{api_url: "{url}", team: {team}, request_timeout: 2s, read_token_file: {folder}/read, act_token_file: {folder}/act}}
store: {{path: {folder}/lastgood.db}}
projects:
  - {{id: {project}, name: web, posture: automatic, sources: [{{kind: observability}}, {{kind: request_logs}}]}}
"""


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[EmulatorServer]:
    """The world of `lastgood demo`, on real time, and its configuration in the test's folder."""
    async with EmulatorServer(load_scenario("bad-deployment"), clock=WallClock()) as emulator:
        for token in emulator.world.tokens.values():
            path = tmp_path / ("read" if token.read_only else "act")
            path.write_text(token.value)
            path.chmod(0o600)
        [project] = emulator.world.projects.values()
        text = DEMO.format(url=emulator.url, team=project.team_id, folder=tmp_path, project=project.id)
        (tmp_path / "lastgood.yaml").write_text(text)
        yield emulator


async def run_doctor(folder: Path, *arguments: str) -> Result:
    """Run the command beside the emulator, in a thread, since it has an event loop of its own."""
    command = ["doctor", "--config", str(folder / "lastgood.yaml"), *arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, command)


async def test_the_command_prints_a_clean_table_of_the_demo_world(demo: EmulatorServer, tmp_path: Path) -> None:
    result = await run_doctor(tmp_path)
    assert result.exit_code == 0, result.output
    *lines, summary = result.stdout.splitlines()
    assert summary == "17 ok, 0 warn, 0 fail, 4 skip"
    [project] = demo.world.projects
    assert [line.split()[0] for line in lines] == [GENERAL] * 12 + ["web"] * 9
    # Piped, nothing is cut, however long an id is.
    assert any(project in line for line in lines)
    assert "tok_emulator" not in result.output
    assert not (tmp_path / "lastgood.db").exists()
    assert list(demo.world.ledger.mutating()) == []


async def test_the_command_fails_when_a_line_does_and_tells_machines_the_same(
    demo: EmulatorServer, tmp_path: Path
) -> None:
    (tmp_path / "read").write_text("tok_of_nobody")
    result = await run_doctor(tmp_path, "--json", "--project", "web")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["ok"] is False
    [line] = [line for line in told["lines"] if line["state"] == "fail"]
    assert (line["group"], line["name"]) == (GENERAL, "read token")
    assert line["remedy"]
    plain = await run_doctor(tmp_path)
    assert f"{line['found']} -> {line['remedy']}" in plain.stdout
    assert demo.world.ledger.entries


async def test_the_command_exits_with_2_for_what_is_not_configured(demo: EmulatorServer, tmp_path: Path) -> None:
    asked = await run_doctor(tmp_path, "--project", "shop")
    assert (asked.exit_code, asked.stderr) == (2, "lastgood: no project 'shop' is configured; name one of web\n")
    (tmp_path / "act").unlink()
    assert (await run_doctor(tmp_path)).exit_code == 2
    assert list(demo.world.ledger.entries) == []
