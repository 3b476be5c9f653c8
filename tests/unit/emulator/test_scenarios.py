"""Scenarios: the built-in ones do what they say, and a file of one's own is read with its parameters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.emulator import ManualClock, World, builtin_scenario_names, load_scenario
from daemon.emulator.durations import parse_duration_ms
from daemon.emulator.scenario_files import parse_scenario

NAMES = {"healthy", "bad-deployment", "blip", "outage", "quiet", "no-target", "already-failing"}
BUSY = {"requests_per_second": 3}


def played(name: str, seconds: float, **parameters: float | str) -> World:
    """Return the world of a built-in scenario *seconds* after its start."""
    clock = ManualClock()
    busy: dict[str, float | str] = {} if name == "quiet" else dict(BUSY)
    world = World(load_scenario(name, {**busy, **parameters}), clock)
    clock.advance(seconds)
    world.advance()
    return world


def shares(world: World, *, from_seconds: float, to_seconds: float) -> Iterator[tuple[str, float]]:
    """Yield the name of each deployment that served in a stretch of time and its share of 5xx."""
    rows = world.traffic_of(world.project("web")).counts.rows
    found: dict[str, list[bool]] = {}
    for row in rows:
        seconds = (row.at_ms - world.start_ms) / 1000
        if from_seconds <= seconds < to_seconds and row.key.environment == "production":
            found.setdefault(row.key.deployment_id, []).append(row.key.http_status >= 500)
    for deployment_id, failed in found.items():
        yield world.deployments[deployment_id].name, sum(failed) / len(failed)


def test_the_promised_scenarios_are_built_in_and_say_what_they_show() -> None:
    assert set(builtin_scenario_names()) == NAMES
    for name in NAMES:
        scenario = load_scenario(name)
        assert scenario.name == name
        assert scenario.description.endswith(".")


def test_healthy_ships_a_deployment_that_does_not_fail() -> None:
    world = played("healthy", 200)
    assert dict(shares(world, from_seconds=80, to_seconds=200)) == {"next": pytest.approx(0, abs=0.02)}


def test_a_bad_deployment_fails_with_its_size_and_the_one_before_did_not() -> None:
    world = played("bad-deployment", 300, size=0.4)
    assert dict(shares(world, from_seconds=0, to_seconds=69)) == {"good": pytest.approx(0, abs=0.02)}
    assert dict(shares(world, from_seconds=80, to_seconds=300)) == {"bad": pytest.approx(0.4, abs=0.06)}


def test_a_blip_heals_by_itself() -> None:
    world = played("blip", 300)
    assert dict(shares(world, from_seconds=71, to_seconds=114))["cold"] > 0.2
    assert dict(shares(world, from_seconds=116, to_seconds=300))["cold"] < 0.03


def test_an_outage_comes_a_while_after_a_harmless_deployment() -> None:
    world = played("outage", 400)
    assert dict(shares(world, from_seconds=80, to_seconds=239))["innocent"] < 0.03
    assert dict(shares(world, from_seconds=241, to_seconds=400))["innocent"] > 0.3


def test_quiet_has_almost_no_traffic() -> None:
    world = played("quiet", 600)
    assert len(world.traffic_of(world.project("web")).counts.rows) < 100


def test_no_target_has_nothing_before_its_bad_deployment() -> None:
    world = played("no-target", 200)
    assert [name for name, _ in shares(world, from_seconds=-900, to_seconds=70)] == []
    assert dict(shares(world, from_seconds=80, to_seconds=200))["bad"] > 0.4
    assert [item.name for item in world.deployments_of(world.project("web"))] == ["bad"]


def test_already_failing_fails_before_its_deployment_as_much_as_after_it() -> None:
    world = played("already-failing", 300)
    assert dict(shares(world, from_seconds=-200, to_seconds=70))["good"] > 0.2
    assert dict(shares(world, from_seconds=80, to_seconds=300))["innocent"] > 0.2


def test_a_failure_of_one_route_leaves_the_others_alone() -> None:
    text = (
        "projects: [{name: web, deployments: [{name: good, age: 1d, failures: [{ratio: 1, route: /api/cart,"
        " status: 502, message: 'Error: cart', error_code: FUNCTION_INVOCATION_FAILED}]}]}]\nhistory: 1m"
    )
    world = World(parse_scenario(text), ManualClock())
    rows = world.traffic_of(world.project("web")).counts.rows
    by_route = {row.key.route: set[int]() for row in rows}
    for row in rows:
        by_route[row.key.route].add(row.key.http_status)
    assert by_route["/api/cart"] == {502}
    assert all(502 not in statuses for route, statuses in by_route.items() if route != "/api/cart")


def test_a_human_of_the_scenario_moves_production_and_one_who_cannot_is_noted() -> None:
    text = (
        "history: 0\nprojects: [{name: web, deployments: [{name: v1, age: 2d}, {name: good, age: 1d}]}]\n"
        "happenings: [{at: 10s, rollback: {project: web, deployment: v1, by: grace}},"
        " {at: 10s, promote: {project: web, deployment: v1}}]"
    )
    clock = ManualClock()
    world = World(parse_scenario(text), clock)
    clock.advance(60)
    world.advance()
    assert [(move.by, move.at_ms - world.start_ms) for move in world.ledger.applied()] == [("grace", 11_500)]
    assert [at_ms - world.start_ms for at_ms, _ in world.refusals] == [10_000]


def test_the_deployment_that_serves_at_the_start_can_be_chosen() -> None:
    text = (
        "history: 0\nprojects: [{name: web, production: v1, deployments: [{name: v1, age: 2d}, {name: v2, age: 1d},"
        " {name: v3, age: 1h, staged: true}]}]"
    )
    world = World(parse_scenario(text), ManualClock())
    assert world.project("web").production_id == world.deployment("web", "v1").id
    assert world.deployment("web", "v2").substate == "PROMOTED"
    assert world.deployment("web", "v3").substate == "STAGED"


def test_a_file_of_ones_own_is_loaded_with_parameters() -> None:
    path = Path(__file__).parents[2] / "data" / "scenarios" / "two-projects.yaml"
    scenario = load_scenario(path, {"size": 0.75})
    assert [project.name for project in scenario.projects] == ["shop", "docs"]
    deploy = scenario.happenings[0].deploy
    assert deploy is not None
    assert deploy.failures[0].ratio == 0.75


def test_the_scenario_of_the_documentation_is_valid_and_plays() -> None:
    page = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    clock = ManualClock()
    world = World(parse_scenario(text.replace("requests_per_second: 20", "requests_per_second: 1")), clock)
    clock.advance(660)
    world.advance()
    assert [move.by for move in world.ledger.moves] == ["auto-assign", "grace"]
    assert not world.refusals


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("90s", 90_000), ("250ms", 250), ("1.5m", 90_000), ("2h", 7_200_000), (0, 0)]
)
def test_a_duration_is_a_number_with_a_unit(text: object, milliseconds: int) -> None:
    assert parse_duration_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["90", 90, "s", "-1s", "1 week", "", None, False, "10:30"])
def test_a_duration_without_a_unit_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration_ms(text)
