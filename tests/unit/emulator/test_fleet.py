"""Generated fleets: the same seed, the same world; nothing costs anything before somebody looks at it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from daemon.emulator import ManualClock, World
from daemon.emulator.fleet_plan import future_of, outages_of, past_of, traits_of
from daemon.emulator.fleet_specs import ErrorShape, FleetSpec
from daemon.emulator.labels import labels, write_labels
from daemon.emulator.lazy import LazyProject
from daemon.emulator.scenario import Scenario
from daemon.emulator.scenario_files import fleet_scenario, load_fleet
from tests.unit.emulator.driving import Driver, driving

SHAPES = tuple(shape for shape in ErrorShape if shape is not ErrorShape.UPSTREAM_OUTAGE)


def a_fleet(**changes: Any) -> Scenario:
    spec = {"teams": 2, "projects": 10, "traffic_history": "1m", **changes}
    return fleet_scenario(FleetSpec.model_validate(spec))


def a_world(**changes: Any) -> World:
    return World(a_fleet(**changes), ManualClock())


def settled(world: World) -> list[str]:
    return [item.name for item in world.projects.values() if isinstance(item, LazyProject) and item.is_settled]


def facts_of(world: World, name: str) -> Any:
    project = world.project(name)
    deployments = [
        (item.id, item.name, item.created_at_ms, item.substate, item.commit, item.failure_specs)
        for item in world.deployments_of(project)
    ]
    return project.production_id, project.assignments, deployments, project.spec


@pytest.mark.slow
def test_the_same_seed_makes_the_same_fleet_in_whatever_order_it_is_looked_at() -> None:
    one, two = a_world(), a_world()
    names = [project.name for project in one.projects.values()]
    seen = {name: facts_of(one, name) for name in names}
    assert seen == {name: facts_of(two, name) for name in reversed(names)}
    assert seen != {name: facts_of(a_world(seed=2), name) for name in names}


@pytest.mark.slow
def test_names_and_ids_are_unique_and_teams_are_equal_in_size() -> None:
    world = a_world(teams=3, projects=40)
    projects = list(world.projects.values())
    assert len({project.id for project in projects}) == len({project.name for project in projects}) == 120
    assert Counter(project.team_id for project in projects) == dict.fromkeys(world.teams, 40)
    ids = [item.id for project in projects for item in world.deployments_of(project)]
    assert len(ids) == len(set(ids))
    assert {len(item) for item in ids} == {32}


async def test_nothing_is_made_before_somebody_looks() -> None:
    async with driving(a_fleet(projects=200)) as driver:
        names = [project.name for project in driver.world.projects.values()]
        await driver.json("/v2/user")
        assert settled(driver.world) == []
        await driver.json(f"/v9/projects/{names[7]}")
        assert settled(driver.world) == [names[7]]
        page = await driver.json("/v10/projects", limit=5)
        assert set(settled(driver.world)) == {names[7], *(row["name"] for row in page["projects"])}


async def test_a_deployment_is_found_by_id_and_by_host_though_nobody_has_looked_yet() -> None:
    known = a_world()
    project = list(known.projects.values())[3]
    deployment = next(item for item in known.deployments_of(project) if item.ready_at_ms)
    for wanted in (deployment.id, deployment.url, project.domains[0], project.domains[1]):
        async with driving(a_fleet()) as driver:
            found = await driver.json(f"/v13/deployments/{wanted}")
            assert found["projectId"] == project.id
            assert settled(driver.world) == [project.name]
    async with driving(a_fleet()) as driver:
        for wanted in ("dpl_zzzz" + "A" * 24, "dpl_0003", "no-such-acme.vercel.app"):
            assert (await driver.get(f"/v13/deployments/{wanted}")).status_code == 404


async def test_a_team_sees_its_own_projects_page_by_page() -> None:
    async with driving(a_fleet(projects=25)) as driver:
        _, other = driver.world.teams.values()
        names, cursor = [], None
        while True:
            query = {"teamId": other.id, "limit": 10} | ({} if cursor is None else {"from": cursor})
            page = await driver.json("/v10/projects", **query)
            names += [row["name"] for row in page["projects"]]
            cursor = page["pagination"]["next"]
            if cursor is None:
                break
        assert len(names) == len(set(names)) == 25
        deployments = await driver.json("/v6/deployments", teamId=other.id, projectId=names[0], limit=100)
        assert deployments["deployments"]
        assert all(row["name"] == names[0] for row in deployments["deployments"])


@pytest.mark.slow
def test_histories_are_plausible() -> None:
    world = a_world(projects=30)
    for project in world.projects.values():
        deployments = world.deployments_of(project)
        assert 1 <= len(deployments) <= 30
        created = [item.created_at_ms for item in deployments]
        assert created == sorted(created)
        assert created[-1] < world.start_ms
        serving = world.deployments.get(project.production_id or "")
        if serving is not None:
            assert serving.is_rollback_candidate
            assert serving.id in project.assigned(world.now_ms).values()
        times = [assignment.at_ms for assignment in project.assignments]
        assert times == sorted(times)
    everything = [item for project in world.projects.values() for item in world.deployments_of(project)]
    kinds = Counter((item.ready_state.value, item.is_production) for item in everything)
    assert {("READY", True), ("READY", False), ("ERROR", True)} <= set(kinds)
    assert len({item.commit.author for item in everything}) > 5
    assert any(item.log.warnings for item in everything)


@pytest.mark.slow
def test_humans_went_back_from_some_bad_builds() -> None:
    world = a_world(incident_ratio=0.5)
    rolled_back = [label for label in labels(world)["labels"] if label["endedBy"] == "rollback"]
    assert rolled_back
    for label in rolled_back:
        project = world.project(label["project"])
        at_ms = label["endMs"]
        before, after = project.assigned(at_ms - 1), project.assigned(at_ms)
        assert set(before.values()) == {label["deploymentId"]}
        assert set(after.values()) == {label["previousId"]}


async def test_builds_go_on_after_the_start_as_they_were_planned() -> None:
    async with driving(a_fleet(deployments_per_week=100, requests_per_second={"median": 0.01})) as driver:
        planned = {
            project.name: list(future_of(driver.world.fleet.spec, traits_of(driver.world.fleet.spec, number)))  # type: ignore[union-attr]
            for number, project in enumerate(driver.world.projects.values())
        }
        driver.clock.advance(6 * 3600)
        driver.world.advance()
        for name, builds in planned.items():
            due = [build.name for build in builds if build.at_ms <= 6 * 3_600_000]
            made = [item.name for item in driver.world.deployments_of(driver.world.project(name))]
            assert [item for item in made if item.startswith("n")] == due
        assert any(builds for builds in planned.values())


@pytest.mark.slow
async def test_a_bad_build_fails_its_visitors_as_its_label_says() -> None:
    scenario = a_fleet(
        teams=1,
        projects=3,
        incident_ratio=1,
        errors={"jump": 1},
        traffic={"flat": 1},
        outages_per_month=0,
        requests_per_second={"median": 5, "most": 5},
        deployments_per_week=60,
        plans={"pro": 1},
    )
    async with driving(scenario) as driver:
        coming = [item for item in labels(driver.world)["labels"] if item["atMs"] > driver.world.start_ms]
        label = min(coming, key=lambda item: item["atMs"])
        driver.clock.advance((label["atMs"] - driver.world.start_ms) / 1000 + 120)
        driver.world.advance()
        rows = driver.world.traffic_of(driver.world.project(label["project"])).counts.rows
        mine = [row for row in rows if row.key.deployment_id == label["deploymentId"]]
        failed = [row for row in mine if row.message == label["message"]]
        assert len(mine) > 100
        assert len(failed) / len(mine) == pytest.approx(label["ratio"], abs=0.12)
        assert {row.key.http_status for row in failed} == {label["status"]}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_error_shape_is_drawn_and_has_ways_to_fail(shape: ErrorShape) -> None:
    spec = FleetSpec(incident_ratio=1, errors={shape: 1.0})
    troubles = [build.trouble for build in past_of(spec, traits_of(spec, 1)) if build.trouble is not None]
    assert {trouble.shape for trouble in troubles} == {shape}
    for trouble in troubles:
        assert max(failure.ratio for failure in trouble.failures) == trouble.ratio
        starts = [failure.after_ms for failure in trouble.failures]
        assert starts == sorted(starts)
        assert (trouble.route is not None) == (shape is ErrorShape.PARTIAL_ROUTE)
        if shape in {ErrorShape.RAMP, ErrorShape.FLAPPING}:
            assert len(trouble.failures) > 5
            timed = [failure for failure in trouble.failures if failure.lasts_ms is not None]
            ends = [failure.after_ms + (failure.lasts_ms or 0) for failure in timed]
            assert all(end <= start for end, start in zip(ends, starts[1:], strict=False)), "one after the other"


def test_outages_fail_every_deployment_and_end_by_themselves() -> None:
    spec = FleetSpec(outages_per_month=5)
    outages = outages_of(spec, traits_of(spec, 0))
    assert len(outages) > 5
    for outage in outages:
        assert 5 * 60_000 <= outage.until_ms - outage.from_ms <= 60 * 60_000
    assert outages_of(FleetSpec(outages_per_month=0), traits_of(spec, 0)) == []


def test_every_traffic_shape_is_drawn() -> None:
    spec = FleetSpec(projects=200)
    assert len({traits_of(spec, number).shape for number in range(200)}) == 6


def test_labels_are_written_as_json_and_the_same_every_time(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    count = write_labels(a_world(), path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert len(document["labels"]) == count > 5
    assert document == labels(a_world())
    assert settled(a_world()) == []


async def test_labels_are_read_from_the_control_endpoint(vercel: Driver) -> None:
    await vercel.deploy("bad", failures=[{"ratio": 0.5, "message": "boom"}])
    await vercel.control("outage", {"project": "web", "ratio": 0.2, "status": 504})
    found = (await vercel.control("labels"))["labels"]
    assert [(item["cause"], item["ratio"]) for item in found] == [("deployment", 0.5), ("upstream", 0.2)]
    assert found[0]["deploymentId"] == vercel.id_of("bad")
    assert found[0]["previousId"] == vercel.id_of("good")
    response = await vercel.get("/__control/labels", project="web")
    assert response.json()["labels"] == found


def test_a_fleet_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text("name: small\nseed: 3\nteams: 2\nprojects: 4\n", encoding="utf-8")
    scenario = load_fleet(path)
    assert (scenario.name, scenario.seed, len(scenario.teams)) == ("small", 3, 1)
    assert len(World(scenario, ManualClock()).projects) == 8


@pytest.mark.slow
def test_ten_thousand_projects_start_in_seconds_and_none_of_them_is_made() -> None:
    world = a_world(teams=100, projects=100)
    assert len(world.projects) == 10_000
    assert settled(world) == []
